//===- VectorExp.h - e^x without library calls -------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_VECTOREXP_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_VECTOREXP_H

#include "mlir/IR/Builders.h"

namespace lowbit {

/// e^x for an f32 or a vector of f32, within 1.01 units in the last place (measured over all
/// floats, with and without fused multiply-add), subnormal results included; infinities and NaN as
/// usual.
mlir::Value emitExp(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_VECTOREXP_H
