//===- ChannelPlaces.cpp - Where the channels of a value lie --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelPlaces.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lowbit;

ChannelPlaces ChannelPlaces::onLastAxis(RankedTensorType type) {
  return inBlocks(type, type.getShape().back());
}

ChannelPlaces ChannelPlaces::inBlocks(RankedTensorType type, int64_t extent) {
  ChannelPlaces places;
  places.digits.push_back({extent, unsigned(type.getRank() - 1), 1});
  return places;
}

bool ChannelPlaces::isOnAxis(unsigned axis) const {
  return llvm::any_of(digits, [&](const ChannelDigit &digit) { return digit.axis == axis; });
}

std::optional<unsigned> ChannelPlaces::getOnlyAxis() const {
  std::optional<unsigned> only;
  for (const ChannelDigit &digit : digits) {
    if (digit.axis && only && *only != *digit.axis)
      return std::nullopt;
    if (digit.axis)
      only = digit.axis;
  }
  return only;
}

std::optional<ChannelPlaces> ChannelPlaces::throughMaps(AffineMap result, AffineMap operand) const {
  if (!result.isProjectedPermutation() || !operand.isProjectedPermutation())
    return std::nullopt;
  ChannelPlaces places = *this;
  for (ChannelDigit &digit : places.digits)
    if (digit.axis)
      digit.axis = operand.getResultPosition(result.getResult(*digit.axis));
  return places;
}

std::optional<ChannelPlaces>
ChannelPlaces::renumbered(llvm::function_ref<std::optional<unsigned>(unsigned)> number) const {
  ChannelPlaces places = *this;
  for (ChannelDigit &digit : places.digits)
    if (digit.axis && !(digit.axis = number(*digit.axis)))
      return std::nullopt;
  return places;
}

std::optional<ChannelPlaces> ChannelPlaces::onLoops(AffineMap map) const {
  return renumbered([&](unsigned axis) -> std::optional<unsigned> {
    auto loop = dyn_cast<AffineDimExpr>(map.getResult(axis));
    return loop ? std::optional(loop.getPosition()) : std::nullopt;
  });
}

std::optional<ChannelPlaces> ChannelPlaces::onAxes(AffineMap map) const {
  return renumbered([&](unsigned loop) -> std::optional<unsigned> {
    AffineExpr expression = getAffineDimExpr(loop, map.getContext());
    if (llvm::count(map.getResults(), expression) > 1) // a diagonal
      return std::nullopt;
    return map.getResultPosition(expression);
  });
}

ChannelPlaces ChannelPlaces::simplified() const {
  ChannelPlaces places;
  for (const ChannelDigit &digit : digits) {
    if (digit.extent == 1)
      continue;
    ChannelDigit *last = places.digits.empty() ? nullptr : &places.digits.back();
    if (last && last->axis && last->axis == digit.axis &&
        last->stride == digit.extent * digit.stride)
      *last = {last->extent * digit.extent, digit.axis, digit.stride};
    else
      places.digits.push_back(digit);
  }
  return places;
}

std::optional<ChannelPlaces> ChannelPlaces::merged(Groups groups, ArrayRef<int64_t> many) const {
  ChannelPlaces places = *this;
  for (auto [source, group] : llvm::enumerate(groups)) {
    int64_t inner = 1;
    for (int64_t axis : llvm::reverse(group)) {
      for (auto [digit, before] : llvm::zip(places.digits, digits))
        if (before.axis == unsigned(axis)) {
          digit.axis = source;
          digit.stride = before.stride * inner;
        }
      int64_t extent = many[axis];
      // What lies further out is at unknown strides.
      inner = ShapedType::isDynamic(extent) || inner < 0 ? -1 : inner * extent;
    }
  }
  for (const ChannelDigit &digit : places.digits)
    if (digit.stride < 0)
      return std::nullopt;
  return places;
}

std::optional<ChannelPlaces> ChannelPlaces::split(Groups groups, ArrayRef<int64_t> many) const {
  ChannelPlaces places;
  for (const ChannelDigit &digit : digits) {
    if (!digit.axis) {
      places.digits.push_back(digit);
      continue;
    }
    // From the innermost axis of the group outwards: what of the digit lies on each.
    const ReassociationIndices &group = groups[*digit.axis];
    SmallVector<ChannelDigit> parts;
    int64_t inner = 1, next = digit.stride, left = digit.extent;
    for (int64_t axis : llvm::reverse(group)) {
      int64_t extent = many[axis];
      if (left == 1)
        break;
      if (ShapedType::isDynamic(extent)) {
        if (group.size() > 1)
          return std::nullopt;
        extent = left;
      }
      int64_t outer = inner * extent;
      if (next < outer) {
        int64_t here = std::min(left, outer / next);
        if (next % inner || left % here || (here < left && outer % next))
          return std::nullopt;
        parts.push_back({here, unsigned(axis), next / inner});
        left /= here;
        next *= here;
      }
      inner = outer;
    }
    if (left != 1)
      return std::nullopt;
    places.digits.append(parts.rbegin(), parts.rend());
  }
  return places;
}

std::optional<ChannelPlaces> ChannelPlaces::throughExpand(tensor::ExpandShapeOp op) const {
  return merged(op.getReassociationIndices(), op.getResultType().getShape());
}

std::optional<ChannelPlaces> ChannelPlaces::throughExpandDown(tensor::ExpandShapeOp op) const {
  return split(op.getReassociationIndices(), op.getResultType().getShape());
}

std::optional<ChannelPlaces> ChannelPlaces::throughCollapse(tensor::CollapseShapeOp op) const {
  return split(op.getReassociationIndices(), op.getSrcType().getShape());
}

std::optional<ChannelPlaces> ChannelPlaces::throughCollapseDown(tensor::CollapseShapeOp op) const {
  return merged(op.getReassociationIndices(), op.getSrcType().getShape());
}

bool lowbit::isZeroOrUnset(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
  return value.getDefiningOp<tensor::EmptyOp>() || matchPattern(value, m_AnyZeroFloat());
}

bool lowbit::keepsChannels(RankedTensorType whole, RankedTensorType slice,
                           const ChannelPlaces &places) {
  if (whole.getRank() != slice.getRank())
    return false;
  return llvm::all_of(llvm::seq<int64_t>(0, whole.getRank()), [&](int64_t axis) {
    return !places.isOnAxis(axis) || whole.getDimSize(axis) == slice.getDimSize(axis);
  });
}
