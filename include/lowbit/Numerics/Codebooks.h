//===- Codebooks.h - Published tables of levels, by name ------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `codebook<NAME>` and `codebook<NAME, ARGUMENTS>`: tables that the literature and other libraries
// use, each a row of one table in lib/Numerics/Codebooks.cpp with its source.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_CODEBOOKS_H
#define LOWBIT_NUMERICS_CODEBOOKS_H

#include "lowbit/Numerics/Format.h"

#include <string>
#include <string_view>
#include <vector>

namespace lowbit::numerics {

/// A named table, or a family of tables with parameters.
struct CodebookFamily {
  std::string_view name;
  /// What the arguments are, as in "bits, exponent"; empty for a single table. One of them may be
  /// "bits", which makes 2^bits codes.
  std::string_view parameters;
  /// What the levels are and where they were published.
  std::string_view description;
};

/// All families, in alphabetical order.
std::vector<CodebookFamily> codebookFamilies();

/// The codebook of this name and arguments; nothing, and what is wrong in `error`, if there is
/// none.
std::optional<Format> namedCodebook(std::string_view name,
                                    const std::vector<double> &arguments = {},
                                    std::string *error = nullptr);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_CODEBOOKS_H
