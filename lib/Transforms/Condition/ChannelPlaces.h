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

  bool operator==(const ChannelDigit &other) const {
    return extent == other.extent && axis == other.axis && stride == other.stride;
  }
};

/// Where the channels of a tapped value lie in a value from which it comes, digit by digit, the
/// last one fastest.
class ChannelPlaces {
public:
  /// Of the value itself, whose last axis they are.
  static ChannelPlaces onLastAxis(mlir::RankedTensorType type);
  /// Each `extent` neighbours of the last axis are channels of their own, alike in all such blocks.
  static ChannelPlaces inBlocks(mlir::RankedTensorType type, int64_t extent);

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
  /// In the result of a reshape whose source has these places.
  std::optional<ChannelPlaces> throughCollapseDown(mlir::tensor::CollapseShapeOp op) const;
  std::optional<ChannelPlaces> throughExpandDown(mlir::tensor::ExpandShapeOp op) const;

  /// On the loops of a structured op, of a value that it reads or writes by `map`, and back;
  /// nothing where a channel's loop does not lie on one axis of the value.
  std::optional<ChannelPlaces> onLoops(mlir::AffineMap map) const;
  std::optional<ChannelPlaces> onAxes(mlir::AffineMap map) const;
  /// Axes renumbered; nothing where a channel's axis has no new number.
  std::optional<ChannelPlaces>
  renumbered(llvm::function_ref<std::optional<unsigned>(unsigned)> number) const;

  /// The same places with as few digits as possible.
  ChannelPlaces simplified() const;
  bool operator==(const ChannelPlaces &other) const { return digits == other.digits; }

private:
  using Groups = llvm::ArrayRef<mlir::ReassociationIndices>;
  /// From the many axes of a reshape to the few, and from the few to the many.
  std::optional<ChannelPlaces> merged(Groups groups, llvm::ArrayRef<int64_t> many) const;
  std::optional<ChannelPlaces> split(Groups groups, llvm::ArrayRef<int64_t> many) const;

  llvm::SmallVector<ChannelDigit> digits;
};

/// Whether a value has no numbers of its own: zeros, or what is not written yet.
bool isZeroOrUnset(mlir::Value value);

/// Whether a slice of a tensor has all of its channels: it may be anything on the other axes.
bool keepsChannels(mlir::RankedTensorType whole, mlir::RankedTensorType slice,
                   const ChannelPlaces &places);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_CONDITION_CHANNELPLACES_H
