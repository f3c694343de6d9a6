//===- Npy.h - numpy's file format ------------------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Versions 1.0 to 3.0 of the format described in
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, for
// little-endian, C-ordered arrays of bool, int8 to int64, uint8 to uint64,
// float16, float32 and float64. numpy has no bfloat16: such values travel as
// uint16, which readers and writers of their bits agree on.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_NPY_H
#define LOWBIT_RUNTIME_NPY_H

#include "lowbit/Runtime/Array.h"

namespace lowbit {

/// The file is untrusted; an error is `PATH: byte OFFSET: what is wrong: what to do`.
llvm::Expected<Array> readNpy(llvm::StringRef path);

/// Writes version 1.0 under a temporary name beside `path`, then renames. `dtype` is one that
/// readNpy gives, or BF16, which is written as uint16.
llvm::Error writeNpy(llvm::StringRef path, const Array &array);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_NPY_H
