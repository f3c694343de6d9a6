//===- Version.h - What compiled what for which machine ---------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_VERSION_H
#define LOWBIT_RUNTIME_VERSION_H

#include "lowbit/Runtime/Signature.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace lowbit {

/// A digest of the compiler's sources, and LLVM's version: two compilers of one version make the
/// same code of the same input.
llvm::StringRef getCompilerVersion();

/// This machine's processor as LLVM names it, with all that it can do.
std::string describeProcessor();

/// Fails for code of another architecture than this machine's, or that was compiled for features
/// that its processor lacks.
llvm::Error checkProcessor(const ModuleSignature &signature);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_VERSION_H
