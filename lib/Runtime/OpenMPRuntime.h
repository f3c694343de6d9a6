//===- OpenMPRuntime.h - LLVM's OpenMP library, loaded on demand *- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_OPENMPRUNTIME_H
#define LOWBIT_RUNTIME_OPENMPRUNTIME_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

namespace lowbit {

/// The OpenMP library that compiled code calls. There is one for the process: if it has one of the
/// same interface already (Intel's), that is taken, since two of them would fight over threads.
class OpenMPRuntime {
public:
  /// Loads it with the first call. An error says which package has it.
  static llvm::Expected<const OpenMPRuntime *> get();

  /// Threads of the parallel regions that the calling thread starts from now on.
  void setThreads(int count) const { setNumThreads(count); }
  int getThreads() const { return getMaxThreads(); }
  /// Calls `body` with the number of each thread of a parallel region of so many.
  void parallel(unsigned threads, llvm::function_ref<void(unsigned)> body) const;

private:
  OpenMPRuntime() = default;
  void (*setNumThreads)(int) = nullptr;
  int (*getMaxThreads)() = nullptr;
  int (*getThreadNumber)() = nullptr;
  void (*startRegion)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_OPENMPRUNTIME_H
