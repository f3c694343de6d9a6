//===- DType.cpp - Element types of stored arrays ------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/DType.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace llvm;

namespace lowbit {

namespace {
struct DTypeEntry {
  DType dtype;
  StringLiteral name;
  unsigned bits;
};

// In the order of the enumeration.
constexpr DTypeEntry table[] = {
    {DType::Bool, "BOOL", 8},      {DType::F4, "F4", 4},          {DType::F6E2M3, "F6_E2M3", 6},
    {DType::F6E3M2, "F6_E3M2", 6}, {DType::U8, "U8", 8},          {DType::I8, "I8", 8},
    {DType::F8E5M2, "F8_E5M2", 8}, {DType::F8E4M3, "F8_E4M3", 8}, {DType::F8E8M0, "F8_E8M0", 8},
    {DType::I16, "I16", 16},       {DType::U16, "U16", 16},       {DType::F16, "F16", 16},
    {DType::BF16, "BF16", 16},     {DType::I32, "I32", 32},       {DType::U32, "U32", 32},
    {DType::F32, "F32", 32},       {DType::C64, "C64", 64},       {DType::F64, "F64", 64},
    {DType::I64, "I64", 64},       {DType::U64, "U64", 64},
};

const DTypeEntry &entryOf(DType dtype) { return table[static_cast<unsigned>(dtype)]; }
} // namespace

StringRef getDTypeName(DType dtype) { return entryOf(dtype).name; }

std::optional<DType> parseDType(StringRef name) {
  const auto *entry = find_if(table, [&](const DTypeEntry &e) { return e.name == name; });
  if (entry == std::end(table))
    return std::nullopt;
  return entry->dtype;
}

unsigned getBitWidth(DType dtype) { return entryOf(dtype).bits; }

unsigned getAlignment(DType dtype) { return std::max(1u, entryOf(dtype).bits / 8); }

std::optional<int64_t> countElements(ArrayRef<int64_t> shape) {
  if (any_of(shape, [](int64_t extent) { return extent < 0; }))
    return std::nullopt;
  if (is_contained(shape, 0))
    return 0;
  int64_t count = 1;
  for (int64_t extent : shape) {
    std::optional<int64_t> product = checkedMul(count, extent);
    if (!product)
      return std::nullopt;
    count = *product;
  }
  return count;
}

std::optional<uint64_t> countBytes(DType dtype, ArrayRef<int64_t> shape) {
  std::optional<int64_t> count = countElements(shape);
  if (!count)
    return std::nullopt;
  std::optional<uint64_t> bits =
      checkedMulUnsigned(static_cast<uint64_t>(*count), uint64_t(getBitWidth(dtype)));
  if (!bits || *bits % 8 != 0)
    return std::nullopt;
  return *bits / 8;
}

std::string formatShape(ArrayRef<int64_t> shape) {
  std::string text;
  raw_string_ostream os(text);
  os << '[';
  interleaveComma(shape, os);
  os << ']';
  return text;
}

} // namespace lowbit
