//===- Targets.h - What the fuzzers run -------------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function takes any bytes whatever. It aborts, with a message, where the library
// breaks a promise; a sanitizer reports the rest. The functions know nothing of
// libFuzzer: ReplayTests.cpp runs them in ordinary builds as well.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_FUZZ_TARGETS_H
#define LOWBIT_TEST_FUZZ_TARGETS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace lowbit {

// All return whether the input was accepted.

/// A GGUF file.
bool fuzzGGUF(llvm::ArrayRef<uint8_t> data);
/// A safetensors file, from elsewhere or of Lowbit.
bool fuzzSafetensors(llvm::ArrayRef<uint8_t> data);
/// What is JSON inside of JSON in a Lowbit archive, and hard to reach from outside: the text of
/// "lowbit.tensors", a zero byte, the text of "lowbit.model".
bool fuzzDirectory(llvm::ArrayRef<uint8_t> data);
/// The text of an encoding, or of a tensor type that has one.
bool fuzzEncoding(llvm::ArrayRef<uint8_t> data);
/// A module as bytecode.
bool fuzzBytecode(llvm::ArrayRef<uint8_t> data);

} // namespace lowbit

#endif // LOWBIT_TEST_FUZZ_TARGETS_H
