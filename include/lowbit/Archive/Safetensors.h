//===- Safetensors.h - Reader and writer of safetensors ---------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The format of https://github.com/huggingface/safetensors: eight bytes of
// header length, a JSON header {"NAME": {"dtype", "shape", "data_offsets"}, ...,
// "__metadata__": {"KEY": "VALUE"}}, then the data, which the tensors cover
// without overlap and without gaps. Arrays are dense, row-major, little-endian.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_SAFETENSORS_H
#define LOWBIT_ARCHIVE_SAFETENSORS_H

#include "lowbit/Archive/DType.h"
#include "lowbit/Archive/MappedFile.h"
#include "lowbit/Archive/StagedFile.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <vector>

namespace llvm::json {
class Value;
} // namespace llvm::json

namespace lowbit {

/// The longest JSON header, in bytes: the format's own limit.
constexpr uint64_t maxSafetensorsHeader = 100'000'000;

struct SafetensorsTensor {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape; ///< may be empty: a scalar
  uint64_t headerOffset;               ///< of its entry, from the start of the file, for messages
  llvm::ArrayRef<uint8_t> data;        ///< not necessarily aligned in a file written elsewhere
};

/// A memory-mapped file, untrusted like a GGUF file and with the same form of errors.
class SafetensorsFile {
public:
  static llvm::Expected<std::unique_ptr<SafetensorsFile>> open(llvm::StringRef path);
  static llvm::Expected<std::unique_ptr<SafetensorsFile>> open(std::unique_ptr<MappedFile> file);

  const MappedFile &getFile() const { return *file; }
  /// In the order of their data.
  llvm::ArrayRef<SafetensorsTensor> getTensors() const { return tensors; }
  const SafetensorsTensor *lookup(llvm::StringRef name) const;
  /// The strings of "__metadata__", in no order.
  const llvm::StringMap<std::string> &getMetadata() const { return metadata; }
  /// Where "__metadata__" is, from the start of the file, for messages; 8 if there is none.
  uint64_t getMetadataOffset() const { return metadataOffset; }

private:
  explicit SafetensorsFile(std::unique_ptr<MappedFile> file) : file(std::move(file)) {}
  llvm::Error parse();
  llvm::Error parseMetadata(const llvm::json::Value &value);
  llvm::Error parseTensor(llvm::StringRef name, const llvm::json::Value &value, uint64_t dataStart,
                          uint64_t headerOffset);
  llvm::Error checkCoverage(uint64_t dataStart);

  std::unique_ptr<MappedFile> file;
  std::vector<SafetensorsTensor> tensors;
  llvm::StringMap<size_t> index;
  llvm::StringMap<std::string> metadata;
  uint64_t metadataOffset = 8;
};

/// In the file tensors are ordered by the alignment of their elements (largest first), then as
/// declared, so that every one is aligned without gaps. The same declarations and bytes give the
/// same file.
class SafetensorsWriter final : public StagedFile {
public:
  struct Declaration {
    std::string name;
    DType dtype;
    llvm::SmallVector<int64_t, 4> shape;
  };
  using MetadataEntry = std::pair<std::string, std::string>;

  /// Fails for a duplicate or unusable name, or a shape that cannot be.
  static llvm::Expected<std::unique_ptr<SafetensorsWriter>>
  create(llvm::StringRef path, llvm::ArrayRef<Declaration> tensors,
         llvm::ArrayRef<MetadataEntry> metadata = {});

private:
  using StagedFile::StagedFile;
  static llvm::Error checkDeclarations(llvm::StringRef path,
                                       llvm::ArrayRef<Declaration> declarations);
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_SAFETENSORS_H
