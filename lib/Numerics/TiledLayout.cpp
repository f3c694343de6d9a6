//===- TiledLayout.cpp - Inner tiles of 16 rows x 4 columns ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/TiledLayout.h"

namespace lowbit::numerics {

namespace {
class TiledLayout final : public Layout {
public:
  std::string str() const override { return "tiled"; }

  std::optional<std::string> check(const Quantized &term, const Shape &shape) const override {
    return checkInnerTiles(str(), term, shape);
  }

  std::vector<Component> components(const Quantized &term, const Shape &shape) const override {
    std::vector<Component> list;
    for (const CodeArray &array : codeArrays(term, shape)) {
      bool isOwn = list.empty();
      if (!isOwn) {
        list.push_back({array.name, levelType(array.format), levelShape(array.shape, shape)});
        continue;
      }
      std::vector<Plane> planes = planesOf(array.format.bits());
      for (size_t i = 0; i < planes.size(); ++i)
        list.push_back({planes.size() == 1 ? array.name : array.name + "." + std::to_string(i),
                        ElementType::UInt8,
                        {ceilDivide(shape[0], InnerTile::rows),
                         ceilDivide(shape[1], columnsPerVector(planes[i])), InnerTile::bytes}});
    }
    return list;
  }

  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override {
    std::vector<Codes> arrays;
    std::vector<Component> stored = components(term, shape);
    std::vector<Plane> planes = planesOf(term.format.bits());
    Codes codes(static_cast<size_t>(shape[0] * shape[1]), signBit(term.format));
    for (size_t p = 0; p < planes.size(); ++p)
      forEachField(shape, planes[p], stored[p].shape[1],
                   [&](int64_t element, int64_t byte, unsigned shift) {
                     uint32_t field = data[p][byte] >> shift & ((1u << planes[p].width) - 1);
                     codes[element] ^= field << planes[p].shift;
                   });
    arrays.push_back(std::move(codes));
    std::vector<CodeArray> list = codeArrays(term, shape);
    for (size_t i = 1; i < list.size(); ++i) {
      const Component &component = stored[planes.size() + i - 1];
      const uint8_t *bytes = data[planes.size() + i - 1];
      Codes &level = arrays.emplace_back(static_cast<size_t>(*elementCount(list[i].shape)));
      // Bits beyond the code's own are no part of it, whatever they are.
      uint32_t mask = ~0u >> (32 - list[i].format.bits());
      forEachLevel(list[i].shape, shape, [&](int64_t element, int64_t place) {
        int64_t width = bytesOf(component.type);
        for (int64_t byte = 0; byte < width; ++byte)
          level[element] |= uint32_t(bytes[place * width + byte]) << (8 * byte);
        level[element] &= mask;
      });
    }
    return arrays;
  }

  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override {
    std::vector<Bytes> packed;
    std::vector<Component> stored = components(term, shape);
    for (const Component &component : stored)
      packed.emplace_back(static_cast<size_t>(component.bytes()));
    std::vector<Plane> planes = planesOf(term.format.bits());
    uint32_t sign = signBit(term.format);
    for (size_t p = 0; p < planes.size(); ++p)
      forEachField(shape, planes[p], stored[p].shape[1],
                   [&](int64_t element, int64_t byte, unsigned shift) {
                     uint32_t code = arrays[0][element] ^ sign;
                     uint32_t field = code >> planes[p].shift & ((1u << planes[p].width) - 1);
                     packed[p][byte] |= uint8_t(field << shift);
                   });
    std::vector<CodeArray> list = codeArrays(term, shape);
    for (size_t i = 1; i < list.size(); ++i) {
      size_t at = planes.size() + i - 1;
      forEachLevel(list[i].shape, shape, [&](int64_t element, int64_t place) {
        int64_t width = bytesOf(stored[at].type);
        for (int64_t byte = 0; byte < width; ++byte)
          packed[at][place * width + byte] = uint8_t(arrays[i][element] >> (8 * byte));
      });
    }
    return packed;
  }

private:
  static uint32_t signBit(const Format &format) {
    return format.kind() == FormatKind::Int ? 1u << (format.bits() - 1) : 0;
  }

  static ElementType levelType(const Format &format) {
    bool isWide = !format.isFloat() && format.bits() > 8;
    return isWide ? ElementType::Int16 : elementTypeOf(format);
  }

  static Shape levelShape(const Shape &grid, const Shape &shape) {
    if (grid[0] != shape[0])
      return grid;
    return {ceilDivide(grid[0], InnerTile::rows), grid[1], InnerTile::rows};
  }

  /// visit(element of the tensor, byte of the plane, lowest bit in it).
  template <typename Visitor>
  static void forEachField(const Shape &shape, Plane plane, int64_t vectors, Visitor visit) {
    int64_t perByte = 8 / plane.width;
    for (int64_t row = 0; row < shape[0]; ++row)
      for (int64_t column = 0; column < shape[1]; ++column) {
        int64_t quad = column / InnerTile::columns;
        int64_t vector = row / InnerTile::rows * vectors + quad / perByte;
        int64_t lane = row % InnerTile::rows * InnerTile::columns + column % InnerTile::columns;
        visit(row * shape[1] + column, vector * InnerTile::bytes + lane,
              unsigned(quad % perByte) * plane.width);
      }
  }

  /// visit(element of the grid, element of the stored array).
  template <typename Visitor>
  static void forEachLevel(const Shape &grid, const Shape &shape, Visitor visit) {
    bool isTiled = grid[0] == shape[0];
    for (int64_t row = 0; row < grid[0]; ++row)
      for (int64_t block = 0; block < grid[1]; ++block) {
        int64_t element = row * grid[1] + block;
        int64_t group = row / InnerTile::rows * grid[1] + block;
        visit(element, isTiled ? group * InnerTile::rows + row % InnerTile::rows : element);
      }
  }
};
} // namespace

std::optional<std::string> checkInnerTiles(const std::string &layout, const Quantized &term,
                                           const Shape &shape) {
  if (shape.size() != 2)
    return "layout " + layout + " holds tensors of 2 axes, not " + std::to_string(shape.size());
  if (term.format.isFloat() || term.format.bits() > 8 || term.levels)
    return "layout " + layout + " holds codes of up to 8 bits whose levels are not data, not " +
           term.format.str();
  for (const std::optional<Scale> &tree : {term.scale, term.zero})
    if (tree && tree->rank1)
      return "layout " + layout + " holds scales by blocks, not rank1";
  return std::nullopt;
}

int64_t columnsPerVector(Plane plane) { return InnerTile::columns * (8 / plane.width); }

std::shared_ptr<const Layout> tiledLayout() {
  static const std::shared_ptr<const Layout> layout = std::make_shared<TiledLayout>();
  return layout;
}

} // namespace lowbit::numerics
