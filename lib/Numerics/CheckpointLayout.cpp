//===- CheckpointLayout.cpp - Words of codes, as in checkpoints ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/CheckpointLayout.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace lowbit::numerics {

int64_t WordArray::codesPerGroup() const {
  int64_t product = 1;
  for (int64_t radix : digits)
    product *= radix;
  return product;
}

const std::vector<CheckpointFormat> &checkpointFormats() {
  static const std::vector<CheckpointFormat> formats = {
      {"awq", ElementType::Int32, {4}, 1, true, 0},
      {"bnb", ElementType::UInt8, {4}, 0, false, 0},
      {"gptq", ElementType::Int32, {2, 3, 4, 8}, 0, false, 1},
      {"gptq_v2", ElementType::Int32, {2, 3, 4, 8}, 0, false, 0},
  };
  return formats;
}

std::shared_ptr<const CheckpointLayout> checkpointLayout(std::string_view name) {
  for (const CheckpointFormat &format : checkpointFormats())
    if (format.name == name)
      return std::make_shared<CheckpointLayout>(format);
  return nullptr;
}

std::vector<WordArray> CheckpointLayout::wordArrays(const Quantized &term, size_t rank) const {
  // In the order of codeArrays.
  std::vector<WordArray> all;
  auto add = [&](std::string component, const Format &element, size_t axis, uint32_t bias) {
    WordArray array{std::move(component), elementTypeOf(element), axis, {1}, {0}};
    if (!element.isFloat()) {
      int64_t bits = element.bits();
      array.type = format.word;
      array.bias = bias;
      if (isBytes()) {
        // The first code takes the high bits.
        array.digits = {8 / bits};
        array.shiftStrides = {-bits};
        array.shift = 8 - bits;
      } else if (format.isInterleaved) {
        array.digits = {16 / bits, 2};
        array.shiftStrides = {bits, 16};
      } else {
        int64_t groupBits = std::lcm(bits, int64_t(32));
        array.words = groupBits / 32;
        array.digits = {groupBits / bits};
        array.shiftStrides = {bits};
      }
    }
    all.push_back(std::move(array));
  };
  size_t last = rank - 1, levels = term.scale ? term.scale->levels.size() : 0;
  if (isBytes()) {
    add("weight", term.format, last, 0);
    for (size_t i = 0; i < levels; ++i)
      add(i + 1 == levels ? "absmax" : "nested_absmax", term.scale->levels[i].element, last, 0);
    if (term.scale && term.scale->offset)
      add("nested_offset", term.scale->offset->element, last, 0);
    return all;
  }
  add("qweight", term.format, format.axis, 0);
  for (size_t i = 0; i < levels; ++i)
    add("scales", term.scale->levels[i].element, last, 0);
  if (term.zero)
    add("qzeros", term.zero->levels[0].element, last, format.zeroBias);
  return all;
}

//===----------------------------------------------------------------------===//
// What they can hold
//===----------------------------------------------------------------------===//

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

std::optional<std::string> CheckpointLayout::checkBytes(const Quantized &term,
                                                        const Shape &shape) const {
  bool isKnown = term.format.bits() == 4 && !term.format.isFloat() && !term.zero && term.scale &&
                 !term.scale->rank1 && term.scale->levels.size() <= 2;
  if (isKnown && term.scale->levels.size() == 2)
    isKnown = term.scale->levels[0].element.kind() == FormatKind::Float32;
  for (size_t i = 0; isKnown && i < term.scale->levels.size(); ++i) {
    const ScaleLevel &level = term.scale->levels[i];
    isKnown = level.element.isFloat() || level.element.bits() == 8;
  }
  if (!isKnown)
    return "layout " + str() +
           " stores 4-bit codes with a scale per block, itself f32 or 8 bits times an f32 per "
           "block, not " +
           term.str();
  Shape inner = term.scale->levels.back().granularity.blockOf(shape);
  for (size_t i = 0; i + 1 < inner.size(); ++i)
    if (inner[i] != 1)
      return "layout " + str() + " has blocks along the last axis";
  // Blocks of bitsandbytes run on from row to row.
  bool isOneRow = std::all_of(shape.begin(), shape.end() - 1, [](int64_t n) { return n == 1; });
  bool isEven = inner.back() % 2 == 0;
  if (!isEven && inner.back() < shape.back())
    return "layout " + str() + " has blocks of an even number of elements";
  if (!isOneRow && (!isEven || shape.back() % std::max<int64_t>(inner.back(), 1) != 0))
    return "layout " + str() +
           " needs a last axis of whole blocks (others: flattened<...> with blocks of one axis)";
  if (term.scale->levels.size() == 2 &&
      !isFlat(term.scale->levels[0].granularity.blockOf(shape), shape))
    return "layout " + str() +
           " needs outer blocks of consecutive elements of the flattened tensor";
  return std::nullopt;
}

std::optional<std::string> CheckpointLayout::checkWords(const Quantized &term,
                                                        const Shape &shape) const {
  unsigned bits = term.format.bits();
  bool hasWidth =
      std::find(format.widths.begin(), format.widths.end(), bits) != format.widths.end();
  bool isKnown = term.format.kind() == FormatKind::UInt && hasWidth && term.scale &&
                 !term.scale->rank1 && term.scale->levels.size() == 1 && !term.scale->offset &&
                 term.scale->levels[0].element.isFloat() && term.zeroKind == ZeroKind::Integer &&
                 term.zero->levels[0].element == term.format;
  if (!isKnown) {
    std::string widths;
    for (unsigned width : format.widths)
      widths += (widths.empty() ? "" : ", ") + ("uint<" + std::to_string(width) + ">");
    return "layout " + str() + " stores " + widths +
           " with one float scale and one zero point of the same format per block, not " +
           term.str();
  }
  if (shape.size() != 2)
    return "layout " + str() + " needs a tensor [inputs, outputs], not of rank " +
           std::to_string(shape.size());
  for (const Scale *tree : {&*term.scale, &*term.zero}) {
    Shape block = tree->levels[0].granularity.blockOf(shape);
    if (block[1] != 1 || block != term.scale->levels[0].granularity.blockOf(shape))
      return "layout " + str() +
             " has one scale and one zero point for each group of inputs and each "
             "output: blocks [group, 1]";
  }
  int64_t codes = wordArrays(term, 2)[0].codesPerGroup();
  if (shape[1] % codes != 0 || (format.axis == 0 && shape[0] % codes != 0))
    return "layout " + str() + " needs " + (format.axis == 0 ? "inputs and outputs" : "outputs") +
           " in multiples of " + std::to_string(codes) + " codes, not " + std::to_string(shape[0]) +
           " x " + std::to_string(shape[1]);
  return std::nullopt;
}

std::optional<std::string> CheckpointLayout::check(const Quantized &term,
                                                   const Shape &shape) const {
  return isBytes() ? checkBytes(term, shape) : checkWords(term, shape);
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// Groups of an axis of n codes, the last of which may be partial.
static int64_t groupsOf(const WordArray &array, int64_t n) {
  return (n + array.codesPerGroup() - 1) / array.codesPerGroup();
}

static Shape wordShape(const WordArray &array, Shape shape) {
  shape[array.axis] = groupsOf(array, shape[array.axis]) * array.words;
  return shape;
}

namespace {
/// The words of one array, with the codes as fields of `bits` bits.
template <typename Byte> struct Words {
  const WordArray &array;
  Byte *data;
  unsigned bits;
  size_t next = 1; ///< from a word to the one after it along the axis

  uint32_t load(size_t word) const {
    size_t width = static_cast<size_t>(bytesOf(array.type));
    uint32_t value = 0;
    std::memcpy(&value, data + word * width, width);
    return value;
  }
  void add(size_t word, uint32_t value) const {
    size_t width = static_cast<size_t>(bytesOf(array.type));
    value |= load(word);
    std::memcpy(data + word * width, &value, width);
  }
  uint32_t mask() const { return bits >= 32 ? ~0u : (1u << bits) - 1; }
  unsigned wordBits() const { return static_cast<unsigned>(array.wordBits()); }

  uint32_t get(size_t word, unsigned shift) const {
    uint32_t value = load(word) >> shift;
    if (shift + bits > wordBits())
      value |= load(word + next) << (wordBits() - shift);
    return (value + array.bias) & mask();
  }
  void set(size_t word, unsigned shift, uint32_t code) const {
    code = (code - array.bias) & mask();
    add(word, code << shift);
    if (shift + bits > wordBits())
      add(word + next, code >> (wordBits() - shift));
  }
};
} // namespace

/// Calls visit(code, word, shift) with the numbers of each code of the array and of the word in
/// which it begins.
template <typename Byte, typename Visitor>
static void forEachCode(Words<Byte> &words, const Shape &shape, Visitor visit) {
  const WordArray &array = words.array;
  int64_t perGroup = array.codesPerGroup(), outer = 1, inner = 1;
  for (size_t axis = 0; axis < array.axis; ++axis)
    outer *= shape[axis];
  for (size_t axis = array.axis + 1; axis < shape.size(); ++axis)
    inner *= shape[axis];
  words.next = static_cast<size_t>(inner);
  std::vector<int64_t> places; // in the bits of a group
  for (int64_t number = 0; number < perGroup; ++number) {
    int64_t place = array.shift, rest = number;
    for (size_t i = array.digits.size(); i-- > 0; rest /= array.digits[i])
      place += rest % array.digits[i] * array.shiftStrides[i];
    places.push_back(place);
  }
  int64_t extent = shape[array.axis], wordExtent = groupsOf(array, extent) * array.words;
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < extent; ++j) {
      int64_t place = places[static_cast<size_t>(j % perGroup)];
      int64_t word = i * wordExtent + j / perGroup * array.words + place / array.wordBits();
      for (int64_t k = 0; k < inner; ++k)
        visit(static_cast<size_t>((i * extent + j) * inner + k),
              static_cast<size_t>(word * inner + k),
              static_cast<unsigned>(place % array.wordBits()));
    }
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

std::vector<Codes> CheckpointLayout::unpack(const Quantized &term, const Shape &shape,
                                            const std::vector<const uint8_t *> &data) const {
  std::vector<Codes> all;
  std::vector<CodeArray> arrays = codeArrays(term, shape);
  std::vector<WordArray> stored = wordArrays(term, shape.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    Words<const uint8_t> words{stored[i], data[i], arrays[i].format.bits()};
    Codes &codes = all.emplace_back(static_cast<size_t>(*elementCount(arrays[i].shape)));
    forEachCode(words, arrays[i].shape, [&](size_t code, size_t word, unsigned shift) {
      codes[code] = words.get(word, shift);
    });
  }
  return all;
}

std::vector<Bytes> CheckpointLayout::pack(const Quantized &term, const Shape &shape,
                                          const std::vector<Codes> &codes) const {
  std::vector<Bytes> all;
  std::vector<CodeArray> arrays = codeArrays(term, shape);
  std::vector<WordArray> stored = wordArrays(term, shape.size());
  std::vector<Component> list = components(term, shape);
  for (size_t i = 0; i < arrays.size(); ++i) {
    Bytes &bytes = all.emplace_back(static_cast<size_t>(list[i].bytes()));
    Words<uint8_t> words{stored[i], bytes.data(), arrays[i].format.bits()};
    forEachCode(words, arrays[i].shape, [&](size_t code, size_t word, unsigned shift) {
      words.set(word, shift, codes[i][code]);
    });
  }
  return all;
}

} // namespace lowbit::numerics
