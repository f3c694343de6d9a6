//===- EncodeArchive.h - A model in another encoding ------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_ENCODEARCHIVE_H
#define LOWBIT_COMPILE_ENCODEARCHIVE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <utility>

namespace lowbit {

struct EncodeArchiveOptions {
  /// The encoding of every 2-D tensor: the text of an attribute, "f32" for plain values, "same" for
  /// as it is stored.
  std::string weights;
  /// Pairs of a pattern (*, ? and [] as in fnmatch, over the whole name) and an encoding that its
  /// tensors of two or more dimensions get instead of `weights`; the first match decides.
  llvm::ArrayRef<std::pair<std::string, std::string>> keep;
  /// Tensors at a time; 0: one for each core.
  unsigned threads = 0;
};

/// Called with the number of tensors done, of tensors in all, and the name of the next one ("" at
/// the end); its error stops the work and is returned.
using EncodeProgress = llvm::function_ref<llvm::Error(size_t, size_t, llvm::StringRef)>;

/// Writes the archive `input` as the archive `output`, its model's metadata included: as a GGUF
/// file if the name ends in .gguf, else as a Lowbit archive (see ArchiveWriter). Tensors are
/// decoded and rounded to nearest by the encoding's scalar reference; those of fewer than two
/// dimensions, and of integers, stay as they are stored. A tensor that its encoding does not fit,
/// or whose encoding the kind of file cannot hold, is an error that names it. `output` is not
/// touched before all is well. Memory: a few tensors at a time.
llvm::Error encodeArchive(llvm::StringRef input, llvm::StringRef output,
                          const EncodeArchiveOptions &options, EncodeProgress progress);

} // namespace lowbit

#endif // LOWBIT_COMPILE_ENCODEARCHIVE_H
