//===- FuzzBytecode.cpp - Modules as bytecode -----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckEncodedType.h"
#include "Require.h"
#include "Targets.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitOps.h"
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace lowbit;

/// Upstream's reader refuses some bytes without a word, whatever the dialects.
static bool isRefusedSilently(llvm::MemoryBufferRef bytes) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.allowUnregisteredDialects();
  unsigned diagnostics = 0;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &) { ++diagnostics; });
  Block block;
  return failed(readBytecodeFile(bytes, &block, ParserConfig(&context))) && !diagnostics;
}

namespace {
/// One bytecode, read into a context of its own: a bad one can leave types and attributes behind
/// that a good one would find.
class Reader {
public:
  Reader()
      : context(MLIRContext::Threading::DISABLED),
        handler(&context, [this](Diagnostic &) { ++diagnostics; }) {
    context.loadDialect<LowbitDialect, func::FuncDialect>();
  }

  /// False if the bytes are refused.
  bool read(StringRef bytes) {
    // A copy, aligned as a mapped file is.
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(bytes);
    bool isGood = succeeded(readBytecodeFile(*buffer, &block, ParserConfig(&context)));
    require(isGood || diagnostics || isRefusedSilently(*buffer),
            "bytecode is refused with a reason");
    return isGood;
  }

  std::string print() {
    std::string text;
    llvm::raw_string_ostream stream(text);
    for (Operation &op : block)
      op.print(stream, OpPrintingFlags().printGenericOpForm());
    return text;
  }

  MLIRContext context;
  ScopedDiagnosticHandler handler;
  unsigned diagnostics = 0;
  Block block;
};
} // namespace

static void checkOperation(Operation *op) {
  for (TypeRange types : {TypeRange(op->getOperandTypes()), TypeRange(op->getResultTypes())})
    for (Type type : types)
      if (getEncoding(type) && isa<LowbitDialect>(op->getDialect()))
        checkEncodedType(cast<RankedTensorType>(type));
}

bool lowbit::fuzzBytecode(llvm::ArrayRef<uint8_t> data) {
  StringRef bytes = llvm::toStringRef(data);
  Reader reader;
  if (!reader.read(bytes))
    return false;
  std::string text = reader.print();
  std::string rewritten;
  llvm::raw_string_ostream stream(rewritten);
  for (Operation &op : reader.block) {
    require(succeeded(verify(&op)), "what was read is verified");
    op.walk(checkOperation);
    require(succeeded(writeBytecodeToFile(&op, stream)), "what was read is written");
    break; // a bytecode has one module
  }
  if (reader.block.empty())
    return true;
  Reader again;
  require(again.read(rewritten), "what was written is read");
  require(again.print() == text, "a module survives bytecode");
  return true;
}
