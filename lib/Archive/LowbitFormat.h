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
