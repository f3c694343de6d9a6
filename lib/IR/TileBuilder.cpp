//===- TileBuilder.cpp - IR on blocked iteration spaces -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/TileBuilder.h"

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofr = OpFoldResult;
using Ofrs = SmallVector<OpFoldResult>;
static constexpr auto parallel = utils::IteratorType::parallel;
static constexpr auto reduction = utils::IteratorType::reduction;

AffineMap BlockedView::identity(MLIRContext *context) const {
  return AffineMap::getMultiDimIdentityMap(rank, context);
}
AffineMap BlockedView::grid(MLIRContext *context) const {
  SmallVector<unsigned> results;
  for (int n : number)
    if (n >= 0)
      results.push_back(n);
  return AffineMap::getMultiDimMapWithTargets(rank, results, context);
}

//===----------------------------------------------------------------------===//
// Index arithmetic and scalars
//===----------------------------------------------------------------------===//

Ofr TileBuilder::apply(AffineExpr expr, ArrayRef<Ofr> operands) {
  return affine::makeComposedFoldedAffineApply(b, loc, expr, operands);
}
Ofr TileBuilder::add(Ofr x, Ofr y) {
  return apply(b.getAffineDimExpr(0) + b.getAffineDimExpr(1), {x, y});
}
Ofr TileBuilder::sub(Ofr x, Ofr y) {
  return apply(b.getAffineDimExpr(0) - b.getAffineDimExpr(1), {x, y});
}
Ofr TileBuilder::min(Ofr x, Ofr y) {
  return affine::makeComposedFoldedAffineMin(b, loc, b.getMultiDimIdentityMap(2), {x, y});
}
Ofr TileBuilder::max(Ofr x, Ofr y) {
  return affine::makeComposedFoldedAffineMax(b, loc, b.getMultiDimIdentityMap(2), {x, y});
}
Ofr TileBuilder::floorDiv(Ofr x, int64_t d) {
  return d == 1 ? x : apply(b.getAffineDimExpr(0).floorDiv(d), {x});
}
Ofr TileBuilder::ceilDiv(Ofr x, int64_t d) {
  return d == 1 ? x : apply(b.getAffineDimExpr(0).ceilDiv(d), {x});
}
Value TileBuilder::value(Ofr v) { return getValueOrCreateConstantIndexOp(b, loc, v); }
Value TileBuilder::blockOf(const StepColumn &at, int64_t columns) {
  return value(apply((b.getAffineDimExpr(0) * at.extent + at.offset).floorDiv(columns), {at.step}));
}
Value TileBuilder::f32(float v) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(v)); }
Value TileBuilder::i8(int64_t v) {
  return arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(v));
}
Value TileBuilder::i32(uint32_t v) {
  return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(static_cast<int32_t>(v)));
}
Value TileBuilder::constantIndex(int64_t v) { return arith::ConstantIndexOp::create(b, loc, v); }
Value TileBuilder::withoutNaN(Value x) {
  if (x.getDefiningOp<QuotientOp>())
    return x;
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  return arith::SelectOp::create(b, loc, isNaN, f32(0), x);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Value TileBuilder::empty(ArrayRef<Ofr> sizes, Type elementType) {
  return tensor::EmptyOp::create(b, loc, sizes, elementType);
}
Value TileBuilder::filled(ArrayRef<Ofr> sizes, Value scalar) {
  return linalg::FillOp::create(b, loc, scalar, empty(sizes, scalar.getType())).getResult(0);
}
bool lowbit::isEmptyTensor(Value v) {
  return llvm::is_contained(cast<RankedTensorType>(v.getType()).getShape(), 0);
}
static bool isEmptySize(Ofr size) { return isConstantIntValue(size, 0); }

Value TileBuilder::slice(Value v, const Box &region, ArrayRef<int64_t> dropped) {
  Type elementType = cast<RankedTensorType>(v.getType()).getElementType();
  Ofrs kept;
  for (auto [axis, size] : llvm::enumerate(region.sizes))
    if (!llvm::is_contained(dropped, int64_t(axis)))
      kept.push_back(size);
  if (llvm::any_of(region.sizes, isEmptySize))
    return empty(kept, elementType);
  auto type = RankedTensorType::get(decomposeMixedValues(kept).first, elementType);
  return b.createOrFold<tensor::ExtractSliceOp>(loc, type, v, region.offsets, region.sizes,
                                                Ofrs(region.offsets.size(), index(1)));
}
Value TileBuilder::insert(Value part, Value v, const Box &region) {
  if (llvm::any_of(region.sizes, isEmptySize))
    return v;
  return tensor::InsertSliceOp::create(b, loc, part, v, region.offsets, region.sizes,
                                       Ofrs(region.offsets.size(), index(1)));
}
Value TileBuilder::cut(Value v, ArrayRef<Ofr> sizes) {
  if (llvm::equal(tensor::getMixedSizes(b, loc, v), sizes,
                  [](Ofr x, Ofr y) { return isEqualConstantIntOrValue(x, y); }))
    return v;
  return slice(v, {Ofrs(sizes.size(), index(0)), llvm::to_vector(sizes)});
}
Value TileBuilder::padded(Value v, int64_t axis, int64_t multiple) {
  auto type = cast<RankedTensorType>(v.getType());
  Ofrs sizes = tensor::getMixedSizes(b, loc, v), full = sizes;
  std::optional<int64_t> extent = getConstantIntValue(sizes[axis]);
  if (extent && *extent % multiple == 0)
    return v;
  full[axis] = apply(b.getAffineDimExpr(0).ceilDiv(multiple) * multiple, {sizes[axis]});
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
  return insert(v, filled(full, zero), {Ofrs(sizes.size(), index(0)), sizes});
}
Value TileBuilder::copyInto(Value v, Value destination) {
  unsigned rank = cast<RankedTensorType>(v.getType()).getRank();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  return generic(v, destination, {identity, identity},
                 SmallVector<utils::IteratorType>(rank, parallel),
                 [](TileBuilder &, ValueRange a) -> SmallVector<Value> { return {a[0]}; })[0];
}
Value TileBuilder::splitLast(Value v, ArrayRef<int64_t> inner) {
  auto type = cast<RankedTensorType>(v.getType());
  Ofrs sizes = tensor::getMixedSizes(b, loc, v);
  int64_t rank = type.getRank();
  sizes[rank - 1] = floorDiv(sizes[rank - 1], std::accumulate(inner.begin(), inner.end(),
                                                              int64_t(1), std::multiplies<>()));
  SmallVector<ReassociationIndices> groups(rank);
  for (int64_t i = 0; i < rank; ++i)
    groups[i] = {i};
  for (int64_t n : inner) {
    groups[rank - 1].push_back(sizes.size());
    sizes.push_back(index(n));
  }
  auto result = RankedTensorType::get(decomposeMixedValues(sizes).first, type.getElementType());
  return tensor::ExpandShapeOp::create(b, loc, result, v, groups, sizes);
}
Value TileBuilder::joinFrom(Value v, int64_t from) {
  SmallVector<ReassociationIndices> groups(from + 1);
  for (int64_t i = 0, rank = cast<RankedTensorType>(v.getType()).getRank(); i < rank; ++i)
    groups[std::min(i, from)].push_back(i);
  return tensor::CollapseShapeOp::create(b, loc, v, groups);
}
Value TileBuilder::dropWholeAxes(Value grid, ArrayRef<int64_t> block) {
  Ofrs sizes = tensor::getMixedSizes(b, loc, grid);
  SmallVector<int64_t> dropped;
  for (auto [axis, n] : llvm::enumerate(block))
    if (n == kWhole) {
      sizes[axis] = index(1);
      dropped.push_back(axis);
    }
  if (dropped.empty())
    return grid;
  return slice(grid, {Ofrs(sizes.size(), index(0)), sizes}, dropped);
}
Value TileBuilder::addWholeAxes(Value grid, ArrayRef<int64_t> block) {
  auto type = cast<RankedTensorType>(grid.getType());
  if ((int64_t)block.size() == type.getRank())
    return grid;
  // Unit dimensions join the group of the axis before them (the first ones: of the first axis).
  Ofrs own = tensor::getMixedSizes(b, loc, grid), sizes;
  SmallVector<ReassociationIndices> groups(type.getRank());
  int64_t next = 0;
  for (auto [axis, n] : llvm::enumerate(block)) {
    if (!groups.empty())
      groups[std::max<int64_t>(0, n == kWhole ? next - 1 : next)].push_back(axis);
    sizes.push_back(n == kWhole ? index(1) : own[next++]);
  }
  auto result = RankedTensorType::get(decomposeMixedValues(sizes).first, type.getElementType());
  return tensor::ExpandShapeOp::create(b, loc, result, grid, groups, sizes);
}

AffineMap TileBuilder::map(unsigned dims, ArrayRef<unsigned> results) {
  return AffineMap::getMultiDimMapWithTargets(dims, results, b.getContext());
}
SmallVector<Value> TileBuilder::generic(ValueRange inputs, ValueRange outputs,
                                        ArrayRef<AffineMap> maps,
                                        ArrayRef<utils::IteratorType> iterators, Body body) {
  auto op = linalg::GenericOp::create(b, loc, outputs.getTypes(), inputs, outputs, maps, iterators,
                                      [&](OpBuilder &nested, Location l, ValueRange arguments) {
                                        TileBuilder t(nested, l);
                                        linalg::YieldOp::create(nested, l, body(t, arguments));
                                      });
  return llvm::to_vector(ValueRange(op.getResults()));
}
Value TileBuilder::elementwise(ValueRange inputs, Type elementType, Body body) {
  Ofrs sizes = tensor::getMixedSizes(b, loc, inputs[0]);
  SmallVector<AffineMap> maps(inputs.size() + 1, b.getMultiDimIdentityMap(sizes.size()));
  return generic(inputs, empty(sizes, elementType), maps,
                 SmallVector<utils::IteratorType>(sizes.size(), parallel), body)[0];
}

//===----------------------------------------------------------------------===//
// Blocked views
//===----------------------------------------------------------------------===//

/// Axis extents after repeating the last element up to whole blocks; none if every axis divides.
static std::optional<Ofrs> paddedSizes(TileBuilder &t, ArrayRef<Ofr> sizes,
                                       ArrayRef<int64_t> block) {
  Ofrs padded;
  bool ragged = false;
  for (auto [size, n] : llvm::zip(sizes, block)) {
    auto constant = getConstantIntValue(size);
    if (n == kWhole || n == 1 || (constant && *constant % n == 0)) {
      padded.push_back(size);
      continue;
    }
    ragged = true;
    padded.push_back(t.apply(t.b.getAffineDimExpr(0).ceilDiv(n) * n, {size}));
  }
  return ragged ? std::optional(padded) : std::nullopt;
}

BlockedView TileBuilder::blocked(Value tile, ArrayRef<int64_t> block) {
  BlockedView view;
  view.sizes = tensor::getMixedSizes(b, loc, tile);
  view.block = llvm::to_vector(block);
  auto type = cast<RankedTensorType>(tile.getType());
  Ofrs sizes = view.sizes;
  if (auto padded = paddedSizes(*this, sizes, block)) {
    SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(type.getRank())};
    SmallVector<utils::IteratorType> iterators(type.getRank(), parallel);
    tile = generic({}, empty(*padded, type.getElementType()), maps, iterators,
                   [&](TileBuilder &t, ValueRange) -> SmallVector<Value> {
                     SmallVector<Value> at;
                     for (auto [axis, size] : llvm::enumerate(sizes)) {
                       Value last = t.value(t.sub(size, t.index(1)));
                       Value i = linalg::IndexOp::create(t.b, t.loc, axis);
                       at.push_back(arith::MinUIOp::create(t.b, t.loc, i, last));
                     }
                     return {tensor::ExtractOp::create(t.b, t.loc, tile, at)};
                   })[0];
    sizes = *padded;
  }
  Ofrs viewSizes;
  SmallVector<ReassociationIndices> groups;
  for (auto [size, n] : llvm::zip(sizes, block)) {
    ReassociationIndices group;
    bool hasNumber = n != kWhole, hasPosition = n != 1;
    if (hasNumber) {
      group.push_back(viewSizes.size());
      viewSizes.push_back(hasPosition ? floorDiv(size, n) : size);
    }
    view.number.push_back(hasNumber ? int(viewSizes.size()) - 1 : -1);
    if (hasPosition) {
      group.push_back(viewSizes.size());
      viewSizes.push_back(hasNumber ? index(n) : size);
    }
    view.position.push_back(hasPosition ? int(viewSizes.size()) - 1 : -1);
    groups.push_back(group);
  }
  view.rank = viewSizes.size();
  view.value = tile;
  if (view.rank != groups.size()) {
    auto result =
        RankedTensorType::get(decomposeMixedValues(viewSizes).first, type.getElementType());
    view.value = tensor::ExpandShapeOp::create(b, loc, result, tile, groups, viewSizes);
  }
  return view;
}

Value TileBuilder::unblocked(const BlockedView &view, Value value) {
  SmallVector<ReassociationIndices> groups;
  for (auto [number, position] : llvm::zip(view.number, view.position)) {
    ReassociationIndices group;
    if (number >= 0)
      group.push_back(number);
    if (position >= 0)
      group.push_back(position);
    groups.push_back(group);
  }
  if (view.rank != groups.size())
    value = tensor::CollapseShapeOp::create(b, loc, value, groups);
  return cut(value, view.sizes);
}

Value TileBuilder::overBlocks(const BlockedView &view, ValueRange gridInputs, Type elementType,
                              Body body) {
  SmallVector<AffineMap> maps{view.identity(b.getContext())};
  SmallVector<Value> inputs{view.value};
  for (Value v : gridInputs) {
    inputs.push_back(v);
    maps.push_back(view.grid(b.getContext()));
  }
  maps.push_back(view.identity(b.getContext()));
  return generic(inputs, empty(tensor::getMixedSizes(b, loc, view.value), elementType), maps,
                 SmallVector<utils::IteratorType>(view.rank, parallel), body)[0];
}

SmallVector<Value> TileBuilder::reduceBlocks(const BlockedView &view, ValueRange initial,
                                             Body body) {
  Ofrs viewSizes = tensor::getMixedSizes(b, loc, view.value), grid;
  SmallVector<utils::IteratorType> iterators(view.rank, reduction);
  for (int n : view.number)
    if (n >= 0) {
      iterators[n] = parallel;
      grid.push_back(viewSizes[n]);
    }
  SmallVector<Value> outputs;
  SmallVector<AffineMap> maps{view.identity(b.getContext())};
  for (Value scalar : initial) {
    outputs.push_back(filled(grid, scalar));
    maps.push_back(view.grid(b.getContext()));
  }
  return generic(view.value, outputs, maps, iterators, body);
}

Value TileBuilder::peakOf(const BlockedView &view) {
  Value none = f32(std::numeric_limits<float>::quiet_NaN());
  return reduceBlocks(view, none, [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
    Value x = t.withoutNaN(a[0]);
    Value larger = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::UGT,
                                         math::AbsFOp::create(t.b, t.loc, x),
                                         math::AbsFOp::create(t.b, t.loc, a[1]));
    return {arith::SelectOp::create(t.b, t.loc, larger, x, a[1])};
  })[0];
}

Value TileBuilder::largestMagnitudeOf(const BlockedView &view) {
  // As integers, whose order is that of magnitudes: one instruction, which that of floats is not.
  // Moved so that those of NaN, above infinity's, are the smallest.
  constexpr uint32_t zero = 0u - 0x7f800001u;
  Value most =
      reduceBlocks(view, i32(zero), [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value bits = arith::BitcastOp::create(t.b, t.loc, t.b.getI32Type(), a[0]);
        Value magnitude = arith::AndIOp::create(t.b, t.loc, bits, t.i32(0x7fffffff));
        Value moved = arith::AddIOp::create(t.b, t.loc, magnitude, t.i32(zero));
        return {arith::MaxUIOp::create(t.b, t.loc, moved, a[1])};
      })[0];
  return elementwise(most, b.getF32Type(), [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
    Value magnitude = arith::SubIOp::create(t.b, t.loc, a[0], t.i32(zero));
    return {arith::BitcastOp::create(t.b, t.loc, t.b.getF32Type(), magnitude)};
  });
}

Ofrs TileBuilder::gridSizes(ArrayRef<Ofr> sizes, ArrayRef<int64_t> block) {
  Ofrs grid;
  for (auto [size, n] : llvm::zip(sizes, block))
    grid.push_back(n == kWhole ? index(1) : ceilDiv(size, n));
  return grid;
}
