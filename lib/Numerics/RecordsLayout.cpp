//===- RecordsLayout.cpp - Inner tiles with their scales, in one stream ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/RecordsLayout.h"
#include "lowbit/Numerics/TiledLayout.h"

#include <algorithm>
#include <numeric>

namespace lowbit::numerics {

namespace {
constexpr int64_t cacheLine = 64;
/// Of a record, before it is rounded up to whole cache lines; a kernel's code grows with it.
constexpr int64_t mostColumns = 64;

/// In the order of codeArrays().
std::vector<const ScaleLevel *> levelsOf(const Quantized &term) {
  std::vector<const ScaleLevel *> levels;
  for (const std::optional<Scale> *tree : {&term.scale, &term.zero}) {
    if (!*tree)
      continue;
    for (const ScaleLevel &level : (*tree)->levels)
      levels.push_back(&level);
    if ((*tree)->offset)
      levels.push_back(&*(*tree)->offset);
  }
  return levels;
}

class RecordsLayout final : public Layout {
public:
  std::string str() const override { return "records"; }

  std::optional<std::string> check(const Quantized &term, const Shape &shape) const override {
    return checkInnerTiles(str(), term, shape);
  }

  std::vector<Component> components(const Quantized &term, const Shape &shape) const override {
    Record record = recordOf(term, shape);
    std::vector<Component> tiles = tiledLayout()->components(term, shape);
    std::vector<Component> list{
        {"records",
         ElementType::UInt8,
         {tiles[0].shape[0], ceilDivide(shape[1], record.columns), record.bytes}}};
    for (size_t component : record.apart)
      list.push_back(tiles[component]);
    return list;
  }

  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override {
    Record record = recordOf(term, shape);
    std::vector<Bytes> bytes;
    std::vector<const uint8_t *> tiles;
    for (const Component &tile : tiledLayout()->components(term, shape))
      bytes.emplace_back(static_cast<size_t>(tile.bytes()));
    forEachUnit(
        term, shape, record, [&](const RecordPart &part, int64_t inTile, int64_t inRecords) {
          std::copy_n(data[0] + inRecords, part.bytes, bytes[part.component].data() + inTile);
        });
    for (const Bytes &tile : bytes)
      tiles.push_back(tile.data());
    for (size_t i = 0; i < record.apart.size(); ++i)
      tiles[record.apart[i]] = data[1 + i];
    return tiledLayout()->unpack(term, shape, tiles);
  }

  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override {
    Record record = recordOf(term, shape);
    std::vector<Bytes> tiles = tiledLayout()->pack(term, shape, arrays);
    std::vector<Bytes> packed{Bytes(static_cast<size_t>(components(term, shape)[0].bytes()))};
    forEachUnit(term, shape, record,
                [&](const RecordPart &part, int64_t inTile, int64_t inRecords) {
                  std::copy_n(tiles[part.component].data() + inTile, part.bytes,
                              packed[0].data() + inRecords);
                });
    for (size_t component : record.apart)
      packed.push_back(std::move(tiles[component]));
    return packed;
  }

private:
  /// visit(part, first byte of a unit in the component of `tiled`, that in the records).
  template <typename Visitor>
  static void forEachUnit(const Quantized &term, const Shape &shape, const Record &record,
                          Visitor visit) {
    std::vector<Component> tiles = tiledLayout()->components(term, shape);
    int64_t records = ceilDivide(shape[1], record.columns);
    for (const RecordPart &part : record.parts) {
      int64_t groups = tiles[part.component].shape[0], units = tiles[part.component].shape[1];
      for (int64_t group = 0; group < groups; ++group)
        for (int64_t unit = 0; unit < units; ++unit) {
          int64_t perRecord = record.units(part);
          int64_t at = group * records + unit / perRecord;
          visit(part, (group * units + unit) * part.bytes,
                at * record.bytes + part.offset + unit % perRecord * part.bytes);
        }
    }
  }
};
} // namespace

const RecordPart *Record::find(size_t component) const {
  for (const RecordPart &part : parts)
    if (part.component == component)
      return &part;
  return nullptr;
}

Record recordOf(const Quantized &term, const Shape &shape) {
  Record record;
  std::vector<Plane> planes = planesOf(term.format.bits());
  for (size_t i = 0; i < planes.size(); ++i) {
    int64_t columns = columnsPerVector(planes[i]);
    record.parts.push_back({i, columns, InnerTile::bytes});
    record.columns = std::lcm(record.columns, columns);
  }
  std::vector<Component> tiles = tiledLayout()->components(term, shape);
  size_t component = planes.size();
  for (const ScaleLevel *level : levelsOf(term)) {
    const Component &tile = tiles[component];
    int64_t columns = level->granularity.blockOf(shape)[1];
    // A level with a value for each row is [groups][blocks][16].
    bool isTiled = tile.shape.size() == 3 && tile.shape[1] > 1;
    if (isTiled && columns <= mostColumns && std::lcm(record.columns, columns) <= mostColumns) {
      record.parts.push_back({component, columns, InnerTile::rows * bytesOf(tile.type)});
      record.columns = std::lcm(record.columns, columns);
    } else {
      record.apart.push_back(component);
    }
    ++component;
  }
  auto layOut = [&] {
    record.bytes = 0;
    for (RecordPart &part : record.parts) {
      part.offset = record.bytes;
      record.bytes += record.units(part) * part.bytes;
    }
  };
  for (layOut(); record.bytes % cacheLine != 0 || record.columns < mostColumns; layOut())
    record.columns *= 2;
  return record;
}

std::shared_ptr<const Layout> recordsLayout() {
  static const std::shared_ptr<const Layout> layout = std::make_shared<RecordsLayout>();
  return layout;
}

} // namespace lowbit::numerics
