//===- JSONText.cpp - JSON from untrusted files --------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JSONText.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;

namespace lowbit {

namespace {

/// Follows brackets and strings only; what is no JSON is left for the parser to refuse.
class Scanner {
public:
  Scanner(StringRef text, std::vector<JSONMember> &members) : text(text), members(members) {}

  std::optional<JSONProblem> run() {
    for (position = 0; position < text.size(); ++position) {
      std::optional<JSONProblem> problem;
      switch (text[position]) {
      case '{':
      case '[':
        problem = open(text[position] == '{');
        break;
      case '}':
      case ']':
        if (!levels.empty())
          levels.pop_back();
        break;
      case ',':
        if (!levels.empty())
          levels.back().expectsKey = levels.back().isObject;
        break;
      case '"':
        problem = string();
        break;
      default:
        break;
      }
      if (problem)
        return problem;
    }
    return std::nullopt;
  }

private:
  struct Level {
    bool isObject;
    bool expectsKey;
    StringSet<> keys;
  };
  static constexpr size_t maxDepth = 32;

  std::optional<JSONProblem> open(bool isObject) {
    if (levels.size() == maxDepth)
      return JSONProblem{position, "JSON nested more than " + utostr(maxDepth) + " deep"};
    levels.push_back({isObject, isObject, {}});
    return std::nullopt;
  }

  // At the opening quote; leaves at the closing one.
  std::optional<JSONProblem> string() {
    size_t begin = position++;
    bool escaped = false;
    for (; position < text.size() && text[position] != '"'; ++position) {
      if (text[position] == '\\') {
        escaped = true;
        ++position;
      }
    }
    if (position >= text.size() || levels.empty() || !levels.back().expectsKey)
      return std::nullopt;
    levels.back().expectsKey = false;
    std::string key = text.slice(begin + 1, position).str();
    if (escaped) {
      // The same key can be spelled in many ways.
      Expected<json::Value> unescaped = json::parse(text.slice(begin, position + 1));
      if (!unescaped) {
        consumeError(unescaped.takeError());
        return std::nullopt;
      }
      key = unescaped->getAsString()->str();
    }
    if (!levels.back().keys.insert(key).second)
      return JSONProblem{begin, "duplicate key '" + key + "'"};
    if (levels.size() == 1)
      members.push_back({std::move(key), begin});
    return std::nullopt;
  }

  StringRef text;
  std::vector<JSONMember> &members;
  size_t position = 0;
  std::vector<Level> levels;
};

} // namespace

std::optional<JSONProblem> parseJSON(StringRef text, JSONText &result) {
  size_t badByte = 0;
  if (!json::isUTF8(text, &badByte))
    return JSONProblem{badByte, "invalid UTF-8"};
  if (std::optional<JSONProblem> problem = Scanner(text, result.members).run())
    return problem;
  Expected<json::Value> value = json::parse(text);
  if (!value) {
    // "[LINE:COLUMN, byte=OFFSET]: WHAT"; json::ParseError has no accessors.
    std::string message = toString(value.takeError());
    StringRef rest = StringRef(message).split("byte=").second;
    size_t offset = 0;
    rest.consumeInteger(10, offset);
    rest.consume_front("]: ");
    return JSONProblem{offset, "invalid JSON (" + rest.str() + ")"};
  }
  result.value = std::move(*value);
  return std::nullopt;
}

} // namespace lowbit
