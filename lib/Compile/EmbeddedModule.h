//===- EmbeddedModule.h - Compiled code as a C program sees it --*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_COMPILE_EMBEDDEDMODULE_H
#define LOWBIT_LIB_COMPILE_EMBEDDEDMODULE_H

#include "lowbit/Runtime/Session.h"

namespace lowbit {

/// Names and places of what emitFiles() writes. It refers to the session.
struct EmbeddedModule {
  /// Of arrays in the block of weights, in bytes: kernels read whole cache lines.
  static constexpr uint64_t alignment = 64;

  struct Entry {
    const EntrySignature *signature;
    std::string function; ///< the wrapper with typed arguments, in the header
    std::string symbol;   ///< `void (void **arguments)`, in the object
  };
  struct Parameter {
    const ParameterSignature *signature;
    const ParameterValue *value;
    std::string symbol;
    uint64_t offset; ///< in the block of weights; values that are one array have one place
  };

  /// Without the entries that only pack parameters: that is done. Fails if no other is left.
  static llvm::Expected<EmbeddedModule> create(llvm::StringRef stem, const Session &session);

  std::string name; ///< an identifier; all others begin with it and "_"
  std::vector<Entry> entries;
  std::vector<Parameter> parameters;
  uint64_t weightsBytes = 0;
  bool usesThreads = false;

  /// The text of the header.
  std::string formatHeader() const;
};

} // namespace lowbit

#endif // LOWBIT_LIB_COMPILE_EMBEDDEDMODULE_H
