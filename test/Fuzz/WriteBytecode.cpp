//===- WriteBytecode.cpp - Seeds of the bytecode fuzzer -------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `lowbit-fuzz-write-bytecode`: a module's text from standard input, as bytecode on standard
// output. Not lowbit-opt, which a fuzzing build would have to instrument as a whole.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

int main() {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<lowbit::LowbitDialect, func::FuncDialect>();
  auto buffer = llvm::MemoryBuffer::getSTDIN();
  if (!buffer) {
    llvm::errs() << "cannot read standard input: " << buffer.getError().message() << '\n';
    return 1;
  }
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>((*buffer)->getBuffer(), &context);
  return module && succeeded(writeBytecodeToFile(*module, llvm::outs())) ? 0 : 1;
}
