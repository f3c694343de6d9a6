//===- LowbitDialect.h - The dialect ----------------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IR_LOWBITDIALECT_H
#define LOWBIT_IR_LOWBITDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Dialect.h"

#include "lowbit/IR/LowbitDialect.h.inc"

#endif // LOWBIT_IR_LOWBITDIALECT_H
