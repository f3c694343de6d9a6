//===- MergeArchives.cpp - An archive with tensors of others --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/MergeArchives.h"

#include "llvm/Support/FileSystem.h"

using namespace llvm;
using namespace lowbit;

namespace {
/// A tensor and the archive that has it.
struct Origin {
  const Archive *archive;
  const TensorInfo *tensor;
};
} // namespace

static Expected<std::vector<Origin>> findOrigins(const Archive &base,
                                                 ArrayRef<std::unique_ptr<Archive>> replacements) {
  StringMap<Origin> replaced;
  std::vector<Origin> added;
  for (const std::unique_ptr<Archive> &archive : replacements)
    for (const TensorInfo &tensor : archive->tensors()) {
      const TensorInfo *old = base.lookup(tensor.name);
      if (old && old->shape != tensor.shape)
        return createStringError(archive->getPath() + ": tensor '" + tensor.name + "' has shape " +
                                 formatShape(tensor.shape) + ", in " + base.getPath() + " it has " +
                                 formatShape(old->shape));
      if (!old && !replaced.contains(tensor.name))
        added.push_back({nullptr, &tensor});
      replaced[tensor.name] = {archive.get(), &tensor};
    }
  std::vector<Origin> origins;
  for (const TensorInfo &tensor : base.tensors()) {
    auto found = replaced.find(tensor.name);
    origins.push_back(found == replaced.end() ? Origin{&base, &tensor} : found->second);
  }
  for (const Origin &origin : added)
    origins.push_back(replaced.lookup(origin.tensor->name));
  return origins;
}

static Metadata mergeMetadata(const Archive &base,
                              ArrayRef<std::pair<std::string, std::string>> texts) {
  Metadata merged(base.getPath());
  for (const auto &[key, text] : texts)
    merged.insert(merged.internString(key), MetadataValue::makeString(merged.internString(text)));
  for (const auto &[key, value] : base.metadata().getEntries())
    merged.insert(key, value); // false where the text counts
  return merged;
}

Error lowbit::mergeArchives(const Archive &base, ArrayRef<std::unique_ptr<Archive>> replacements,
                            ArrayRef<std::pair<std::string, std::string>> texts, StringRef output) {
  if (sys::fs::equivalent(base.getPath(), output) ||
      any_of(replacements, [&](const std::unique_ptr<Archive> &archive) {
        return sys::fs::equivalent(archive->getPath(), output);
      }))
    return createStringError(output + ": this is an archive that is read: give another name for "
                                      "the output");
  Expected<std::vector<Origin>> origins = findOrigins(base, replacements);
  if (!origins)
    return origins.takeError();
  std::vector<ArchiveWriter::TensorDeclaration> declarations;
  for (const Origin &origin : *origins) {
    Expected<std::vector<Component>> components = origin.archive->getComponents(*origin.tensor);
    if (!components)
      return components.takeError();
    auto &declaration = declarations.emplace_back();
    declaration.name = origin.tensor->name;
    declaration.shape = origin.tensor->shape;
    declaration.encoding = origin.tensor->encoding;
    for (const Component &component : *components)
      declaration.components.push_back({component.name, component.dtype, component.shape});
  }
  Metadata metadata = mergeMetadata(base, texts);
  Expected<std::unique_ptr<ArchiveWriter>> writer =
      ArchiveWriter::create(output, declarations, metadata);
  if (!writer)
    return writer.takeError();
  for (const Origin &origin : *origins) {
    for (const Component &component : cantFail(origin.archive->getComponents(*origin.tensor)))
      if (Error error = (*writer)->append(component.data))
        return error;
    origin.archive->release(*origin.tensor);
  }
  return (*writer)->commit();
}
