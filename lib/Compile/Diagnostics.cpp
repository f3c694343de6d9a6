//===- Diagnostics.cpp - MLIR's diagnostics as llvm::Error ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace lowbit;

static void printDiagnostic(raw_ostream &stream, mlir::Diagnostic &diagnostic) {
  if (auto location = diagnostic.getLocation()->findInstanceOf<mlir::FileLineColLoc>()) {
    stream << location.getFilename().getValue();
    if (location.getLine()) // 0 for a module that the text does not spell out
      stream << ':' << location.getLine() << ':' << location.getColumn();
    stream << ": ";
  }
  stream << diagnostic;
}

DiagnosticCollector::DiagnosticCollector(mlir::MLIRContext *context)
    : handler(context, [this](mlir::Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
          return failure();
        raw_string_ostream stream(text);
        stream << (text.empty() ? "" : "\n");
        printDiagnostic(stream, diagnostic);
        for (mlir::Diagnostic &note : diagnostic.getNotes()) {
          stream << "\n  note: ";
          printDiagnostic(stream, note);
        }
        return success();
      }) {}

std::string DiagnosticCollector::takeText() { return std::move(text); }

Error DiagnosticCollector::takeError(const Twine &what) {
  std::string details = takeText();
  return createStringError(details.empty() ? what.str() : (what + ": " + details).str());
}
