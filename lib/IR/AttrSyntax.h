//===- AttrSyntax.h - Short forms within encodings ---------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_ATTRSYNTAX_H
#define LOWBIT_LIB_IR_ATTRSYNTAX_H

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/OpImplementation.h"

namespace lowbit {

/// Parsing functions return failure for a null attribute.
template <typename AttrT> llvm::FailureOr<AttrT> orFailure(AttrT attribute) {
  if (attribute)
    return attribute;
  return llvm::failure();
}

/// An integer that a negative number or a larger one must not wrap to; `what` begins the error.
mlir::ParseResult parseUnsigned(mlir::AsmParser &parser, unsigned &value, llvm::StringRef what);

/// Runs `parse` unless attributes are nested deeper than any stack is sure to hold.
mlir::ParseResult parseNested(mlir::AsmParser &parser,
                              llvm::function_ref<mlir::ParseResult()> parse);

/// An attribute of any dialect in full, or one of this dialect by its mnemonic.
llvm::FailureOr<mlir::Attribute> parseShort(mlir::AsmParser &parser);
void printShort(mlir::AsmPrinter &printer, mlir::Attribute attribute);

/// The shortest decimal that reads back as `value`.
void printNumber(mlir::AsmPrinter &printer, const llvm::APFloat &value);

/// A format that is written as a word: `f16`, which the general attribute parser would take for a
/// type, `bf16`, `f32`, or a minifloat's short name; null if there is none.
llvm::FailureOr<mlir::Attribute> parseOptionalPlainFormat(mlir::AsmParser &parser);
/// Prints such a format; false if the attribute is another one.
bool printPlainFormat(mlir::AsmPrinter &printer, mlir::Attribute format);

/// A number format: `f16` or parseShort.
llvm::FailureOr<mlir::Attribute> parseFormat(mlir::AsmParser &parser);

/// One level as a sentence: `f16 per [1, 32]`.
llvm::FailureOr<ScaleLevelAttr> parseLevel(mlir::AsmParser &parser);
void printLevel(mlir::AsmPrinter &printer, ScaleLevelAttr level);

/// A scale as a sentence, or one of another dialect.
llvm::FailureOr<mlir::Attribute> parseScale(mlir::AsmParser &parser);
void printScale(mlir::AsmPrinter &printer, mlir::Attribute scale);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_ATTRSYNTAX_H
