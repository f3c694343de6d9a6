//===- JitSession.h - A module as machine code in memory --------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_JITSESSION_H
#define LOWBIT_RUNTIME_JITSESSION_H

#include "lowbit/Runtime/Array.h"
#include "lowbit/Runtime/Signature.h"

#include <memory>
#include <string>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace lowbit {

class Archive;
class OpenMPRuntime;

struct JitOptions {
  /// LLVM's optimization level, 0 to 3, of the IR and of the code generator.
  unsigned optLevel = 2;
  /// OpenMP threads of a call; 0: what OpenMP takes by itself (OMP_NUM_THREADS, or all cores).
  unsigned threads = 0;
  /// The processor to compile for, as LLVM names it; empty: this machine's, with all it can do.
  std::string cpu;
  /// The object file is also written here, unless empty (to disassemble it, for example).
  std::string dumpObjectPath;
};

/// How long compiling took, in seconds.
struct CompileTimes {
  double import = 0;    ///< from an archive to a module (LanguageModel)
  double lower = 0;     ///< the pipeline, to the LLVM dialect (Program)
  double translate = 0; ///< from the LLVM dialect to LLVM IR
  double optimize = 0;
  double codegen = 0; ///< and link

  double total() const { return import + lower + translate + optimize + codegen; }
};

/// Memory in the shape that MLIR's C interface takes: {base, aligned, offset, sizes, strides} of a
/// row-major contiguous memref, all of them words. It refers to the data, and owns nothing.
class MemRefDescriptor {
public:
  MemRefDescriptor(const void *data, llvm::ArrayRef<int64_t> shape);
  /// For JitSession::invoke.
  void *get() { return words.data(); }
  llvm::ArrayRef<int64_t> getWords() const { return words; }

private:
  llvm::SmallVector<int64_t, 11> words;
};

/// The machine code of a module, ready to run. Code and globals are freed with the object. Calls
/// are not synchronized: two at a time must not touch the same in-out arguments.
class JitSession {
public:
  /// `module` is in the LLVM dialect and carries `lowbit.entries` (Signature.h). It is not changed.
  static llvm::Expected<std::unique_ptr<JitSession>> create(mlir::ModuleOp module,
                                                            const JitOptions &options);
  ~JitSession();

  const ModuleSignature &getSignature() const { return signature; }
  const CompileTimes &getTimes() const { return times; }

  /// Points the module's parameters at tensors of these archives, straight into the mapped files
  /// (an array at an address that does not suit its elements is copied). For a key that several
  /// archives have, the first one counts. Holds on to the archives. An error names the key, and the
  /// type in the program and in the file; the session cannot run after it. Parameters that the
  /// program wants in another layout are packed here, once.
  llvm::Error bindParameters(llvm::ArrayRef<std::shared_ptr<const Archive>> archives);

  /// The address of `void (void **arguments)`, which calls the entry; see invoke().
  llvm::Expected<void *> lookup(llvm::StringRef entry) const;

  /// Calls an entry. arguments[i] points to argument i: to a memref's descriptor, or to a scalar.
  /// Shapes are the caller's business. Fails if the entry does not exist, takes another number of
  /// arguments, or parameters are not bound.
  llvm::Error invoke(llvm::StringRef entry, llvm::ArrayRef<void *> arguments) const;

private:
  JitSession() = default;

  ModuleSignature signature;
  CompileTimes times;
  std::string errors; // of LLVM, which reports them past the return values
  std::unique_ptr<llvm::orc::LLJIT> jit;
  const OpenMPRuntime *openMP = nullptr; // of the process; null: the module uses no OpenMP
  unsigned threads = 0;
  llvm::SmallVector<void *> entryAddresses; // in the order of signature.entries
  std::vector<std::shared_ptr<const Archive>> archives;
  std::vector<Array> copies;              // of misaligned components
  std::vector<std::vector<Array>> packed; // what entries made of stored tensors
  bool parametersBound = false;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_JITSESSION_H
