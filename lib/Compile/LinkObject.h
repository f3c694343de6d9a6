//===- LinkObject.h - From an object file to a shared object ----*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_COMPILE_LINKOBJECT_H
#define LOWBIT_LIB_COMPILE_LINKOBJECT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace lowbit {

/// A shared object of these object files and of the functions that they call (Builtins/), by LLVM's
/// linker. It needs OpenMP and libm of the process that loads it. `architecture`: "x86_64",
/// "aarch64".
llvm::Expected<std::vector<uint8_t>> linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                                                      llvm::StringRef architecture);

/// The same as one object file, to link into a program: the sections that `symbols` need. Names and
/// visibility of symbols are as they were.
llvm::Expected<std::vector<uint8_t>> linkRelocatable(llvm::ArrayRef<llvm::StringRef> objects,
                                                     llvm::ArrayRef<std::string> symbols,
                                                     llvm::StringRef architecture);

} // namespace lowbit

#endif // LOWBIT_LIB_COMPILE_LINKOBJECT_H
