//===- Artifact.h - A compiled model in a file ------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An artifact (.lbm) is all that running a compiled model takes: a safetensors
// file with the array "code" (a shared object) and one array for each parameter,
// named as the code's symbol. "__metadata__" has
//   "lowbit.artifact": "1"
//   "lowbit.program":  {"architecture", "features", "threads", "matrix_unit", "entries",
//                      "parameters"}, as ModuleSignature
//   "lowbit.digests":  {"ARRAY": "BLAKE3 in hexadecimal"}, of each array and of "lowbit.program"
//   "lowbit.origin":   what it was compiled from and how; for people
//   "lowbit.model":    the model's key-values, as in a Lowbit archive
//
// It holds machine code: one from elsewhere deserves the trust of a program from there.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_ARTIFACT_H
#define LOWBIT_RUNTIME_ARTIFACT_H

#include "lowbit/Archive/Metadata.h"
#include "lowbit/Archive/Safetensors.h"
#include "lowbit/Runtime/Session.h"

namespace lowbit {

class Artifact {
public:
  /// Writes a session's code and parameters, under a temporary name that then takes the place of
  /// `path`.
  static llvm::Error write(llvm::StringRef path, const Session &session, const Metadata &model,
                           llvm::StringRef origin);

  /// Reads the header. An error says at which byte of which file something is wrong.
  static llvm::Expected<std::unique_ptr<Artifact>> open(llvm::StringRef path);

  const Metadata &metadata() const { return model; }
  llvm::StringRef getOrigin() const { return origin; }
  const ModuleSignature &getSignature() const { return signature; }
  /// The code, and the parameters under their symbols.
  llvm::ArrayRef<SafetensorsTensor> getArrays() const { return file->getTensors(); }

  /// Loads the code, and the packed parameters into memory; the other parameters stay in the mapped
  /// file. Everything is compared with its digest. `threads` as for Session::load.
  llvm::Expected<std::unique_ptr<Session>> load(unsigned threads) const;

private:
  Artifact(std::unique_ptr<SafetensorsFile> file, Metadata model)
      : file(std::move(file)), model(std::move(model)) {}
  llvm::Error check(const SafetensorsTensor &array, llvm::ArrayRef<uint8_t> bytes) const;
  llvm::Expected<std::vector<ParameterValue>> readParameters() const;

  std::shared_ptr<const SafetensorsFile> file;
  Metadata model;
  std::string origin;
  ModuleSignature signature;
  llvm::StringMap<std::string> digests;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_ARTIFACT_H
