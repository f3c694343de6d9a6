//===- Modules.h - Sessions from text, for tests ----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_UNIT_COMPILE_MODULES_H
#define LOWBIT_TEST_UNIT_COMPILE_MODULES_H

#include "lowbit/Compile/Program.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace lowbit {

/// From a module in the LLVM dialect.
inline llvm::Expected<std::unique_ptr<Session>>
compile(llvm::StringRef text, const CodeOptions &options = {}, unsigned threads = 0) {
  auto context = makeContext();
  auto module = parseModule(text, "test", context.get());
  if (!module)
    return module.takeError();
  CompileTimes times;
  auto compiled = compileModule(**module, options, times);
  if (!compiled)
    return compiled.takeError();
  return Session::load(std::move(*compiled), threads);
}

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_COMPILE_MODULES_H
