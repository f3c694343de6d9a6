//===- ChannelPlaces.h - Where the channels of a value lie ------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_CONDITION_CHANNELPLACES_H
#define LOWBIT_LIB_TRANSFORMS_CONDITION_CHANNELPLACES_H

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AffineMap.h"

#include <optional>

namespace lowbit {

/// A digit of a channel's number, and where it lies in a value: on an axis, where one more of it
/// is `stride` elements further; or nowhere, where channels that differ in it are one element.
struct ChannelDigit {
  int64_t extent;
  std::optional<unsigned> axis;
  int64_t stride = 1;
};

/// Where the channels of a tapped value lie in a value from which it comes, digit by digit, the
/// last one fastest.
class ChannelPlaces {
public:
  /// Of the value itself, whose last axis they are.
  static ChannelPlaces onLastAxis(mlir::RankedTensorType type);

  llvm::ArrayRef<ChannelDigit> getDigits() const { return digits; }
  bool isOnAxis(unsigned axis) const;
  /// Nothing where they lie on several axes.
  std::optional<unsigned> getOnlyAxis() const;

  /// In the operand of a structured op whose result has these places, by the indexing maps of
  /// both; nothing where the maps are no projected permutations.
  std::optional<ChannelPlaces> throughMaps(mlir::AffineMap result, mlir::AffineMap operand) const;
  /// In the source of a reshape.
  std::optional<ChannelPlaces> throughCollapse(mlir::tensor::CollapseShapeOp op) const;
  std::optional<ChannelPlaces> throughExpand(mlir::tensor::ExpandShapeOp op) const;

private:
  llvm::SmallVector<ChannelDigit> digits;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_CONDITION_CHANNELPLACES_H
