//===- LaneKinds.h - Instructions on lanes of bytes --------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TARGET_LANEKINDS_H
#define LOWBIT_TARGET_LANEKINDS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace lowbit {

/// What `lowbit-lower-lanes` makes of `lowbit.dot4` and `lowbit.lookup`, and
/// `lowbit-lower-ranks`, `lowbit-lower-quotients` and `lowbit-lower-approximations` of numbers:
/// instructions, by names of LLVM's intrinsics, on so many bytes. Where one is empty the generic
/// way is taken.
struct LaneKind {
  llvm::StringRef name;
  /// Features that a processor needs, as LLVM names them; "a b|c d": a and b, or c and d.
  llvm::StringRef needs;
  int64_t bytes;
  llvm::StringRef dot = {};        ///< (sums, unsigned bytes, signed bytes)
  llvm::StringRef dotSigned = {};  ///< (sums, signed bytes, signed bytes)
  llvm::StringRef dotWords = {};   ///< (signed words, signed words), which are added in pairs
  llvm::StringRef lookup = {};     ///< (bytes, bytes), each 16 bytes by themselves
  llvm::StringRef lookup32 = {};   ///< (16 f32, 16 i32)
  llvm::StringRef lookup32x2 = {}; ///< (16 f32, 16 i32, 16 f32): in both vectors
  llvm::StringRef fixUp = {};      ///< (16 f32, 16 f32, 16 i32, ...): other numbers by their class
  llvm::StringRef reciprocal = {},
                  reciprocalRoot = {}; ///< (16 f32, 16 f32, i16): estimates within 2^-14
};

/// The best first; the last one needs nothing.
llvm::ArrayRef<LaneKind> getLaneKinds();

/// Null: there is no kind of that name.
const LaneKind *findLaneKind(llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_TARGET_LANEKINDS_H
