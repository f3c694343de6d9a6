//===- CheckArchive.cpp - What holds for every archive --------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckArchive.h"

#include "Require.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/Archive/MappedFile.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace lowbit {

void checkRefusal(Error error, ArrayRef<uint8_t> file) {
  std::string message = toString(std::move(error));
  require(json::isUTF8(message), "a message is UTF-8");
  StringRef rest = message;
  require(rest.consume_front((inputName + ": byte ").str()), "a refusal names a byte: " + message);
  uint64_t offset = 0;
  require(!rest.consumeInteger(10, offset) && offset <= file.size(),
          "a refusal points into the file: " + message);
  require(rest.starts_with(": ") && rest.size() > 2, "a refusal has a reason: " + message);
}

static void checkTensor(const Archive &archive, const TensorInfo &tensor, ArrayRef<uint8_t> file) {
  require(archive.lookup(tensor.name) == &tensor, "every tensor is found by its name");
  require(countElements(tensor.shape) == std::optional<int64_t>(tensor.elements),
          "the elements are those of the shape");
  require(!tensor.describeEncoding().empty(), "every tensor is stored somehow");
  Expected<StringRef> encoding = archive.getEncoding(tensor);
  Expected<std::vector<Component>> components = archive.getComponents(tensor);
  require(bool(components) == tensor.supported,
          "components of a supported tensor, and only of one");
  require(bool(encoding) == (tensor.supported && !tensor.integers),
          "an encoding of a supported tensor of floats, and only of one");
  if (!encoding)
    consumeError(encoding.takeError());
  if (!tensor.supported) {
    consumeError(components.takeError());
    return;
  }
  uint64_t bytes = 0;
  for (const Component &component : *components) {
    require(countBytes(component.dtype, component.shape) == component.data.size(),
            "a component has the bytes of its shape");
    require(component.owner ||
                (component.data.begin() >= file.begin() && component.data.end() <= file.end()),
            "a component lies in the file, or was made on demand");
    bytes += component.data.size();
  }
  require(bytes == tensor.bytes, "a tensor has the bytes of its components");
  archive.willNeed(tensor);
  archive.release(tensor);
}

static void checkMetadata(const Archive &archive) {
  std::string text = formatv("{0}", archive.metadataAsJson());
  json::Value parsed = cantFail(json::parse(text));
  Expected<Metadata> again = Metadata::fromJSON(parsed, inputName);
  if (!again)
    require(false, "metadata is read back: " + toString(again.takeError()));
  require(formatv("{0}", again->toJSON()).str() == text, "metadata survives JSON");
}

bool checkArchive(ArrayRef<uint8_t> file) {
  Expected<std::unique_ptr<Archive>> archive =
      Archive::open(MappedFile::fromMemory(inputName, file));
  if (!archive) {
    checkRefusal(archive.takeError(), file);
    return false;
  }
  for (const TensorInfo &tensor : (*archive)->tensors())
    checkTensor(**archive, tensor, file);
  consumeError((*archive)->find("blk.0.attn_q.weight").takeError());
  checkMetadata(**archive);
  return true;
}

} // namespace lowbit
