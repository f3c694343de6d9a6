//===- JitCompile.h - From LLVM IR to optimized LLVM IR ---------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_JITCOMPILE_H
#define LOWBIT_RUNTIME_JITCOMPILE_H

#include "lowbit/Runtime/JitSession.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace lowbit {

/// Describes the machine that `options` ask for.
llvm::Expected<llvm::orc::JITTargetMachineBuilder> makeTarget(const JitOptions &options);

/// `void NAME(void **arguments)`, for the entry of that name.
std::string getPackedName(llvm::StringRef entry);

/// Adds the packed wrapper of each entry, makes parameters visible and everything else internal.
/// Fails if a function or global that the signature names is missing or of another type.
llvm::Error exposeEntries(llvm::Module &module, const ModuleSignature &signature);

/// LLVM's standard pipeline at `level`, for the target.
void optimize(llvm::Module &module, llvm::TargetMachine &target, unsigned level);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_JITCOMPILE_H
