//===- ExplicitOps.h - What may touch an encoded tensor ---------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_EXPLICITOPS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_EXPLICITOPS_H

namespace mlir {
class Operation;
} // namespace mlir

namespace lowbit {

/// True for an op that has no encoded operand, result or block argument, or that passes them on as
/// a whole: lowbit ops, calls, control flow, storage (`tensor.empty`) and questions about shapes
/// (`tensor.dim`).
bool isExplicit(mlir::Operation *op);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_EXPLICITOPS_H
