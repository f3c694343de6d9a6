//===- StridedCopy.cpp - memref.copy between views ------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cstring>

namespace {
/// MLIR's descriptor of a memref of unknown rank; `descriptor` is {base, aligned, offset, sizes,
/// strides}, in words.
struct UnrankedDescriptor {
  int64_t rank;
  void *descriptor;
};

struct View {
  char *data; // the first element
  const int64_t *sizes;
  const int64_t *strides; // in elements
};
} // namespace

static View getView(const UnrankedDescriptor &unranked, int64_t elementBytes) {
  const int64_t *words = static_cast<const int64_t *>(unranked.descriptor);
  return {reinterpret_cast<char *>(words[1]) + words[2] * elementBytes, words + 3,
          words + 3 + unranked.rank};
}

/// Copies `bytesTogether` at each index of the outer `rank` axes.
static void copyAxis(int64_t rank, int64_t elementBytes, const View &source, const View &target,
                     int64_t bytesTogether) {
  if (rank == 0) {
    std::memcpy(target.data, source.data, bytesTogether);
    return;
  }
  for (int64_t i = 0; i < *source.sizes; ++i)
    copyAxis(
        rank - 1, elementBytes,
        {source.data + i * *source.strides * elementBytes, source.sizes + 1, source.strides + 1},
        {target.data + i * *target.strides * elementBytes, target.sizes + 1, target.strides + 1},
        bytesTogether);
}

/// What a memref.copy whose source or destination is not contiguous is compiled to a call of. The
/// shapes are equal, the elements `elementBytes` long.
extern "C" void memrefCopy(int64_t elementBytes, UnrankedDescriptor *source,
                           UnrankedDescriptor *destination) {
  View from = getView(*source, elementBytes), to = getView(*destination, elementBytes);
  for (int64_t axis = 0; axis < source->rank; ++axis)
    if (from.sizes[axis] == 0)
      return;
  // The innermost axes that lie without gaps on both sides are copied together.
  int64_t rank = source->rank, together = 1;
  while (rank > 0 && from.strides[rank - 1] == together && to.strides[rank - 1] == together)
    together *= from.sizes[--rank];
  copyAxis(rank, elementBytes, from, to, together * elementBytes);
}
