//===- FuzzSafetensors.cpp - Safetensors files and Lowbit archives --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckArchive.h"
#include "Require.h"
#include "Targets.h"
#include "lowbit/Archive/MappedFile.h"
#include "lowbit/Archive/Safetensors.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

using namespace llvm;

namespace lowbit {

bool fuzzSafetensors(ArrayRef<uint8_t> data) {
  Expected<std::unique_ptr<SafetensorsFile>> file =
      SafetensorsFile::open(MappedFile::fromMemory(inputName, data));
  if (!file) {
    checkRefusal(file.takeError(), data);
    return false;
  }
  const uint8_t *end = nullptr;
  for (const SafetensorsTensor &tensor : (*file)->getTensors()) {
    require((*file)->lookup(tensor.name) == &tensor, "every tensor is found by its name");
    require(!end || tensor.data.begin() == end, "tensors lie side by side");
    end = tensor.data.end();
  }
  require(!end || end == data.end(), "the last tensor ends with the file");
  // Metadata of a Lowbit archive can be refused where the file as such is good.
  return checkArchive(data);
}

// The arrays that the directory's text can claim.
static constexpr struct {
  StringLiteral name, dtype;
  uint64_t rows, columns, bytes;
} arrays[] = {
    {"w::codes", "U8", 8, 32, 256},    {"w::scale", "F16", 8, 2, 32},
    {"s::positions", "I32", 1, 3, 12}, {"s::columns", "I32", 1, 2, 8},
    {"s::values", "BF16", 1, 2, 4},    {"norm", "F32", 1, 4, 16},
    {"half", "F16", 2, 2, 8},          {"brain", "BF16", 2, 2, 8},
};

bool fuzzDirectory(ArrayRef<uint8_t> data) {
  auto [directory, model] = toStringRef(data).split('\0');
  std::string text(8, '\0');
  raw_string_ostream stream(text);
  json::OStream os(stream);
  uint64_t offset = 0;
  os.object([&] {
    os.attributeObject("__metadata__", [&, directory = directory, model = model] {
      os.attribute("lowbit.version", "1");
      os.attribute("lowbit.tensors", json::fixUTF8(directory));
      if (!model.empty())
        os.attribute("lowbit.model", json::fixUTF8(model));
    });
    for (const auto &array : arrays) {
      json::Array shape{array.rows, array.columns};
      if (array.rows == 1)
        shape = json::Array{array.columns};
      os.attribute(array.name, json::Object{{"dtype", array.dtype},
                                            {"shape", std::move(shape)},
                                            {"data_offsets", {offset, offset + array.bytes}}});
      offset += array.bytes;
    }
  });
  support::endian::write64le(text.data(), text.size() - 8);
  text.resize(text.size() + offset, '\1');
  return checkArchive(arrayRefFromStringRef(text));
}

} // namespace lowbit
