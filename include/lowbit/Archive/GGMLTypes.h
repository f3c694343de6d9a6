//===- GGMLTypes.h - The tensor types of ggml -------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table says what a tensor of a GGUF file is in Lowbit's terms, for the
// reader and for the writer.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_GGMLTYPES_H
#define LOWBIT_ARCHIVE_GGMLTYPES_H

#include "lowbit/Archive/DType.h"
#include "llvm/ADT/SmallVector.h"

#include <string>

namespace lowbit {

/// A tensor type of ggml: rows are cut into blocks of `blockSize` elements, each `blockBytes` long.
struct GGMLType {
  uint32_t id;
  llvm::StringLiteral name; ///< as ggml spells it: "Q4_1", "Q4_K"
  uint32_t blockSize;
  uint32_t blockBytes;
  /// The values of "general.file_type" that say "mostly of this type" (llama_ftype in llama.h), a
  /// range whose first is the plain one; empty if there is none, with first > last.
  int8_t firstFileType;
  int8_t lastFileType;
  /// The term that its blocks hold, as in #lowbit.quantized<TERM, layout = ggml<NAME>>, where
  /// {32} stands for a block of 32 elements of the last axis; empty for a type without an encoding
  /// and for F32, F16 and BF16, which are no blocks.
  llvm::StringLiteral term;

  bool isPlain() const; ///< F32, F16, BF16
  bool hasEncoding() const { return isPlain() || !term.empty(); }
};

/// The one array that a tensor is in a file, named as the layout of its encoding names it.
struct GGMLStorage {
  llvm::StringRef component; ///< "values" for F32, "codes" for F16 and BF16, otherwise "blocks"
  DType dtype;               ///< U8 for blocks
  llvm::SmallVector<int64_t, 4> shape;
};

/// All of them, by number.
llvm::ArrayRef<GGMLType> getGGMLTypes();
/// The type with ggml's number `id`; null if ggml has none (or has dropped it).
const GGMLType *lookupGGMLType(uint32_t id);
/// The type that ggml calls `name`, in any case; null if there is none.
const GGMLType *lookupGGMLType(llvm::StringRef name);

/// The encoding of a tensor of this type and rank, as the IR prints it, "" for F32; nothing for a
/// type without one.
std::optional<std::string> getEncodingOf(const GGMLType &type, unsigned rank);
/// `shape` has at least one extent, the last a multiple of the block size.
GGMLStorage getStorageOf(const GGMLType &type, llvm::ArrayRef<int64_t> shape);
/// The inverse of getEncodingOf: the type whose blocks a tensor with this encoding is made of,
/// whatever its encode rule; null if there is none. `encoding` is as the IR prints it.
const GGMLType *lookupGGMLTypeOf(llvm::StringRef encoding);
/// For messages: the type that holds the same numbers as `encoding`, which has another layout; null
/// if there is none.
const GGMLType *lookupGGMLTypeOfTerm(llvm::StringRef encoding, unsigned rank);

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_GGMLTYPES_H
