//===- Modules.h - Sessions from text, for tests ----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_UNIT_RUNTIME_MODULES_H
#define LOWBIT_TEST_UNIT_RUNTIME_MODULES_H

#include "lowbit/Runtime/Program.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace lowbit {

/// From a module in the LLVM dialect.
inline llvm::Expected<std::unique_ptr<JitSession>> compile(llvm::StringRef text,
                                                           const JitOptions &options = {}) {
  auto context = makeContext();
  auto module = parseModule(text, "test", context.get());
  if (!module)
    return module.takeError();
  return JitSession::create(**module, options);
}

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_RUNTIME_MODULES_H
