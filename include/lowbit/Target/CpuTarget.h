//===- CpuTarget.h - What a processor can do ---------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The record of a processor: whatever code depends on it asks here, and nothing else asks the
// machine. What a processor has comes from LLVM's tables.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TARGET_CPUTARGET_H
#define LOWBIT_TARGET_CPUTARGET_H

#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
enum class CodeGenOptLevel;
class TargetMachine;
} // namespace llvm

namespace lowbit {

/// What is found by measuring rather than in a table; it changes the time of kernels alone.
struct CpuTuning {
  int64_t prefetchDistance = 2048; ///< in bytes; 0: no prefetches
  unsigned prefetchLocality = 3;   ///< 3: into all caches, 2: all but the first
  bool inlineScales = false;       ///< weights in one stream of codes and scales for 16 rows
  int64_t registerGroups = 4;      ///< vectors of 16 outputs in a register tile, at most
  int64_t registerVectors = 24;    ///< vectors of 16 sums in it, at most
  int64_t iterationGroups = 16;    ///< vectors of 16 outputs in an iteration of a parallel loop
};

struct CpuTarget {
  /// By the name that LLVM has for a processor of x86-64 or arm64, or "x86-64-v2" and the like, or
  /// "aarch64" for any arm64; "+FEATURE" after it for each that it has besides. Empty or "native":
  /// this machine, with all that it can do.
  static llvm::Expected<CpuTarget> create(llvm::StringRef name);

  /// Whether it has a feature, as LLVM names it.
  bool has(llvm::StringRef feature) const;
  /// Those that code for it may need.
  std::vector<std::string> getRequiredFeatures() const;
  /// Fails for a kind of `lowbit-lower-lanes` whose instructions it lacks.
  llvm::Error checkLanes(llvm::StringRef kind) const;
  llvm::Error checkMatrixUnit(llvm::StringRef unit) const;
  /// Whether it has the instruction of an intrinsic of LLVM, as far as passes use it.
  bool hasIntrinsic(llvm::StringRef intrinsic) const;

  /// LLVM's own of it; `sections`: one for each function.
  std::unique_ptr<llvm::TargetMachine> makeMachine(llvm::CodeGenOptLevel level,
                                                   bool sections = false) const;

  // Without create(): no processor in particular, as wide as any.
  std::string triple, cpu, featureString; ///< as LLVM takes them
  std::string architecture;               ///< "x86_64", "aarch64"
  std::vector<std::string> features;      ///< all that it has, in order
  int64_t vectorLength = 16;              ///< f32 elements of a vector register
  bool hasMultiplyAdd = true;             ///< product and sum, rounded once, as an instruction
  std::string lanes = "generic";          ///< instructions on bytes: see LaneKinds.h
  std::string matrixUnit = "none";        ///< "amx"
  CpuTuning tuning;
};

} // namespace lowbit

#endif // LOWBIT_TARGET_CPUTARGET_H
