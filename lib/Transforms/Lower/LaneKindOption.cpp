//===- LaneKindOption.cpp - The kind that an option names ------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"

#include "mlir/IR/Diagnostics.h"

using namespace mlir;

const lowbit::LaneKind *lowbit::readLaneKind(Operation *op, StringRef name) {
  const LaneKind *kind = findLaneKind(name);
  if (!kind) {
    InFlightDiagnostic error = op->emitError();
    error << "unknown kind of instructions '" << name << "'; known: ";
    llvm::interleaveComma(getLaneKinds(), error, [&](const LaneKind &k) { error << k.name; });
  }
  return kind;
}
