//===- Combinators.h - What sum and part share ------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_COMBINATORS_H
#define LOWBIT_LIB_IR_COMBINATORS_H

#include "lowbit/IR/LowbitAttrs.h"

namespace lowbit {

inline EncodingAttrInterface encodingOf(const Piece &piece) { return getEncoding(piece.type); }

/// Appends the components of a child, named `<number>.<name>`.
inline void appendComponents(llvm::SmallVectorImpl<EncodingComponent> &all, unsigned number,
                             mlir::RankedTensorType child) {
  for (EncodingComponent c : getEncoding(child).getComponents(child))
    all.push_back({std::to_string(number) + "." + c.name, c.type, c.role});
}

inline void joinTileMultiples(llvm::MutableArrayRef<int64_t> all, mlir::RankedTensorType child,
                              TileUse use) {
  for (auto [a, m] : llvm::zip(all, getEncoding(child).getTileMultiples(child, use)))
    a = joinMultiples(a, m);
}

/// The stored components that belong to a piece.
inline mlir::ValueRange componentsOf(const Piece &piece, mlir::ValueRange components) {
  return components.slice(piece.first, piece.count);
}

} // namespace lowbit

#endif // LOWBIT_LIB_IR_COMBINATORS_H
