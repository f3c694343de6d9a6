//===- Passes.h - Rewrites that leave the float program alone ---*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TRANSFORMS_CONDITION_PASSES_H
#define LOWBIT_TRANSFORMS_CONDITION_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace lowbit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lowbit/Transforms/Condition/Passes.h.inc"

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_CONDITION_PASSES_H
