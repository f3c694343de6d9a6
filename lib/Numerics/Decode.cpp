//===- Decode.cpp - Components of a term and their decoded values -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaleField.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Reference.h"

#include <algorithm>
#include <cassert>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Components
//===----------------------------------------------------------------------===//

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

static ElementType elementTypeOf(const Format &format) {
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

/// Appends the planes of an array of `format` codes: `name`, or `name.0`, `name.1`, ...
static void appendPlanes(std::vector<Component> &list, const std::string &name,
                         const Format &format, const Shape &shape) {
  if (format.isFloat()) {
    list.push_back({name, elementTypeOf(format), shape});
    return;
  }
  std::vector<Plane> planes = planesOf(format.bits());
  for (size_t i = 0; i < planes.size(); ++i) {
    bool isBytes = planes[i].width <= 8;
    Shape stored = shape;
    if (isBytes)
      stored.back() = rowBytes(shape.back(), planes[i].width);
    list.push_back({planes.size() == 1 ? name : name + "." + std::to_string(i),
                    isBytes ? ElementType::UInt8 : ElementType::Int16, std::move(stored)});
  }
}

static void appendScale(std::vector<Component> &list, const std::string &name, const Scale &scale,
                        const Shape &shape) {
  if (scale.rank1) {
    appendPlanes(list, name + ".row", scale.rank1->element, {shape[0]});
    appendPlanes(list, name + ".column", scale.rank1->element, {shape[1]});
    return;
  }
  for (size_t i = 0; i < scale.levels.size(); ++i) {
    const ScaleLevel &level = scale.levels[i];
    Shape grid = Tiling(shape, level.granularity.blockOf(shape)).grid();
    appendPlanes(list, scale.levels.size() == 1 ? name : name + "." + std::to_string(i),
                 level.element, grid);
  }
}

std::vector<Component> components(const Quantized &term, const Shape &shape) {
  std::vector<Component> list;
  if (term.layout != Layout::Planes) {
    Shape blocks = shape;
    blocks.back() /= ggmlBlockSize;
    blocks.push_back(ggmlBlockBytes(term.layout));
    list.push_back({"blocks", ElementType::UInt8, std::move(blocks)});
    return list;
  }
  appendPlanes(list, "codes", term.format, shape);
  if (term.scale)
    appendScale(list, "scale", *term.scale, shape);
  if (term.zero)
    appendScale(list, term.zeroKind == ZeroKind::Integer ? "zero" : "min", *term.zero, shape);
  return list;
}

std::vector<Component> components(const Sparse &term, const Shape &shape, int64_t entries) {
  return {{"positions", ElementType::Int32, {shape[0] + 1}},
          {"columns", ElementType::Int32, {entries}},
          {"values", elementTypeOf(term.values), {entries}}};
}

//===----------------------------------------------------------------------===//
// Decode
//===----------------------------------------------------------------------===//

namespace {
/// What one row decodes from: codes, and the scale and zero point at each element.
struct Row {
  std::vector<uint32_t> codes;
  std::vector<float> scale, zero;

  explicit Row(int64_t columns)
      : codes(static_cast<size_t>(columns)), scale(codes.size()), zero(codes.size()) {}
};
} // namespace

/// The arithmetic of every term. Each line is one f32 operation, rounded by itself.
static void decodeRow(const Quantized &term, const Row &row, float *out) {
  for (size_t j = 0; j < row.codes.size(); ++j) {
    float value = term.format.decode(row.codes[j]);
    if (term.zeroKind == ZeroKind::Integer)
      value = value - row.zero[j]; // exact: small integers
    if (term.scale)
      value = row.scale[j] * value;
    if (term.zeroKind == ZeroKind::Additive)
      value = value + row.zero[j];
    out[j] = value;
  }
}

static void readGgmlRow(Layout layout, const uint8_t *blocks, Row &row) {
  for (size_t begin = 0; begin < row.codes.size(); begin += ggmlBlockSize) {
    uint16_t scale = 0, minimum = 0;
    unpackGgmlBlock(layout, blocks, &row.codes[begin], scale, minimum);
    std::fill_n(&row.scale[begin], ggmlBlockSize, floatOfHalf(scale));
    std::fill_n(&row.zero[begin], ggmlBlockSize, floatOfHalf(minimum));
    blocks += ggmlBlockBytes(layout);
  }
}

void decode(const Quantized &term, const Shape &shape, const std::vector<const uint8_t *> &data,
            float *out) {
  assert(!check(term, shape) && "the term does not apply to this shape");
  assert(data.size() == components(term, shape).size() && "one buffer for each component");
  int64_t columns = shape.back();
  if (*elementCount(shape) == 0)
    return;
  int64_t rows = *elementCount(shape) / columns;
  Row row(columns);

  if (term.layout != Layout::Planes) {
    int64_t pitch = columns / ggmlBlockSize * ggmlBlockBytes(term.layout);
    for (int64_t i = 0; i < rows; ++i) {
      readGgmlRow(term.layout, data[0] + i * pitch, row);
      decodeRow(term, row, out + i * columns);
    }
    return;
  }

  std::vector<Plane> planes = planesOf(term.format.bits());
  const uint8_t *const *trees = data.data() + planes.size();
  std::optional<ScaleField> scale, zero;
  if (term.scale)
    scale = decodeScale(*term.scale, shape, trees);
  if (term.zero)
    zero = decodeScale(*term.zero, shape, trees);
  for (int64_t i = 0; i < rows; ++i) {
    std::fill(row.codes.begin(), row.codes.end(), 0);
    for (size_t plane = 0; plane < planes.size(); ++plane)
      unpackRow(data[plane] + i * rowBytes(columns, planes[plane].width), columns, planes[plane],
                row.codes.data());
    if (scale)
      scale->fillRow(i, row.scale.data());
    if (zero)
      zero->fillRow(i, row.zero.data());
    decodeRow(term, row, out + i * columns);
  }
}

std::vector<float> decode(const Quantized &term, const Shape &shape,
                          const std::vector<Bytes> &data) {
  std::vector<const uint8_t *> pointers;
  for (const Bytes &bytes : data)
    pointers.push_back(bytes.data());
  std::vector<float> out(static_cast<size_t>(*elementCount(shape)));
  decode(term, shape, pointers, out.data());
  return out;
}

} // namespace lowbit::numerics
