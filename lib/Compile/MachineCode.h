//===- MachineCode.h - From LLVM IR to an object file ------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_COMPILE_MACHINECODE_H
#define LOWBIT_LIB_COMPILE_MACHINECODE_H

#include "lowbit/Compile/CompileModule.h"
#include "lowbit/Target/CpuTarget.h"

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace lowbit {

/// LLVM's machine for `target`, at the level of `options`.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(const CpuTarget &target,
                                                                 const CodeOptions &options);

/// LLVM ends the process where it finds no instruction for an intrinsic: fails for one that the
/// target lacks.
llvm::Error checkInstructions(const llvm::Module &module, const CpuTarget &target);

/// Adds the packed wrapper of each entry, makes parameters visible and everything else internal.
/// Fails if a function or global that the signature names is missing or of another type.
llvm::Error exposeEntries(llvm::Module &module, const ModuleSignature &signature);

/// LLVM's standard pipeline at `level`, for the target. Ends early, with a module of no use, once
/// cancellation is requested.
void optimize(llvm::Module &module, llvm::TargetMachine &target, unsigned level,
              const Cancellation &cancellation);

/// Machine code of the module, as a relocatable object file. The module is of no use after it.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(llvm::Module &module, llvm::TargetMachine &target, const Cancellation &cancellation);

} // namespace lowbit

#endif // LOWBIT_LIB_COMPILE_MACHINECODE_H
