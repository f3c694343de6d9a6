//===- Packing.cpp - Codes to bytes and back ----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Packing.h"

#include <algorithm>
#include <cassert>

namespace lowbit::numerics {

std::vector<Plane> planesOf(unsigned bits) {
  std::vector<Plane> planes;
  unsigned shift = 0;
  for (unsigned width : {32u, 16u, 8u, 4u, 2u, 1u})
    if (bits & width) {
      planes.push_back({shift, width});
      shift += width;
    }
  return planes;
}

std::vector<Plane> planesOfWidths(const std::vector<unsigned> &widths) {
  std::vector<Plane> planes;
  unsigned shift = 0;
  for (unsigned width : widths) {
    planes.push_back({shift, width});
    shift += width;
  }
  return planes;
}

int64_t rowBytes(int64_t columns, unsigned width) {
  if (width >= 8)
    return columns * (width / 8);
  return ceilDivide(columns, 8 / width);
}

static uint32_t maskOf(unsigned width) { return width == 32 ? ~0u : (1u << width) - 1; }

template <typename Code>
static void packRowOf(const Code *codes, int64_t columns, Plane plane, uint8_t *row) {
  uint32_t mask = maskOf(plane.width);
  if (plane.width >= 8) {
    int64_t bytes = plane.width / 8;
    for (int64_t j = 0; j < columns; ++j) {
      uint32_t field = (static_cast<uint32_t>(codes[j]) >> plane.shift) & mask;
      for (int64_t byte = 0; byte < bytes; ++byte)
        row[j * bytes + byte] = static_cast<uint8_t>(field >> (8 * byte));
    }
    return;
  }
  unsigned perByte = 8 / plane.width;
  for (int64_t first = 0; first < columns; first += perByte) {
    int64_t count = std::min<int64_t>(perByte, columns - first);
    uint32_t byte = 0;
    for (int64_t j = 0; j < count; ++j)
      byte |= ((static_cast<uint32_t>(codes[first + j]) >> plane.shift) & mask)
              << (j * plane.width);
    *row++ = static_cast<uint8_t>(byte);
  }
}

template <typename Code>
static void unpackRowOf(const uint8_t *row, int64_t columns, Plane plane, Code *codes) {
  uint32_t mask = maskOf(plane.width);
  if (plane.width >= 8) {
    int64_t bytes = plane.width / 8;
    for (int64_t j = 0; j < columns; ++j) {
      uint32_t field = 0;
      for (int64_t byte = 0; byte < bytes; ++byte)
        field |= static_cast<uint32_t>(row[j * bytes + byte]) << (8 * byte);
      codes[j] |= static_cast<Code>(field << plane.shift);
    }
    return;
  }
  unsigned perByte = 8 / plane.width;
  for (int64_t j = 0; j < columns; ++j) {
    uint32_t field = (row[j / perByte] >> (j % perByte * plane.width)) & mask;
    codes[j] |= static_cast<Code>(field << plane.shift);
  }
}

void packRow(const uint32_t *codes, int64_t columns, Plane plane, uint8_t *row) {
  packRowOf(codes, columns, plane, row);
}

void unpackRow(const uint8_t *row, int64_t columns, Plane plane, uint32_t *codes) {
  unpackRowOf(row, columns, plane, codes);
}

/// Rows that have elements: none in an empty tensor, whatever its leading extents.
static int64_t rowCount(const Shape &shape) {
  int64_t elements = *elementCount(shape);
  return elements == 0 ? 0 : elements / shape.back();
}

template <typename Code>
std::vector<Bytes> packTensor(const Code *codes, const Shape &shape,
                              const std::vector<Plane> &planes) {
  assert(planes.back().shift + planes.back().width <= 8 * sizeof(Code) &&
         "codes do not fit their type");
  int64_t rows = rowCount(shape), columns = shape.back();
  std::vector<Bytes> packed;
  for (Plane plane : planes) {
    int64_t pitch = rowBytes(columns, plane.width);
    Bytes &bytes = packed.emplace_back(static_cast<size_t>(rows * pitch));
    for (int64_t row = 0; row < rows; ++row)
      packRowOf(codes + row * columns, columns, plane, bytes.data() + row * pitch);
  }
  return packed;
}

template <typename Code>
void unpackTensor(const uint8_t *const *data, const Shape &shape, const std::vector<Plane> &planes,
                  Code *codes) {
  assert(planes.back().shift + planes.back().width <= 8 * sizeof(Code) &&
         "codes do not fit their type");
  int64_t rows = rowCount(shape), columns = shape.back();
  std::fill_n(codes, rows * columns, Code(0));
  for (Plane plane : planes) {
    const uint8_t *bytes = *data++;
    int64_t pitch = rowBytes(columns, plane.width);
    for (int64_t row = 0; row < rows; ++row)
      unpackRowOf(bytes + row * pitch, columns, plane, codes + row * columns);
  }
}

template std::vector<Bytes> packTensor(const uint8_t *, const Shape &, const std::vector<Plane> &);
template std::vector<Bytes> packTensor(const uint32_t *, const Shape &, const std::vector<Plane> &);
template void unpackTensor(const uint8_t *const *, const Shape &, const std::vector<Plane> &,
                           uint8_t *);
template void unpackTensor(const uint8_t *const *, const Shape &, const std::vector<Plane> &,
                           uint32_t *);

} // namespace lowbit::numerics
