//===- Stages.h - A program in stages that keep statistics ------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_STAGES_H
#define LOWBIT_COMPILE_STAGES_H

#include "lowbit/Compile/Cancellation.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace lowbit {

class Archive;

/// A parameter that takes factors of a tap's channels: see lowbit-find-scale-sinks.
struct ScaleSink {
  int64_t argument, axis;
  std::vector<int64_t> digits, strides;
};

/// An axis of a parameter that changes with a basis: see lowbit-find-bases. `gain` may be empty.
struct MemberDescription {
  std::string parameter;
  int64_t axis, stride;
  std::string gain;
  bool isDivided;
};

/// What changes together; or the reason why nothing can.
struct BasisDescription {
  std::vector<int64_t> taps;
  int64_t extent = 0;
  bool keepsOnes = false;
  std::vector<MemberDescription> members;
  std::vector<std::string> gains;
  std::string reason;
};

/// One stage of a program, as lowbit-split-stages describes it.
struct StageDescription {
  std::string function;
  /// Of the function, but for the statistics, which come last: "value", "argument 0", "parameter
  /// KEY", "result".
  std::vector<std::string> arguments;
  /// Of all arguments, statistics too, as the IR prints them.
  std::vector<std::string> types;
  /// For each tap the parameters that it feeds.
  std::vector<std::vector<std::string>> feeds;
  /// For each tap what takes factors of its channels, or why nothing does.
  std::vector<std::vector<ScaleSink>> sinks;
  std::vector<std::string> refusals;
  /// What can be permuted with its taps; parameters are named as `arguments` are.
  std::vector<BasisDescription> bases;
  /// The vector-Jacobian product of `function` (lowbit-differentiate), if it was asked for and
  /// there is one: its arguments are those of `function`, the cotangent of the first result, and
  /// storage for each of its results, ...
  std::string gradient;
  /// ... the cotangents of these arguments.
  std::vector<int64_t> differentiated;
};

struct StagedProgram {
  /// The module, whose entries are the stages. Each statistic of each tap is one of their last
  /// arguments, tap by tap in the order that was asked for.
  std::string text;
  std::vector<StageDescription> stages;
};

/// A program, by `lowbit-calibration-pipeline`. `name` is the text's in errors; `entry` may be
/// empty: the first one. With `output` the last stage gives the entry's last result. With
/// `onlyParameters` other values than parameters keep their encodings, and are rounded as they say.
/// With `gradients` every stage that has a value before it, or weights that taps feed, gets its
/// product with cotangents, for these.
llvm::Expected<StagedProgram> splitStages(llvm::StringRef text, llvm::StringRef name,
                                          llvm::ArrayRef<std::string> statistics,
                                          llvm::StringRef entry, bool output, bool onlyParameters,
                                          bool gradients, const Cancellation &cancellation = {});

/// The program of a language model's archive (importLlama), with keys and values as `kvCache` says.
llvm::Expected<std::string> importModel(const Archive &archive, uint64_t contextLength,
                                        llvm::StringRef kvCache);

/// A key-value cache of a language model: an argument of its entries, in their order.
struct CacheDescription {
  std::string name; ///< "k_0", "v_0", "k_1", ...
  std::vector<int64_t> shape;
  std::string encoding; ///< as the IR prints it; empty: f32
};

/// The caches of a language model for so many positions, as `kvCache` says (Import/Llama.h).
llvm::Expected<std::vector<CacheDescription>>
listCaches(const Archive &archive, uint64_t contextLength, llvm::StringRef kvCache);

/// A parameter that takes a shift of channels, or `weight` (unless that is empty) times it: see
/// lowbit-find-shift-sinks.
struct ShiftSink {
  std::string parameter;
  int64_t axis;
  std::vector<int64_t> digits, strides;
  int64_t sign;
  std::string weight;
};

/// How the parameters of an entry can be changed so that it computes the same.
struct EntryDescription {
  std::vector<std::string> parameters;         ///< all that it uses
  std::vector<std::vector<std::string>> feeds; ///< of each tap
  std::vector<BasisDescription> bases;         ///< of rotations
  /// For each tap what takes a shift of its channels, or why nothing does.
  std::vector<std::vector<ShiftSink>> shifts;
  std::vector<std::string> refusals;
};

/// Of each entry of a program, by `lowbit-conditioning-pipeline`.
llvm::Expected<std::vector<EntryDescription>>
describeEntries(llvm::StringRef text, llvm::StringRef name, const Cancellation &cancellation = {});

} // namespace lowbit

#endif // LOWBIT_COMPILE_STAGES_H
