//===- CheckArchive.h - What holds for every archive ------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_FUZZ_CHECKARCHIVE_H
#define LOWBIT_TEST_FUZZ_CHECKARCHIVE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace lowbit {

/// The name under which the input is opened.
constexpr llvm::StringLiteral inputName = "input";

/// Opens `file` as an archive and compares all it says with each other and with the bytes. False
/// if the file is refused.
bool checkArchive(llvm::ArrayRef<uint8_t> file);

/// A refusal names the input, and a place in it.
void checkRefusal(llvm::Error error, llvm::ArrayRef<uint8_t> file);

} // namespace lowbit

#endif // LOWBIT_TEST_FUZZ_CHECKARCHIVE_H
