//===- InitAll.h - Everything that a tool registers -------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_INITALL_H
#define LOWBIT_INITALL_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace lowbit {

/// The lowbit dialect, the upstream dialects and the interface models that its pipelines use.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Lowbit's passes and pipelines, and upstream's passes.
void registerAllPasses();

} // namespace lowbit

#endif // LOWBIT_INITALL_H
