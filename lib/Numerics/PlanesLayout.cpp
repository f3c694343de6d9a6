//===- PlanesLayout.cpp - Every component its own array --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Layout.h"
#include "lowbit/Numerics/Packing.h"

#include <cassert>

namespace lowbit::numerics {

int64_t bytesOf(ElementType type) {
  switch (type) {
  case ElementType::UInt8:
    return 1;
  case ElementType::Int16:
  case ElementType::Float16:
  case ElementType::BFloat16:
    return 2;
  case ElementType::Int32:
  case ElementType::Float32:
    return 4;
  }
  return 0;
}

int64_t Component::bytes() const { return *elementCount(shape) * bytesOf(type); }

ElementType elementTypeOf(const Format &format) {
  switch (format.kind()) {
  case FormatKind::Float16:
    return ElementType::Float16;
  case FormatKind::BFloat16:
    return ElementType::BFloat16;
  case FormatKind::Float32:
    return ElementType::Float32;
  default:
    return ElementType::UInt8;
  }
}

namespace {
class PlanesLayout final : public Layout {
public:
  explicit PlanesLayout(std::vector<unsigned> widths) : widths(std::move(widths)) {}

  std::string str() const override {
    std::string text;
    for (unsigned width : widths)
      text += (text.empty() ? "" : ", ") + std::to_string(width);
    return text.empty() ? "planes" : "planes<" + text + ">";
  }

  std::optional<std::string> check(const Quantized &term, const Shape &) const override {
    return checkPlanes(term.format, widths);
  }

  /// An array of codes is `name`, or `name.0`, `name.1`, ... where it has more planes than one;
  /// planes of 16 bits are arrays of such integers, narrower ones of bytes.
  std::vector<Component> components(const Quantized &term, const Shape &shape) const override {
    std::vector<Component> list;
    for (const CodeArray &array : codeArrays(term, shape)) {
      if (array.format.isFloat()) {
        list.push_back({array.name, elementTypeOf(array.format), array.shape});
        continue;
      }
      std::vector<Plane> planes = planesOfArray(array, list.empty());
      for (size_t i = 0; i < planes.size(); ++i) {
        bool isBytes = planes[i].width <= 8;
        Shape stored = array.shape;
        if (isBytes)
          stored.back() = rowBytes(array.shape.back(), planes[i].width);
        list.push_back({planes.size() == 1 ? array.name : array.name + "." + std::to_string(i),
                        isBytes ? ElementType::UInt8 : ElementType::Int16, std::move(stored)});
      }
    }
    return list;
  }

  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override {
    std::vector<Codes> arrays;
    const uint8_t *const *next = data.data();
    for (const CodeArray &array : codeArrays(term, shape)) {
      Codes &codes = arrays.emplace_back(static_cast<size_t>(*elementCount(array.shape)));
      std::vector<Plane> planes = planesOfArray(array, arrays.size() == 1);
      unpackTensor(next, array.shape, planes, codes.data());
      next += planes.size();
    }
    return arrays;
  }

  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override {
    std::vector<Bytes> packed;
    std::vector<CodeArray> list = codeArrays(term, shape);
    for (size_t i = 0; i < list.size(); ++i)
      for (Bytes &bytes :
           packTensor(arrays[i].data(), list[i].shape, planesOfArray(list[i], i == 0)))
        packed.push_back(std::move(bytes));
    return packed;
  }

private:
  /// `isOwn`: the term's codes, not those of a scale.
  std::vector<Plane> planesOfArray(const CodeArray &array, bool isOwn) const {
    return isOwn && !widths.empty() ? planesOfWidths(widths) : planesOf(array.format.bits());
  }

  std::vector<unsigned> widths;
};
} // namespace

std::shared_ptr<const Layout> planesLayout(std::vector<unsigned> widths) {
  static const std::shared_ptr<const Layout> plain =
      std::make_shared<PlanesLayout>(std::vector<unsigned>());
  return widths.empty() ? plain : std::make_shared<PlanesLayout>(std::move(widths));
}

std::optional<std::string> checkPlanes(const Format &format, const std::vector<unsigned> &widths) {
  if (widths.empty())
    return std::nullopt;
  unsigned sum = 0;
  for (unsigned width : widths) {
    if (width != 1 && width != 2 && width != 4 && width != 7 && width != 8)
      return "a plane has 1, 2, 4, 7 or 8 bits, not " + std::to_string(width);
    sum += width;
    if (sum > 32)
      break;
  }
  if (format.isFloat() || sum != format.bits())
    return "planes of " + std::to_string(sum) + " bits do not hold codes of " + format.str() +
           ", which have " + std::to_string(format.bits()) +
           (format.isFloat() ? " and are not split" : "");
  return std::nullopt;
}

std::vector<Codes> Layout::chooseCodes(const Quantized &, const Shape &, const float *) const {
  assert(false && "this layout has no encoder");
  return {};
}

bool usesOwnEncoder(const Quantized &term) {
  return term.rule.choice == EncodeRule::Choice::Default && layoutOf(term).hasEncoder();
}

const Layout &layoutOf(const Quantized &term) {
  return term.layout ? *term.layout : *planesLayout();
}

} // namespace lowbit::numerics
