//===- TensorBatch.h - One entry on many tensors at once --------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An optimizer steps thousands of tensors of all sizes by the same rule. A batch calls the entry on
// pieces of them, in one parallel region: which thread takes a piece changes nothing in it.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_TENSORBATCH_H
#define LOWBIT_RUNTIME_TENSORBATCH_H

#include "lowbit/Runtime/Session.h"

namespace lowbit {

/// A row-major, contiguous array of the caller's.
struct ArrayView {
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape;
  void *data;
};

class TensorBatch {
public:
  /// What `columns` says of an argument that is none of a tensor's but a number for all, or that is
  /// taken whole.
  static constexpr int64_t shared = 0, whole = -1;
  /// Of one that is, as an I64, the first column of a piece of so many columns, counted from the
  /// number that the tensor gives.
  static constexpr int64_t firstOf(int64_t width) { return whole - width; }

  /// For an entry of `session`, which must outlive the batch, without fresh outputs. `columns`, for
  /// each of its arguments: `shared`, or how many columns of an array [1, ?] (or of the tensor,
  /// whose extent an `index` is) make a piece, so that all arrays of a tensor have as many pieces.
  /// Where they are all `whole`, one call follows the other, and the entry may have parallel
  /// regions.
  static llvm::Expected<TensorBatch> create(const Session &session, llvm::StringRef entry,
                                            llvm::ArrayRef<int64_t> columns);

  /// A tensor: what is not shared, in order; numbers as I64 of rank 0. Arrays are used where they
  /// lie: they must live as long as the batch. Fails if they are not of the entry's types or have
  /// not as many pieces.
  llvm::Error add(llvm::ArrayRef<ArrayView> arrays);

  /// Calls the entry on everything that was added. shared[i] points to the i-th shared number.
  /// `threads`: of OpenMP; 0: what OpenMP takes by itself.
  llvm::Error run(llvm::ArrayRef<void *> shared, unsigned threads) const;

private:
  TensorBatch(const Session &session, const EntrySignature &entry, llvm::ArrayRef<int64_t> columns)
      : session(&session), entry(&entry), columns(columns) {}

  struct Tensor {
    llvm::SmallVector<ArrayView, 8> arrays;
    int64_t firstPiece;
  };
  void callPiece(int64_t piece, llvm::ArrayRef<void *> shared) const;

  const Session *session;
  const EntrySignature *entry;
  llvm::SmallVector<int64_t> columns;
  std::vector<Tensor> tensors;
  int64_t pieces = 0;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_TENSORBATCH_H
