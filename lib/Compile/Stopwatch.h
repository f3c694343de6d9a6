//===- Stopwatch.h - Seconds between two moments ----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_COMPILE_STOPWATCH_H
#define LOWBIT_LIB_COMPILE_STOPWATCH_H

#include <chrono>

namespace lowbit {

class Stopwatch {
public:
  /// Seconds since the last lap, or since the start.
  double lap() {
    auto now = std::chrono::steady_clock::now();
    double seconds = std::chrono::duration<double>(now - last).count();
    last = now;
    return seconds;
  }

private:
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

} // namespace lowbit

#endif // LOWBIT_LIB_COMPILE_STOPWATCH_H
