//===- Session.h - Compiled code with its parameters, to call ---*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_SESSION_H
#define LOWBIT_RUNTIME_SESSION_H

#include "lowbit/Runtime/Array.h"
#include "lowbit/Runtime/Signature.h"

#include <memory>
#include <string>

namespace lowbit {

class OpenMPRuntime;

/// Memory in the shape that MLIR's C interface takes: {base, aligned, offset, sizes, strides} of a
/// row-major contiguous memref, all of them words. It refers to the data, and owns nothing.
class MemRefDescriptor {
public:
  MemRefDescriptor(const void *data, llvm::ArrayRef<int64_t> shape);
  /// For Session::invoke.
  void *get() { return words.data(); }
  llvm::ArrayRef<int64_t> getWords() const { return words; }

private:
  llvm::SmallVector<int64_t, 11> words;
};

/// What compiling makes of a module: machine code as a shared object, and what it takes.
struct CompiledModule {
  ModuleSignature signature;
  std::vector<uint8_t> code;
  /// The same as one relocatable object, complete but for OpenMP, libm and libc; empty unless asked
  /// for (CodeOptions::keepObject).
  std::vector<uint8_t> object = {};
  /// For code that this machine cannot run: code that it can, of the entries that pack parameters.
  std::vector<uint8_t> packing = {};
};

/// The array that a parameter of compiled code points to, or the eight bytes of an `index`.
struct ParameterValue {
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape;
  llvm::ArrayRef<uint8_t> data; ///< aligned to its elements
  std::shared_ptr<const void> owner;
};

/// Compiled code in this process, ready to run. Code and parameters are freed with the object.
/// Calls are not synchronized: two at a time must not touch the same in-out arguments.
class Session {
public:
  /// `threads`: of OpenMP, for each call; 0: what OpenMP takes by itself (OMP_NUM_THREADS, or all
  /// cores). Fails for code that is not for this machine, unless it comes with code for packing:
  /// then that is loaded, and other entries cannot be called. Fails for what the code lacks.
  static llvm::Expected<std::unique_ptr<Session>> load(CompiledModule module, unsigned threads);
  ~Session();

  const ModuleSignature &getSignature() const { return module.signature; }
  llvm::ArrayRef<uint8_t> getCode() const { return module.code; }
  llvm::ArrayRef<uint8_t> getObject() const { return module.object; }

  /// Points the code at its parameters: one value for each of the signature's, in that order. They
  /// must be of the types that it says (arrays of them are not looked at).
  void setParameters(std::vector<ParameterValue> values);
  llvm::ArrayRef<ParameterValue> getParameters() const { return parameters; }

  /// The address of `void (void **arguments)`, which calls the entry; see invoke().
  llvm::Expected<void *> lookup(llvm::StringRef entry) const;

  /// Calls an entry. arguments[i] points to argument i: to a memref's descriptor, or to a scalar.
  /// Shapes are the caller's business. Fails if the entry does not exist, takes another number of
  /// arguments, or parameters are not set.
  llvm::Error invoke(llvm::StringRef entry, llvm::ArrayRef<void *> arguments) const;

  /// As invoke() without the check for parameters: for entries that pack them.
  void call(const EntrySignature &entry, llvm::ArrayRef<void *> arguments) const;

  /// `void NAME(void **arguments)` in the code, for the entry of that name.
  static std::string getPackedName(llvm::StringRef entry);

private:
  explicit Session(CompiledModule module) : module(std::move(module)) {}

  CompiledModule module;
  int file = -1;                         // with the code, for the dynamic linker
  void *handle = nullptr;                // of the dynamic linker
  const OpenMPRuntime *openMP = nullptr; // of the process; null: the code uses no OpenMP
  unsigned threads = 0;
  llvm::SmallVector<void *> entryAddresses;     // in the order of the signature's entries
  llvm::SmallVector<void *> parameterAddresses; // and of its parameters
  std::vector<ParameterValue> parameters;
  bool hasParameters = false;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_SESSION_H
