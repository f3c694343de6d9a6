//===- CheckpointLayout.cpp - Words of codes, as in checkpoints ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/CheckpointLayout.h"

#include <array>
#include <cstring>

namespace lowbit::numerics {

int64_t WordArray::codesPerWord() const {
  int64_t product = 1;
  for (int64_t radix : digits)
    product *= radix;
  return product;
}

//===----------------------------------------------------------------------===//
// The three
//===----------------------------------------------------------------------===//

std::vector<WordArray> CheckpointLayout::wordArrays(const Quantized &term, size_t rank) const {
  // The names of the arrays, in the order of codeArrays.
  size_t levels = term.scale ? term.scale->levels.size() : 0;
  bool isBnb = name == "bnb";
  std::vector<WordArray> all;
  auto add = [&](std::string component, const Format &format, size_t axis, uint32_t bias) {
    if (format.isFloat()) {
      all.push_back({std::move(component), elementTypeOf(format), axis, {1}, {0}});
      return;
    }
    int64_t bits = format.bits();
    if (isBnb) {
      int64_t count = 8 / bits;
      // The first code takes the high bits.
      all.push_back(
          {std::move(component), ElementType::UInt8, axis, {count}, {-bits}, (count - 1) * bits});
    } else if (name == "awq") {
      all.push_back(
          {std::move(component), ElementType::Int32, axis, {4, 2}, {bits, 4 * bits}, 0, bias});
    } else {
      all.push_back({std::move(component), ElementType::Int32, axis, {32 / bits}, {bits}, 0, bias});
    }
  };
  size_t last = rank - 1;
  if (isBnb) {
    add("weight", term.format, last, 0);
    for (size_t i = 0; i < levels; ++i)
      add(i + 1 == levels ? "absmax" : "nested_absmax", term.scale->levels[i].element, last, 0);
    if (term.scale && term.scale->offset)
      add("nested_offset", term.scale->offset->element, last, 0);
    return all;
  }
  add("qweight", term.format, name == "gptq" ? 0 : last, 0);
  for (size_t i = 0; i < levels; ++i)
    add("scales", term.scale->levels[i].element, last, 0);
  if (term.zero)
    // GPTQ stores zero points less 1.
    add("qzeros", term.zero->levels[0].element, last, name == "gptq" ? 1 : 0);
  return all;
}

/// Blocks of consecutive elements of the flattened tensor: all axes before `axis` of extent 1, all
/// after it whole.
static bool isFlat(const Shape &block, const Shape &shape) {
  size_t axis = 0;
  while (axis + 1 < shape.size() && block[axis] == 1)
    ++axis;
  if (axis + 1 < shape.size() && block[axis] > 1)
    for (size_t i = axis + 1; i < shape.size(); ++i)
      if (block[i] != shape[i])
        return false;
  return true;
}

static std::optional<std::string> checkBnb(const Quantized &term, const Shape &shape) {
  bool isKnown = term.format.bits() == 4 && !term.format.isFloat() && !term.zero && term.scale &&
                 !term.scale->rank1 && term.scale->levels.size() <= 2;
  if (isKnown && term.scale->levels.size() == 2)
    isKnown = term.scale->levels[0].element.kind() == FormatKind::Float32;
  for (size_t i = 0; isKnown && i < term.scale->levels.size(); ++i) {
    const ScaleLevel &level = term.scale->levels[i];
    isKnown = level.element.isFloat() || level.element.bits() == 8;
  }
  if (!isKnown)
    return "layout bnb stores 4-bit codes with a scale per block, itself f32 or 8 bits times an "
           "f32 "
           "per block, not " +
           term.str();
  Shape inner = term.scale->levels.back().granularity.blockOf(shape);
  for (size_t i = 0; i + 1 < inner.size(); ++i)
    if (inner[i] != 1)
      return "layout bnb has blocks along the last axis";
  if (shape.back() % inner.back() != 0 || inner.back() % 2 != 0)
    return "layout bnb needs a last axis of whole blocks, of an even number of elements";
  if (term.scale->levels.size() == 2 &&
      !isFlat(term.scale->levels[0].granularity.blockOf(shape), shape))
    return "layout bnb needs outer blocks of consecutive elements of the flattened tensor";
  return std::nullopt;
}

std::optional<std::string> CheckpointLayout::check(const Quantized &term,
                                                   const Shape &shape) const {
  if (name == "bnb")
    return checkBnb(term, shape);
  unsigned bits = term.format.bits();
  bool hasWidth = name == "awq" ? bits == 4 : bits == 2 || bits == 4 || bits == 8;
  bool isKnown = term.format.kind() == FormatKind::UInt && hasWidth && term.scale &&
                 !term.scale->rank1 && term.scale->levels.size() == 1 && !term.scale->offset &&
                 term.scale->levels[0].element.isFloat() && term.zeroKind == ZeroKind::Integer &&
                 term.zero->levels[0].element == term.format;
  if (!isKnown)
    return "layout " + name + " stores uint<4>" + (name == "gptq" ? " (or 2 or 8 bits)" : "") +
           " with one float scale and one zero point of the same format per block, not " +
           term.str();
  if (shape.size() != 2)
    return "layout " + name + " needs a tensor [inputs, outputs], not of rank " +
           std::to_string(shape.size());
  for (const Scale *tree : {&*term.scale, &*term.zero}) {
    Shape block = tree->levels[0].granularity.blockOf(shape);
    if (block[1] != 1 || block != term.scale->levels[0].granularity.blockOf(shape))
      return "layout " + name +
             " has one scale and one zero point for each group of inputs and each "
             "output: blocks [group, 1]";
  }
  int64_t perWord = 32 / bits;
  if (shape[1] % perWord != 0 || (name == "gptq" && shape[0] % perWord != 0))
    return "layout " + name + " needs " + (name == "gptq" ? "inputs and outputs" : "outputs") +
           " in multiples of " + std::to_string(perWord) + " codes, not " +
           std::to_string(shape[0]) + " x " + std::to_string(shape[1]);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

static Shape wordShape(const WordArray &array, Shape shape) {
  shape[array.axis] /= array.codesPerWord();
  return shape;
}

std::vector<Component> CheckpointLayout::components(const Quantized &term,
                                                    const Shape &shape) const {
  std::vector<Component> list;
  std::vector<CodeArray> arrays = codeArrays(term, shape);
  std::vector<WordArray> words = wordArrays(term, shape.size());
  for (size_t i = 0; i < arrays.size(); ++i)
    list.push_back({words[i].name, words[i].type, wordShape(words[i], arrays[i].shape)});
  return list;
}

/// Calls visit(code, word, shift) with the numbers of each code of the array and of its word.
template <typename Visitor>
static void forEachCode(const WordArray &array, const Shape &shape, Visitor visit) {
  int64_t perWord = array.codesPerWord(), outer = 1, inner = 1;
  for (size_t axis = 0; axis < array.axis; ++axis)
    outer *= shape[axis];
  for (size_t axis = array.axis + 1; axis < shape.size(); ++axis)
    inner *= shape[axis];
  std::vector<int64_t> shifts;
  for (int64_t place = 0; place < perWord; ++place) {
    int64_t shift = array.shift, rest = place;
    for (size_t i = array.digits.size(); i-- > 0; rest /= array.digits[i])
      shift += rest % array.digits[i] * array.shiftStrides[i];
    shifts.push_back(shift);
  }
  int64_t extent = shape[array.axis];
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < extent; ++j)
      for (int64_t k = 0; k < inner; ++k)
        visit(static_cast<size_t>((i * extent + j) * inner + k),
              static_cast<size_t>((i * (extent / perWord) + j / perWord) * inner + k),
              static_cast<unsigned>(shifts[static_cast<size_t>(j % perWord)]));
}

static uint32_t maskOf(unsigned bits) { return bits >= 32 ? ~0u : (1u << bits) - 1; }

std::vector<Codes> CheckpointLayout::unpack(const Quantized &term, const Shape &shape,
                                            const std::vector<const uint8_t *> &data) const {
  std::vector<Codes> all;
  std::vector<CodeArray> arrays = codeArrays(term, shape);
  std::vector<WordArray> words = wordArrays(term, shape.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    size_t bytes = static_cast<size_t>(bytesOf(words[i].type));
    Codes &codes = all.emplace_back(static_cast<size_t>(*elementCount(arrays[i].shape)));
    forEachCode(words[i], arrays[i].shape, [&](size_t code, size_t word, unsigned shift) {
      uint32_t value = 0;
      std::memcpy(&value, data[i] + word * bytes, bytes);
      codes[code] = ((value >> shift) + words[i].bias) & maskOf(arrays[i].format.bits());
    });
  }
  return all;
}

std::vector<Bytes> CheckpointLayout::pack(const Quantized &term, const Shape &shape,
                                          const std::vector<Codes> &codes) const {
  std::vector<Bytes> all;
  std::vector<CodeArray> arrays = codeArrays(term, shape);
  std::vector<WordArray> words = wordArrays(term, shape.size());
  std::vector<Component> list = components(term, shape);
  for (size_t i = 0; i < arrays.size(); ++i) {
    size_t width = static_cast<size_t>(bytesOf(words[i].type));
    Bytes &bytes = all.emplace_back(static_cast<size_t>(list[i].bytes()));
    forEachCode(words[i], arrays[i].shape, [&](size_t code, size_t word, unsigned shift) {
      uint32_t value = 0;
      std::memcpy(&value, bytes.data() + word * width, width);
      value |= ((codes[i][code] - words[i].bias) & maskOf(arrays[i].format.bits())) << shift;
      std::memcpy(bytes.data() + word * width, &value, width);
    });
  }
  return all;
}

std::shared_ptr<const CheckpointLayout> checkpointLayout(std::string_view name) {
  for (std::string_view known : {"gptq", "awq", "bnb"})
    if (name == known)
      return std::make_shared<CheckpointLayout>(std::string(name));
  return nullptr;
}

} // namespace lowbit::numerics
