//===- CheckpointWords.cpp - GPTQ and AWQ --------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace lowbit {

namespace {
/// What the shapes of the arrays say.
struct Words {
  bool isAwq;
  unsigned bits;
  int64_t inputs, outputs, groups;
};
} // namespace

static std::optional<Words> readShapes(const SafetensorsTensor &codes,
                                       const SafetensorsTensor &zeros,
                                       const SafetensorsTensor &scales) {
  for (const SafetensorsTensor *array : {&codes, &zeros, &scales})
    if (array->shape.size() != 2 || array->shape[0] == 0 || array->shape[1] == 0)
      return std::nullopt;
  if (codes.dtype != DType::I32 || zeros.dtype != DType::I32 || zeros.shape[0] != scales.shape[0])
    return std::nullopt;
  int64_t groups = scales.shape[0], outputs = scales.shape[1], zeroWords = zeros.shape[1];
  if (codes.shape[1] == zeroWords && outputs == 8 * zeroWords)
    return Words{true, 4, codes.shape[0], outputs, groups};
  if (codes.shape[1] != outputs)
    return std::nullopt;
  for (unsigned bits : {2u, 3u, 4u, 8u})
    if (32 * zeroWords == outputs * bits && 32 * codes.shape[0] % bits == 0)
      return Words{false, bits, 32 * codes.shape[0] / bits, outputs, groups};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Act-order
//===----------------------------------------------------------------------===//

namespace {
struct Groups {
  int64_t size;
  std::vector<uint8_t> position; ///< i32 [inputs]; empty: the inputs are in the order of groups
};
} // namespace

static Expected<Groups> readGroups(const SafetensorsFile &file, const SafetensorsTensor &codes,
                                   const SafetensorsTensor *index, const Words &words) {
  bool isWhole = words.inputs % words.groups == 0;
  if (!index) {
    if (!isWhole)
      return makeTensorError(file, codes,
                             formatv("has {0} inputs and {1} groups of scales, and no g_idx that "
                                     "says which belong together: write the checkpoint again",
                                     words.inputs, words.groups)
                                 .str());
    return Groups{words.inputs / words.groups, {}};
  }
  if (index->dtype != DType::I32 || index->shape != SmallVector<int64_t, 4>{words.inputs})
    return makeTensorError(file, *index,
                           "is " + getDTypeName(index->dtype) + " " + formatShape(index->shape) +
                               ", one group for each of " + Twine(words.inputs) +
                               " inputs would be I32 [" + Twine(words.inputs) +
                               "]: write the checkpoint again");
  int64_t first = words.inputs; // the first input of another group than 0
  bool isOrdered = true;
  std::vector<int32_t> groups;
  for (int64_t i = 0; i < words.inputs; ++i) {
    const uint8_t *at = index->data.data() + 4 * i;
    int32_t group = support::endian::read<int32_t, endianness::little>(at);
    if (group < 0 || group >= words.groups)
      return file.getFile().makeError(
          at - file.getFile().getBytes().data(),
          formatv("'{0}' puts input {1} into group {2}, but there are {3}: write the checkpoint "
                  "again",
                  index->name, i, group, words.groups)
              .str());
    if (group != 0)
      first = std::min(first, i);
    isOrdered &= first > 0 && group == i / first;
    groups.push_back(group);
  }
  if (isOrdered && (words.inputs + first - 1) / first == words.groups)
    return Groups{first, {}};
  int64_t size = words.inputs / words.groups;
  std::vector<int64_t> counts(words.groups);
  Groups result{size, std::vector<uint8_t>(4 * words.inputs)};
  for (auto [i, group] : enumerate(groups))
    support::endian::write32le(&result.position[4 * i], group * size + counts[group]++);
  if (!isWhole || any_of(counts, [&](int64_t count) { return count != size; }))
    return makeTensorError(file, *index,
                           formatv("makes groups of unequal sizes out of {0} inputs, which have no "
                                   "encoding: write the checkpoint again with {1} equal groups",
                                   words.inputs, words.groups)
                               .str());
  return result;
}

Component moveRows(const Component &position, const Component &words, unsigned bits) {
  int64_t outputs = words.shape[1];
  uint32_t mask = (1u << bits) - 1;
  auto word = [&](int64_t row, int64_t j) {
    return support::endian::read32le(words.data.data() + 4 * (row * outputs + j));
  };
  std::vector<uint8_t> moved(words.data.size());
  auto add = [&](int64_t row, int64_t j, uint32_t value) {
    uint8_t *at = moved.data() + 4 * (row * outputs + j);
    support::endian::write32le(at, support::endian::read32le(at) | value);
  };
  for (int64_t i = 0; i < position.shape[0]; ++i) {
    int64_t from = i * bits;
    int64_t to = int64_t(support::endian::read32le(position.data.data() + 4 * i)) * bits;
    unsigned down = from % 32, up = to % 32;
    for (int64_t j = 0; j < outputs; ++j) {
      uint32_t code = word(from / 32, j) >> down;
      if (down + bits > 32)
        code |= word(from / 32 + 1, j) << (32 - down);
      code &= mask;
      add(to / 32, j, code << up);
      if (up + bits > 32)
        add(to / 32 + 1, j, code >> (32 - up));
    }
  }
  return makeOwned(words.name, words.dtype, words.shape, std::move(moved));
}

//===----------------------------------------------------------------------===//
// The tensor
//===----------------------------------------------------------------------===//

Expected<CheckpointTensor> readWords(const SafetensorsFile &file, const SafetensorsTensor &codes,
                                     function_ref<Expected<std::string>()> zeroPoints) {
  StringRef prefix = StringRef(codes.name).drop_back(StringRef("qweight").size());
  auto find = [&](StringRef array) { return file.lookup((prefix + array).str()); };
  const SafetensorsTensor *zeros = find("qzeros"), *scales = find("scales");
  const SafetensorsTensor *index = find("g_idx");
  CheckpointTensor tensor;
  tensor.info = {codes.name, codes.shape, "", false, "", codes.data.size(), 0, std::nullopt};
  tensor.info.elements = static_cast<uint64_t>(countElements(codes.shape).value_or(0));
  tensor.arrays.push_back(codes.name);
  if (!zeros || !scales) {
    // As where a checkpoint of several files is cut within a layer.
    tensor.info.isPart = true;
    tensor.info.storedAs =
        ("words without '" + prefix + (zeros ? "scales" : "qzeros") + "' in this file").str();
    tensor.components.push_back({"values", codes.dtype, codes.shape, codes.data, nullptr});
    return tensor;
  }
  std::optional<Words> words = readShapes(codes, *zeros, *scales);
  StringRef scaleType = StringSwitch<StringRef>(getDTypeName(scales->dtype))
                            .Case("F16", "f16")
                            .Case("BF16", "bf16")
                            .Case("F32", "f32")
                            .Default("");
  if (!words || scaleType.empty())
    return makeTensorError(file, codes,
                           ("is " + getDTypeName(codes.dtype) + " " + formatShape(codes.shape) +
                            ", '" + zeros->name + "' is " + getDTypeName(zeros->dtype) + " " +
                            formatShape(zeros->shape) + ", '" + scales->name + "' is " +
                            getDTypeName(scales->dtype) + " " + formatShape(scales->shape) +
                            ": these are neither the words of GPTQ nor those of AWQ's GEMM version")
                               .str());
  Expected<std::string> layout = words->isAwq ? Expected<std::string>("awq") : zeroPoints();
  if (!layout)
    return layout.takeError();
  Expected<Groups> groups = readGroups(file, codes, index, *words);
  if (!groups)
    return groups.takeError();
  bool isMoved = !groups->position.empty();
  if (isMoved && words->isAwq)
    return makeTensorError(file, *index,
                           "moves the inputs of AWQ words, which no checkpoint does: write the "
                           "checkpoint again");

  tensor.info.shape = {words->inputs, words->outputs};
  tensor.info.elements = static_cast<uint64_t>(words->inputs * words->outputs);
  tensor.info.supported = true;
  tensor.info.storedAs = words->isAwq ? "AWQ" : "GPTQ";
  tensor.info.encoding =
      formatv("{0}#lowbit.quantized<uint<{1}>, scale = {2} per [{3}, 1], zero = uint<{1}> per "
              "[{3}, 1], layout = checkpoint<{4}>>{5}",
              isMoved ? "#lowbit.permuted<axis = 0, " : "", words->bits, scaleType, groups->size,
              *layout, isMoved ? ">" : "")
          .str();
  std::string term = isMoved ? "term." : "";
  if (isMoved) {
    tensor.movedBits = words->bits;
    tensor.components.push_back(
        makeOwned("position", DType::I32, {words->inputs}, std::move(groups->position)));
  }
  auto add = [&](StringRef name, const SafetensorsTensor &array) {
    tensor.components.push_back(
        {(term + name).str(), array.dtype, array.shape, array.data, nullptr});
  };
  add("qweight", codes);
  add("scales", *scales);
  add("qzeros", *zeros);
  tensor.arrays.insert(tensor.arrays.end(), {zeros->name, scales->name});
  if (index)
    tensor.arrays.push_back(index->name);
  return tensor;
}

} // namespace lowbit
