//===- MergeArchives.h - An archive with tensors of others ------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_MERGEARCHIVES_H
#define LOWBIT_ARCHIVE_MERGEARCHIVES_H

#include "lowbit/Archive/Archive.h"

namespace lowbit {

/// Writes the tensors of `base`, in its order, as `output`; one that an archive of `replacements`
/// has, too, as the last of them stores it; then those that only replacements have. Metadata are
/// those of `base` and `texts` (key, text), which count where both have a key. Fails for a
/// replacement of another shape, and where `output` is one of the archives that are read.
llvm::Error mergeArchives(const Archive &base,
                          llvm::ArrayRef<std::unique_ptr<Archive>> replacements,
                          llvm::ArrayRef<std::pair<std::string, std::string>> texts,
                          llvm::StringRef output);

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_MERGEARCHIVES_H
