//===- LowbitFormat.h - How a Lowbit archive names things -------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the reader and the writer. See lowbit/Archive/Archive.h.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_ARCHIVE_LOWBITFORMAT_H
#define LOWBIT_LIB_ARCHIVE_LOWBITFORMAT_H

#include "lowbit/Archive/DType.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <string>

namespace lowbit {

constexpr llvm::StringLiteral versionKey = "lowbit.version";
constexpr llvm::StringLiteral artifactKey = "lowbit.artifact"; ///< lowbit/Runtime/Artifact.h
constexpr llvm::StringLiteral tensorsKey = "lowbit.tensors";
constexpr llvm::StringLiteral modelKey = "lowbit.model";
constexpr llvm::StringLiteral formatVersion = "1";

/// An encoding whose only array is the tensor itself, of a dtype that says all.
struct PlainEncoding {
  DType dtype;
  llvm::StringLiteral encoding;
  llvm::StringLiteral component;
};

constexpr PlainEncoding plainEncodings[] = {
    {DType::F32, "", "values"},
    {DType::F16, "#lowbit.quantized<f16>", "codes"},
    {DType::BF16, "#lowbit.quantized<bf16>", "codes"},
};

inline const PlainEncoding *lookupPlainEncoding(llvm::StringRef encoding) {
  const auto *found =
      llvm::find_if(plainEncodings, [&](const PlainEncoding &p) { return p.encoding == encoding; });
  return found == std::end(plainEncodings) ? nullptr : found;
}

/// Integers and truth values are stored as they are, under the encoding and the component of f32.
inline bool isInteger(DType dtype) {
  switch (dtype) {
  case DType::Bool:
  case DType::I8:
  case DType::U8:
  case DType::I16:
  case DType::U16:
  case DType::I32:
  case DType::U32:
  case DType::I64:
  case DType::U64:
    return true;
  default:
    return false;
  }
}

/// Whether an array of `dtype` can be all that is stored under `plain`.
inline bool acceptsDType(const PlainEncoding &plain, DType dtype) {
  return dtype == plain.dtype || (plain.encoding.empty() && isInteger(dtype));
}

inline const PlainEncoding *lookupPlainEncoding(DType dtype) {
  const auto *found =
      llvm::find_if(plainEncodings, [&](const PlainEncoding &p) { return p.dtype == dtype; });
  return found == std::end(plainEncodings) ? nullptr : found;
}

/// The name in the safetensors file of a component of `tensor`.
inline std::string getStoredName(llvm::StringRef tensor, llvm::StringRef encoding,
                                 llvm::StringRef component) {
  if (lookupPlainEncoding(encoding))
    return tensor.str();
  return (tensor + "::" + component).str();
}

} // namespace lowbit

#endif // LOWBIT_LIB_ARCHIVE_LOWBITFORMAT_H
