//===- StridedCopy.h - memref.copy between views ----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_STRIDEDCOPY_H
#define LOWBIT_RUNTIME_STRIDEDCOPY_H

#include <cstdint>

namespace lowbit {

/// MLIR's descriptor of a memref of unknown rank; `descriptor` is {base, aligned, offset, sizes,
/// strides}, in words.
struct UnrankedDescriptor {
  int64_t rank;
  void *descriptor;
};

/// What a memref.copy whose source or destination is not contiguous is compiled to a call of, under
/// the name `memrefCopy`. The shapes are equal, the elements `elementBytes` long.
void copyStrided(int64_t elementBytes, UnrankedDescriptor *source, UnrankedDescriptor *destination);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_STRIDEDCOPY_H
