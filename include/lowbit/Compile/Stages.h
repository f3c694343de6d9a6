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
llvm::Expected<StagedProgram> splitStages(llvm::StringRef text, llvm::StringRef name,
                                          llvm::ArrayRef<std::string> statistics,
                                          llvm::StringRef entry, bool output, bool onlyParameters,
                                          const Cancellation &cancellation = {});

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

} // namespace lowbit

#endif // LOWBIT_COMPILE_STAGES_H
