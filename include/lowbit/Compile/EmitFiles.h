//===- EmitFiles.h - Compiled code for programs in C ------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_EMITFILES_H
#define LOWBIT_COMPILE_EMITFILES_H

#include "lowbit/Runtime/Session.h"

namespace lowbit {

struct EmitOptions {
  bool object = true;
  bool header = true;
};

/// Writes what a program in C or C++ needs to call a session's code without this library:
///   STEM.o        the code. It needs libm, and libomp if it has parallel loops. What it shows to
///                 the linker begins with the last part of STEM, made an identifier.
///   STEM.h        declarations, in C99; docs/Embedding.md explains them.
///   STEM.weights  if the module has parameters: their bytes in one block, in which each array
///                 starts on a cache line.
/// All of them appear, or none. The session was compiled with CodeOptions::keepObject, and its
/// parameters are set. Fails for a module without entries, and for files that cannot be written.
llvm::Error emitFiles(llvm::StringRef stem, const Session &session, const EmitOptions &options);

} // namespace lowbit

#endif // LOWBIT_COMPILE_EMITFILES_H
