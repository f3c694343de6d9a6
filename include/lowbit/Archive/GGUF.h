//===- GGUF.h - Reader of GGUF files ----------------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Versions 2 and 3, little-endian, of the format described in
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The file is
// untrusted: every count is checked against the bytes that are left before it
// is believed, and open() either accepts the whole file or returns one error
// `PATH: byte OFFSET: what is wrong: what to do`.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_GGUF_H
#define LOWBIT_ARCHIVE_GGUF_H

#include "lowbit/Archive/GGMLTypes.h"
#include "lowbit/Archive/MappedFile.h"
#include "lowbit/Archive/Metadata.h"
#include "llvm/ADT/SmallVector.h"

namespace lowbit {

struct GGUFTensor {
  llvm::StringRef name;
  /// Row-major, slowest extent first, as numpy has it: ggml's dimensions reversed. 1 to 4 extents,
  /// none of them zero; the last is a multiple of the type's block size.
  llvm::SmallVector<int64_t, 4> shape;
  const GGMLType *type;
  uint64_t offset; ///< from the start of the file
  llvm::ArrayRef<uint8_t> data;
};

class GGUFFile {
public:
  static llvm::Expected<std::unique_ptr<GGUFFile>> open(llvm::StringRef path);
  static llvm::Expected<std::unique_ptr<GGUFFile>> open(std::unique_ptr<MappedFile> file);

  const MappedFile &getFile() const { return *file; }
  uint32_t getVersion() const { return version; }
  /// What tensor offsets are multiples of; a power of two.
  uint32_t getAlignment() const { return alignment; }
  const Metadata &getMetadata() const { return metadata; }
  /// In the order of the file. Tensors do not overlap.
  llvm::ArrayRef<GGUFTensor> getTensors() const { return tensors; }

private:
  friend class GGUFParser;
  explicit GGUFFile(std::unique_ptr<MappedFile> file);

  std::unique_ptr<MappedFile> file;
  uint32_t version = 0;
  uint32_t alignment = 32;
  Metadata metadata;
  std::vector<GGUFTensor> tensors;
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_GGUF_H
