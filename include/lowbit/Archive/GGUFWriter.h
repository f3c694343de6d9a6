//===- GGUFWriter.h - Writer of GGUF files ----------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Version 3, little-endian, of the format described in
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: what GGUF.h reads.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_GGUFWRITER_H
#define LOWBIT_ARCHIVE_GGUFWRITER_H

#include "lowbit/Archive/GGMLTypes.h"
#include "lowbit/Archive/Metadata.h"
#include "lowbit/Archive/StagedFile.h"
#include "llvm/ADT/SmallVector.h"

namespace lowbit {

/// Tensors lie in the file as declared, each at a multiple of the alignment, the gaps and the end
/// padded with zeros. The same declarations and bytes give the same file.
class GGUFWriter final : public StagedFile {
public:
  struct Declaration {
    std::string name; ///< 1 to 63 bytes: what ggml can keep
    /// Row-major, slowest extent first, as in GGUFTensor: 1 to 4 extents, none of them zero; the
    /// last is a multiple of the type's block size.
    llvm::SmallVector<int64_t, 4> shape;
    const GGMLType *type;
  };

  /// Key-values are written in their order, with their types. "general.alignment", if it is among
  /// them, decides the alignment; it must be a u32 and a power of two. Fails for a duplicate or
  /// unusable name or key, and for a shape that cannot be.
  static llvm::Expected<std::unique_ptr<GGUFWriter>>
  create(llvm::StringRef path, llvm::ArrayRef<Metadata::Entry> metadata,
         llvm::ArrayRef<Declaration> tensors);
  /// Whether a file can hold this tensor; the error names it.
  static llvm::Error check(llvm::StringRef path, const Declaration &tensor);

private:
  using StagedFile::StagedFile;
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_GGUFWRITER_H
