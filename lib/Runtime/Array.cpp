//===- Array.cpp - A dense array in memory --------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Array.h"

#include "llvm/Support/MathExtras.h"

#include <sys/mman.h>

using namespace llvm;
using namespace lowbit;

/// Kernels that stream an array stop less often for the addresses of its pages. A hint: nothing
/// depends on it.
static void adviseLargePages(void *memory, uint64_t size) {
  constexpr uintptr_t largePage = 1 << 21;
  uintptr_t start = alignTo(reinterpret_cast<uintptr_t>(memory), largePage);
  uintptr_t end = alignDown(reinterpret_cast<uintptr_t>(memory) + size, largePage);
  if (start < end)
    madvise(reinterpret_cast<void *>(start), end - start, MADV_HUGEPAGE);
}

Expected<Array> Array::allocate(DType dtype, ArrayRef<int64_t> shape) {
  constexpr size_t cacheLine = 64;
  std::optional<uint64_t> size = countBytes(dtype, shape);
  if (!size || *size > SIZE_MAX - cacheLine)
    return createStringError("an array of type " + formatArrayType(dtype, shape) +
                             " has no size that fits a machine word");
  Array array;
  // calloc and not operator new: the kernel hands out large arrays page by page, on first use.
  array.storage.reset(std::calloc(*size + cacheLine, 1));
  if (!array.storage)
    return createStringError("out of memory: an array of type " + formatArrayType(dtype, shape) +
                             " takes " + Twine(*size) + " bytes");
  adviseLargePages(array.storage.get(), *size);
  uintptr_t start = reinterpret_cast<uintptr_t>(array.storage.get());
  array.data = reinterpret_cast<uint8_t *>((start + cacheLine - 1) / cacheLine * cacheLine);
  array.size = *size;
  array.dtype = dtype;
  array.shape.assign(shape.begin(), shape.end());
  return array;
}

std::string lowbit::formatArrayType(DType dtype, ArrayRef<int64_t> shape) {
  return getDTypeName(dtype).lower() + " " + formatShape(shape);
}
