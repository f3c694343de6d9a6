//===- ElementType.h - Element types of MLIR as DType -----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_COMPILE_ELEMENTTYPE_H
#define LOWBIT_LIB_COMPILE_ELEMENTTYPE_H

#include "lowbit/Archive/DType.h"

namespace mlir {
class Type;
} // namespace mlir

namespace lowbit {

/// What compiled code reads elements of `type` as, integers as signed ones; nothing for other types
/// than i1, i8 to i64, index and f16 to f64.
std::optional<DType> getElementDType(mlir::Type type);

} // namespace lowbit

#endif // LOWBIT_LIB_COMPILE_ELEMENTTYPE_H
