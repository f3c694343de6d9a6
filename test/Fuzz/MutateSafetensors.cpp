//===- MutateSafetensors.cpp - Mutations that keep the header whole ------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file begins with the length of its header, and nearly every random change makes it wrong. Most
// mutations here change the header's text and then set its length.
//
//===----------------------------------------------------------------------===//

#include "llvm/Support/Endian.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

static constexpr size_t headerStart = 8;

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  std::minstd_rand random(seed);
  uint64_t headerSize = size < headerStart ? 0 : llvm::support::endian::read64le(data);
  if (headerSize == 0 || headerSize > size - headerStart || maxSize < size || random() % 8 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::vector<uint8_t> rest(data + headerStart + headerSize, data + size);
  size_t room = maxSize - headerStart - rest.size();
  headerSize = LLVMFuzzerMutate(data + headerStart, headerSize, room);
  llvm::support::endian::write64le(data, headerSize);
  if (!rest.empty())
    std::memcpy(data + headerStart + headerSize, rest.data(), rest.size());
  return headerStart + headerSize + rest.size();
}
