//===- Leaves.h - The terms that an encoding is made of ---------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Combinators hold tensors in encodings of their own, which may be combinators, too. At the end of
// each way down is a leaf; a leaf can be in another layout without its combinators knowing.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IR_LEAVES_H
#define LOWBIT_IR_LEAVES_H

#include "lowbit/IR/LowbitAttrs.h"

namespace lowbit {

/// The whole tensor of a leaf, and which of the components of the encoding above it are its own:
/// the first, and how many.
struct Leaf {
  mlir::RankedTensorType type;
  unsigned first, count;
};

/// All leaves of an encoded type, in the order of components.
llvm::SmallVector<Leaf> getLeaves(mlir::RankedTensorType type);

/// `type` with the result of `map` in place of each leaf that it gives one for (null: it stays).
mlir::RankedTensorType
mapLeaves(mlir::RankedTensorType type,
          llvm::function_ref<mlir::RankedTensorType(mlir::RankedTensorType)> map);

/// True if both encodings mean the same values by the same codes: layouts and encode rules of their
/// leaves may differ.
bool isSameTerm(mlir::Attribute a, mlir::Attribute b);

} // namespace lowbit

#endif // LOWBIT_IR_LEAVES_H
