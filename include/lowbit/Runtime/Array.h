//===- Array.h - A dense array in memory ------------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_ARRAY_H
#define LOWBIT_RUNTIME_ARRAY_H

#include "lowbit/Archive/DType.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <cstdlib>
#include <memory>

namespace lowbit {

/// A row-major, contiguous array that owns its elements. They start on a cache line and are zero;
/// a large array costs no memory before it is written.
class Array {
public:
  Array() = default;
  /// Fails if an extent is negative, elements do not fill bytes, or there is no memory for them.
  static llvm::Expected<Array> allocate(DType dtype, llvm::ArrayRef<int64_t> shape);

  DType getDType() const { return dtype; }
  llvm::ArrayRef<int64_t> getShape() const { return shape; }
  llvm::MutableArrayRef<uint8_t> bytes() { return {data, size}; }
  llvm::ArrayRef<uint8_t> bytes() const { return {data, size}; }
  template <typename T> llvm::MutableArrayRef<T> values() {
    return {reinterpret_cast<T *>(data), size / sizeof(T)};
  }

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };

  DType dtype = DType::F32;
  llvm::SmallVector<int64_t, 4> shape;
  std::unique_ptr<void, Free> storage;
  uint8_t *data = nullptr; // the first cache line in `storage`
  size_t size = 0;
};

/// "f32 [2, 3]", as in messages.
std::string formatArrayType(DType dtype, llvm::ArrayRef<int64_t> shape);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_ARRAY_H
