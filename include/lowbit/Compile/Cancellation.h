//===- Cancellation.h - Ends long work early --------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_CANCELLATION_H
#define LOWBIT_COMPILE_CANCELLATION_H

#include "llvm/Support/Error.h"

#include <atomic>

namespace lowbit {

/// Asks work that takes long to end: it skips what it can, fails, and leaves nothing behind. Any
/// thread may ask.
class Cancellation {
public:
  void request() { requested = true; }
  bool isRequested() const { return requested; }
  /// An error once it is requested.
  llvm::Error check() const {
    return requested ? llvm::createStringError("cancelled") : llvm::Error::success();
  }

private:
  std::atomic<bool> requested = false;
};

} // namespace lowbit

#endif // LOWBIT_COMPILE_CANCELLATION_H
