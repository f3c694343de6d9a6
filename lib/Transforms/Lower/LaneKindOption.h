//===- LaneKindOption.h - The kind that an option names ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_LANEKINDOPTION_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_LANEKINDOPTION_H

#include "lowbit/Target/LaneKinds.h"
#include "mlir/IR/Operation.h"

namespace lowbit {

/// The kind of instructions of that name; null after an error on `op` that lists those that are
/// known.
const LaneKind *readLaneKind(mlir::Operation *op, llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_LANEKINDOPTION_H
