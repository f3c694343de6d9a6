//===- CompileModule.h - From the LLVM dialect to code ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_COMPILEMODULE_H
#define LOWBIT_COMPILE_COMPILEMODULE_H

#include "lowbit/Compile/Cancellation.h"
#include "lowbit/Runtime/Session.h"

#include <memory>

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace lowbit {

class Archive;

struct CodeOptions {
  /// LLVM's optimization level, 0 to 3, of the IR and of the code generator.
  unsigned optLevel = 2;
  /// The processor to compile for, as CpuTarget::create() takes it.
  std::string cpu;
  /// The object file is also written here, unless empty (to disassemble it, for example).
  std::string dumpObjectPath;
  /// Keep the code as an object file too (CompiledModule::object), for emitFiles().
  bool keepObject = false;
  /// Ends compiling early, by an error.
  std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();
};

/// How long compiling took, in seconds.
struct CompileTimes {
  double import = 0;    ///< from an archive to a module (language models)
  double lower = 0;     ///< the pipeline, to the LLVM dialect
  double translate = 0; ///< from the LLVM dialect to LLVM IR
  double optimize = 0;
  double codegen = 0; ///< and link
  double pack = 0;    ///< of parameters (language models)

  double total() const { return import + lower + translate + optimize + codegen + pack; }
};

/// Reads the module's two attributes (Signature.h); a malformed one is an error that says what was
/// expected.
llvm::Expected<ModuleSignature> readSignature(mlir::ModuleOp module);

/// `module` is in the LLVM dialect and carries `lowbit.entries`. It is not changed.
llvm::Expected<CompiledModule> compileModule(mlir::ModuleOp module, const CodeOptions &options,
                                             CompileTimes &times);

/// Points a session's parameters at tensors of these archives, straight into the mapped files (an
/// array at an address that does not suit its elements is copied). For a key that several archives
/// have, the first one counts. The session holds on to the archives. An error names the key, and
/// the type in the program and in the file. Parameters that the program wants in another layout are
/// packed here, once.
llvm::Error bindParameters(Session &session,
                           llvm::ArrayRef<std::shared_ptr<const Archive>> archives,
                           const Cancellation &cancellation = {});

} // namespace lowbit

#endif // LOWBIT_COMPILE_COMPILEMODULE_H
