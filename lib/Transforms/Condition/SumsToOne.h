//===- SumsToOne.h - Weighted means in a program ----------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_CONDITION_SUMSTOONE_H
#define LOWBIT_LIB_TRANSFORMS_CONDITION_SUMSTOONE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lowbit {

/// The operand whose weighted mean an op gives, as attention does of values: a contraction with
/// weights e / sum(e), or the quotient of a contraction with e and sum(e). Null where it is none.
mlir::OpOperand *findAveraged(mlir::linalg::LinalgOp op);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_CONDITION_SUMSTOONE_H
