//===- Checkpoint.cpp - Tensors of quantized checkpoints -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include "JSONText.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace lowbit {

Component makeOwned(std::string name, DType dtype, ArrayRef<int64_t> shape,
                    std::vector<uint8_t> bytes) {
  auto owner = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  return {std::move(name), dtype, SmallVector<int64_t, 4>(shape), *owner, owner};
}

Error makeTensorError(const SafetensorsFile &file, const SafetensorsTensor &tensor,
                      const Twine &what) {
  return file.getFile().makeError(tensor.headerOffset,
                                  "tensor '" + Twine(tensor.name) + "' " + what);
}

//===----------------------------------------------------------------------===//
// The configuration beside the file
//===----------------------------------------------------------------------===//

/// The object with the quantizer's settings in a JSON file, or nothing where it has none.
static Expected<std::optional<json::Object>> readSettings(StringRef path, StringRef member) {
  Expected<std::unique_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  JSONText text;
  if (std::optional<JSONProblem> problem = parseJSON(toStringRef((*file)->getBytes()), text))
    return (*file)->makeError(problem->offset, problem->what + ": download it again");
  const json::Object *object = text.value.getAsObject();
  if (object && !member.empty())
    object = object->getObject(member);
  if (!object)
    return std::nullopt;
  return *object;
}

/// "gptq" or "gptq_v2".
static Expected<std::string> readZeroPoints(const SafetensorsFile &file,
                                            const SafetensorsTensor &codes) {
  std::optional<std::string> format;
  auto entry = file.getMetadata().find("gptq_checkpoint_format");
  if (entry != file.getMetadata().end())
    format = entry->second;
  StringRef folder = sys::path::parent_path(file.getFile().getPath());
  constexpr std::pair<StringLiteral, StringLiteral> places[] = {
      {"quantize_config.json", ""}, {"config.json", "quantization_config"}};
  for (auto [name, member] : places) {
    SmallString<128> path(folder);
    sys::path::append(path, name);
    if (format || !sys::fs::exists(path))
      continue;
    Expected<std::optional<json::Object>> settings = readSettings(path, member);
    if (!settings)
      return settings.takeError();
    if (!*settings)
      continue;
    format = "gptq"; // as its loaders take it where it is not said
    for (StringRef key : {"checkpoint_format", "format"})
      if (std::optional<StringRef> value = (*settings)->getString(key)) {
        format = value->lower();
        break;
      }
  }
  if (!format)
    return makeTensorError(file, codes,
                           "is of a GPTQ checkpoint, which says in quantize_config.json or "
                           "config.json whether zero points are stored less 1: put that file "
                           "beside this one");
  if (*format != "gptq" && *format != "gptq_v2")
    return makeTensorError(file, codes,
                           "is of a GPTQ checkpoint of the format '" + *format +
                               "': only 'gptq' and 'gptq_v2' have an encoding");
  return *format;
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

Expected<std::vector<CheckpointTensor>> readCheckpoint(const SafetensorsFile &file) {
  std::vector<CheckpointTensor> all;
  std::optional<std::string> zeroPoints;
  for (const SafetensorsTensor &tensor : file.getTensors()) {
    StringRef name = tensor.name;
    bool isWords = name.ends_with(".qweight");
    if (!isWords && !name.contains(".quant_state.bitsandbytes__"))
      continue;
    auto askZeroPoints = [&]() -> Expected<std::string> {
      if (!zeroPoints) {
        Expected<std::string> read = readZeroPoints(file, tensor);
        if (!read)
          return read.takeError();
        zeroPoints = *read;
      }
      return *zeroPoints;
    };
    Expected<CheckpointTensor> made =
        isWords ? readWords(file, tensor, askZeroPoints) : readBitsandbytes(file, tensor);
    if (!made)
      return made.takeError();
    made->info.bytes = 0;
    for (const Component &component : made->components)
      made->info.bytes += component.data.size();
    all.push_back(std::move(*made));
  }
  return all;
}

} // namespace lowbit
