//===- TensorBatch.cpp - One entry on many tensors at once ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/TensorBatch.h"

#include "OpenMPRuntime.h"
#include "lowbit/Runtime/Array.h"
#include "llvm/Support/MathExtras.h"

#include <atomic>

using namespace llvm;
using namespace lowbit;

Expected<TensorBatch> TensorBatch::create(const Session &session, StringRef name,
                                          ArrayRef<int64_t> columns) {
  Expected<const EntrySignature *> entry = session.getSignature().find(name);
  if (!entry)
    return entry.takeError();
  if (Expected<void *> address = session.lookup(name); !address)
    return address.takeError();
  if ((*entry)->outputs)
    return createStringError("entry '" + name + "' has fresh results: a batch needs one that " +
                             "updates its arguments");
  if (columns.size() != (*entry)->arguments.size())
    return createStringError("entry '" + name + "' has " + Twine((*entry)->arguments.size()) +
                             " arguments: a batch is told of each how it is cut, not of " +
                             Twine(columns.size()));
  for (auto [type, count] : zip_equal((*entry)->arguments, columns))
    if (type.isMemRef ? count == shared || count < whole
                      : count != shared && type.dtype != DType::I64)
      return createStringError("an argument " + type.str() + " of '" + name +
                               "' cannot be cut in pieces of " + Twine(count));
  if (any_of(columns, [](int64_t n) { return n > 0; }) && session.getSignature().usesThreads)
    return createStringError("entry '" + name + "' has parallel regions of its own: compile it " +
                             "with parallel=false");
  return TensorBatch(session, **entry, columns);
}

/// Of an array of a tensor along its columns, or what an `index` holds.
static int64_t extentOf(const ValueType &type, const ArrayView &array) {
  return type.isMemRef ? array.shape[1] : *static_cast<const int64_t *>(array.data);
}

Error TensorBatch::add(ArrayRef<ArrayView> arrays) {
  size_t next = 0;
  std::optional<int64_t> count;
  for (auto [type, piece] : zip_equal(entry->arguments, columns)) {
    if (piece == shared)
      continue;
    if (next == arrays.size())
      return createStringError("a tensor has too few arrays: " + Twine(next));
    const ArrayView &array = arrays[next];
    bool fits = type.acceptsDType(array.dtype) &&
                (type.isMemRef ? type.acceptsShape(array.shape) : array.shape.empty());
    if (piece > 0 && type.isMemRef)
      fits &= array.shape.size() == 2 && array.shape[0] == 1;
    if (!fits)
      return createStringError("array " + Twine(next) + " is " +
                               formatArrayType(array.dtype, array.shape) + ", not " + type.str());
    ++next;
    // Numbers that are no extents say nothing of pieces.
    if (piece < 0 && !type.isMemRef)
      continue;
    int64_t own = piece > 0 ? divideCeil(extentOf(type, array), piece) : 1;
    if (own != count.value_or(own))
      return createStringError("array " + Twine(next - 1) + ", " +
                               formatArrayType(array.dtype, array.shape) +
                               ", does not belong to those before it: it is of another size");
    count = own;
  }
  if (next != arrays.size())
    return createStringError("a tensor has " + Twine(arrays.size()) + " arrays, not " +
                             Twine(next));
  tensors.push_back({SmallVector<ArrayView, 8>(arrays), pieces});
  pieces += count.value_or(0);
  return Error::success();
}

void TensorBatch::callPiece(int64_t piece, ArrayRef<void *> given) const {
  const Tensor &tensor = *std::prev(
      partition_point(tensors, [&](const Tensor &other) { return other.firstPiece <= piece; }));
  int64_t number = piece - tensor.firstPiece;
  // Addresses of these are handed on: they must not move.
  SmallVector<MemRefDescriptor, 16> descriptors;
  SmallVector<int64_t, 16> extents;
  descriptors.reserve(columns.size());
  extents.reserve(columns.size());
  SmallVector<void *, 16> arguments;
  size_t nextArray = 0, nextShared = 0;
  for (auto [type, width] : zip_equal(entry->arguments, columns)) {
    if (width == shared) {
      arguments.push_back(given[nextShared++]);
      continue;
    }
    const ArrayView &array = tensor.arrays[nextArray++];
    if (width < whole) {
      extents.push_back(extentOf(type, array) + number * (whole - width));
      arguments.push_back(&extents.back());
      continue;
    }
    SmallVector<int64_t, 4> shape = array.shape;
    int64_t first = 0, extent = extentOf(type, array);
    if (width > 0) {
      first = number * width;
      extent = std::min(width, extent - first);
    }
    if (!type.isMemRef) {
      extents.push_back(extent);
      arguments.push_back(&extents.back());
      continue;
    }
    shape[1] = extent;
    auto *data = static_cast<uint8_t *>(array.data) + first * (getBitWidth(array.dtype) / 8);
    descriptors.emplace_back(data, shape);
    arguments.push_back(descriptors.back().get());
  }
  session->call(*entry, arguments);
}

Error TensorBatch::run(ArrayRef<void *> given, unsigned threads) const {
  size_t needed = count(columns, shared);
  if (given.size() != needed)
    return createStringError("entry '" + entry->name + "' takes " + Twine(needed) +
                             " numbers, not " + Twine(given.size()));
  if (pieces < 2 || none_of(columns, [](int64_t n) { return n > 0; })) {
    for (int64_t piece = 0; piece < pieces; ++piece)
      callPiece(piece, given);
    return Error::success();
  }
  Expected<const OpenMPRuntime *> openMP = OpenMPRuntime::get();
  if (!openMP)
    return openMP.takeError();
  if (!threads)
    threads = (*openMP)->getThreads();
  threads = std::min<int64_t>(threads, pieces);
  // Each thread has a run of pieces of its own, the same from call to call, so that memory is read
  // in order and stays with its thread; who is done early helps with the others'.
  struct alignas(64) Run {
    std::atomic<int64_t> next, end;
  };
  std::vector<Run> runs(threads);
  for (unsigned i = 0; i < threads; ++i) {
    runs[i].next = pieces * i / threads;
    runs[i].end = pieces * (i + 1) / threads;
  }
  (*openMP)->parallel(threads, [&](unsigned own) {
    for (unsigned i = 0; i < threads; ++i) {
      Run &run = runs[(own + i) % threads];
      for (int64_t piece; (piece = run.next++) < run.end;)
        callPiece(piece, given);
    }
  });
  return Error::success();
}
