//===- FloatHelpers.h - Conversions that code generation calls --*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_FLOATHELPERS_H
#define LOWBIT_RUNTIME_FLOATHELPERS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <utility>

namespace lowbit {

/// Names and addresses of the conversions between f32, f64, f16 and bf16 that the compiler calls on
/// processors without an instruction for them. Their home is compiler-rt; a process has those of
/// the libgcc that it happens to be linked with, and before version 13 that lacks bf16.
llvm::ArrayRef<std::pair<llvm::StringLiteral, void *>> getFloatHelpers();

} // namespace lowbit

#endif // LOWBIT_RUNTIME_FLOATHELPERS_H
