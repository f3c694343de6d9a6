//===- LlamaReader.h - Reads a llama-like model from an archive -*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IMPORT_LLAMAREADER_H
#define LOWBIT_LIB_IMPORT_LLAMAREADER_H

#include "LlamaModel.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/Import/Llama.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace lowbit {

/// Sizes from the metadata (LlamaModel.cpp), and the tensors that they ask for (LlamaTensors.cpp).
class LlamaReader {
public:
  LlamaReader(const Archive &archive, mlir::MLIRContext *context)
      : archive(archive), metadata(archive.metadata()), context(context) {}

  llvm::Expected<LlamaModel> read(const LlamaImportOptions &options);

private:
  llvm::Error readSizes(const LlamaImportOptions &options);
  llvm::Error readHeads();
  llvm::Error readContext(const LlamaImportOptions &options);
  llvm::Error readActivations(const std::optional<std::string> &given);
  llvm::Error readTensors(const LlamaImportOptions &options);
  llvm::Expected<CacheEncodings> readCaches(const std::optional<std::string> &given,
                                            int64_t layers) const;
  llvm::Expected<LlamaModel::Rotation> readRotation(llvm::StringRef name, int64_t size);
  llvm::Error readLayer(int64_t index, const CacheEncodings &caches);
  void numberKind(LlamaLayer &layer);

  llvm::Error rejectArchitecture() const;
  llvm::Error rejectFeatures() const;
  llvm::Error rejectLeftOvers() const;
  bool belongsToInput(llvm::StringRef name) const;

  /// A count of at least 1; `fallback` where the key is absent, unless that is 0.
  llvm::Expected<int64_t> readCount(llvm::StringRef key, int64_t fallback = 0) const;
  llvm::Expected<float> readPositive(llvm::StringRef key, std::optional<float> fallback = {}) const;
  llvm::Expected<LlamaParameter> readTensor(llvm::StringRef prefix, llvm::StringRef role,
                                            llvm::ArrayRef<int64_t> shape);
  llvm::Expected<mlir::RankedTensorType> readType(const TensorInfo &tensor) const;

  llvm::Error makeError(const llvm::Twine &what) const {
    return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                   llvm::Twine(archive.getPath()) + ": " + what);
  }
  llvm::Error makeKeyError(llvm::StringRef key, const llvm::Twine &what) const {
    return makeError("metadata '" + key + "' " + what);
  }

  const Archive &archive;
  const Metadata &metadata;
  mlir::MLIRContext *context;
  LlamaModel model;
  llvm::StringSet<> used;                       // tensors
  llvm::StringMap<mlir::Attribute> activations; // by the names of weights
};

} // namespace lowbit

#endif // LOWBIT_LIB_IMPORT_LLAMAREADER_H
