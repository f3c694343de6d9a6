//===- DType.h - Element types of stored arrays -----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The element types an array of an archive can have: those of the safetensors
// format, under its names. A component of an encoded tensor uses the same.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_DTYPE_H
#define LOWBIT_ARCHIVE_DTYPE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace lowbit {

enum class DType : uint8_t {
  Bool,
  F4,
  F6E2M3,
  F6E3M2,
  U8,
  I8,
  F8E5M2,
  F8E4M3,
  F8E8M0,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};

/// The name in a safetensors header: "F32", "BF16", "F8_E4M3", ...
llvm::StringRef getDTypeName(DType dtype);
/// The inverse of getDTypeName; nothing for a name the format does not have.
std::optional<DType> parseDType(llvm::StringRef name);
/// Bits of one element: 4, 6, 8, 16, 32 or 64.
unsigned getBitWidth(DType dtype);
/// Bytes that an element's address is a multiple of in a file written here.
unsigned getAlignment(DType dtype);

/// The number of elements of `shape`; nothing if an extent is negative or the product is not an
/// int64_t. A shape with a zero extent has no elements however large the others are.
std::optional<int64_t> countElements(llvm::ArrayRef<int64_t> shape);
/// The bytes of a dense array; nothing on overflow, or if sub-byte elements do not fill whole
/// bytes.
std::optional<uint64_t> countBytes(DType dtype, llvm::ArrayRef<int64_t> shape);

/// "[2, 3]", as in messages.
std::string formatShape(llvm::ArrayRef<int64_t> shape);

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_DTYPE_H
