//===- Diagnostics.h - MLIR's diagnostics as llvm::Error --------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_DIAGNOSTICS_H
#define LOWBIT_COMPILE_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"

#include <string>

namespace lowbit {

/// While it lives, keeps the errors that are emitted on a context (and their notes), instead of
/// printing them. Warnings and remarks go on to the handler that was there before.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// `what`, then what was collected, one line for each: "FILE:LINE:COLUMN: MESSAGE".
  llvm::Error takeError(const llvm::Twine &what);
  /// What was collected, alone.
  std::string takeText();

private:
  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace lowbit

#endif // LOWBIT_COMPILE_DIAGNOSTICS_H
