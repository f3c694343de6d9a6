//===- Encoding.h - What encodings and passes exchange ----------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plain data types of the contracts in LowbitInterfaces.td, and the functions that their defaults
// use.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IR_ENCODING_H
#define LOWBIT_IR_ENCODING_H

#include "lowbit/Numerics/Term.h"
#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace mlir::linalg {
class LinalgOp;
} // namespace mlir::linalg

namespace lowbit {

/// A box in some tensor's coordinates.
struct Box {
  llvm::SmallVector<mlir::OpFoldResult> offsets, sizes;
};

/// Who writes a component: payload by each encoded tile, a statistic by the statistics phase,
/// structure (split points, sparsity patterns, extents) by nobody in an encode.
enum class ComponentRole { Payload, Statistic, Structure };

/// One stored component of an encoded tensor.
struct EncodingComponent {
  std::string name;
  /// A ranked tensor without encoding, or `index`.
  mlir::Type type;
  ComponentRole role;
};

/// What a tile is for. An encode that has its statistics is more local than one that has not.
enum class TileUse { Decode, Encode, EncodeAfterStatistics };

/// A tile multiple or a block extent: the whole axis.
constexpr int64_t kWhole = -1;

/// One stored level of a scale, or the tables of a format: a tensor of codes of `format` over a
/// grid of blocks.
struct ScaleLevel {
  /// Appended to the scale's own name: "", ".0", ".row".
  std::string suffix;
  mlir::Attribute format;
  /// Per axis of the tensor: elements that share a code; kWhole: all of the axis.
  llvm::SmallVector<int64_t> block;
  /// Tensor axes that the stored array has, in order.
  llvm::SmallVector<int64_t> axes;
  ComponentRole role = ComponentRole::Payload;
  /// A table of so many codes for each block, along an axis of its own after `axes`; 0: one code.
  int64_t entries = 0;
};

/// The unpacked content of a tile of a `quantized` term: codes in the tile's shape, and for each
/// level (the scale's, the zero point's, the format's tables) the codes of the part of its grid
/// that belongs to the tile.
struct Fields {
  mlir::Value codes;
  llvm::SmallVector<mlir::Value> levels;
};

/// The column `step` * `extent` + `offset` of a matrix, `offset` < `extent`: a loop runs over steps
/// of `extent` columns, within which all places are known.
struct StepColumn {
  mlir::Value step;
  int64_t extent, offset;
};

/// One term of a combinator: a whole tensor of its own, some of the parent's components, its place
/// in the parent.
struct Piece {
  mlir::RankedTensorType type;
  unsigned first, count;
  Box place;
};

/// How a combinator's terms make the whole.
struct Pieces {
  enum Kind { Leaf, Sum, Partition } kind = Leaf;
  /// Partition only: the axis that is cut.
  unsigned axis = 0;
  llvm::SmallVector<Piece> list;
};

/// Bytes of a component, row-major, little-endian, with its run-time shape. An `index` component is
/// one i64.
struct BufferRef {
  llvm::ArrayRef<int64_t> shape;
  llvm::ArrayRef<uint8_t> bytes;
};
struct Buffer {
  llvm::SmallVector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// The extents of `type`; a dynamic one is that of the same dimension of `component`.
llvm::SmallVector<mlir::OpFoldResult> extentsOf(mlir::OpBuilder &b, mlir::Location loc,
                                                mlir::RankedTensorType type, mlir::Value component);

/// Scalar IR for formats that are a table of levels. `code` and the result of an encode are i8.
mlir::Value buildTableDecode(mlir::OpBuilder &b, mlir::Location loc, const numerics::Format &format,
                             mlir::Value code);
/// Of `value / scale` if there is a scale; `isBounded`: as of lowbit.rank.
mlir::Value buildTableEncode(mlir::OpBuilder &b, mlir::Location loc, const numerics::Format &format,
                             mlir::Value value, mlir::Value scale = nullptr,
                             bool isBounded = false);
/// The number of the format's thresholds that are not above `value`, as an index.
mlir::Value buildTableRank(mlir::OpBuilder &b, mlir::Location loc, const numerics::Format &format,
                           mlir::Value value);

/// Least common multiple of two tile multiples; kWhole absorbs, and stands for what no int64_t can
/// hold.
int64_t joinMultiples(int64_t a, int64_t b);

class QuantizedAttr;

} // namespace lowbit

#endif // LOWBIT_IR_ENCODING_H
