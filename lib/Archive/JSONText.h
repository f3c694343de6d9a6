//===- JSONText.h - JSON from untrusted files -------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// llvm::json::parse keeps the last of duplicate keys, forgets the order of
// members, and recurses as deep as its input: all three matter here.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_ARCHIVE_JSONTEXT_H
#define LOWBIT_LIB_ARCHIVE_JSONTEXT_H

#include "llvm/Support/JSON.h"

#include <optional>
#include <string>
#include <vector>

namespace lowbit {

struct JSONProblem {
  size_t offset; ///< in the text
  std::string what;
};

struct JSONMember {
  std::string key;
  size_t offset; ///< of the key, in the text
};

struct JSONText {
  llvm::json::Value value = nullptr;
  /// Those of the outermost object, as written; empty if the value is no object.
  std::vector<JSONMember> members;
};

/// Parses `text`, refusing duplicate keys and nesting deeper than 32.
std::optional<JSONProblem> parseJSON(llvm::StringRef text, JSONText &result);

} // namespace lowbit

#endif // LOWBIT_LIB_ARCHIVE_JSONTEXT_H
