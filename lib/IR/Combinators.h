//===- Combinators.h - What combinators share ------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_COMBINATORS_H
#define LOWBIT_LIB_IR_COMBINATORS_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"

namespace lowbit {

inline EncodingAttrInterface encodingOf(const Piece &piece) { return getEncoding(piece.type); }

/// The f32 tensor of this shape in encoding `term`.
mlir::RankedTensorType termType(mlir::Attribute term, llvm::ArrayRef<int64_t> shape);

/// Appends the components of a child, named `<prefix>.<name>`.
void appendComponents(llvm::SmallVectorImpl<EncodingComponent> &all, const llvm::Twine &prefix,
                      mlir::RankedTensorType child);

unsigned componentCount(mlir::RankedTensorType type);

inline void joinTileMultiples(llvm::MutableArrayRef<int64_t> all, mlir::RankedTensorType child,
                              TileUse use) {
  for (auto [a, m] : llvm::zip(all, getEncoding(child).getTileMultiples(child, use)))
    a = joinMultiples(a, m);
}

/// The stored components that belong to a piece.
inline mlir::ValueRange componentsOf(const Piece &piece, mlir::ValueRange components) {
  return components.slice(piece.first, piece.count);
}

/// All of a component, for structure of which no part belongs to a tile.
Box wholeComponent(mlir::OpBuilder &b, mlir::Location loc, mlir::Value component);

/// IR: the stored value of all of `type`.
mlir::Value decodeWhole(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type,
                        mlir::ValueRange components);

/// IR: element `at` of an i32 tensor, as an index.
mlir::Value extractIndex(TileBuilder &t, mlir::Value tensor, mlir::Value at);

/// IR: a loop over [begin, end) that carries one value.
mlir::Value
forEach(TileBuilder &t, mlir::Value begin, mlir::Value end, mlir::Value initial,
        llvm::function_ref<mlir::Value(TileBuilder &, mlir::Value i, mlir::Value carried)> body);

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

/// Decodes the first components with `term` and takes them from the list.
llvm::Error decodeFront(mlir::Attribute term, llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<BufferRef> &components, llvm::MutableArrayRef<float> values);

/// Verifies the first components as those of `type` and takes them from the list.
llvm::Error verifyFront(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<BufferRef> &components);

/// Decodes what an encode has just given.
llvm::Error decodeBuffers(mlir::Attribute term, llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<Buffer> buffers, llvm::MutableArrayRef<float> values);

/// Encodes with `term` and appends its components.
llvm::Error appendEncoded(std::vector<Buffer> &all, mlir::Attribute term,
                          llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values);

/// Checks a stored extent of the last axis.
llvm::Error verifyExtent(const BufferRef &component, int64_t extent);

/// An i32 component of one axis.
Buffer bufferOf(llvm::ArrayRef<int32_t> values);
/// The integers of the first component, which has `count` of them (any number if -1); takes it from
/// the list.
llvm::Expected<std::vector<int32_t>> integersOfFront(llvm::ArrayRef<BufferRef> &components,
                                                     llvm::StringRef name, int64_t count);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_COMBINATORS_H
