//===- Require.h - A promise that must hold ---------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_FUZZ_REQUIRE_H
#define LOWBIT_TEST_FUZZ_REQUIRE_H

#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

namespace lowbit {

/// Stops the process if `condition` is false; every fuzzer and test runner notices.
inline void require(bool condition, const llvm::Twine &promise) {
  if (condition)
    return;
  llvm::errs() << "broken promise: " << promise << '\n';
  std::abort();
}

} // namespace lowbit

#endif // LOWBIT_TEST_FUZZ_REQUIRE_H
