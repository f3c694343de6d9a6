//===- Driver.cpp - From libFuzzer to a target ----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled once for each target, whose function LOWBIT_FUZZ_TARGET names.
//
//===----------------------------------------------------------------------===//

#include "Targets.h"

// LLVM's own libraries are not instrumented: what they share with instrumented code (containers,
// bump allocators) is described to the sanitizer by one side only.
extern "C" const char *__asan_default_options() {
  return "detect_container_overflow=0:allow_user_poisoning=0";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lowbit::LOWBIT_FUZZ_TARGET({data, size});
  return 0;
}
