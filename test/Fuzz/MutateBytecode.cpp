//===- MutateBytecode.cpp - Mutations that keep bytecode readable --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR's bytecode reader trusts its input: within seconds of any-byte mutations it recurses without
// end over types that refer to themselves, and allocates what a count says. Nothing of that is
// Lowbit's. So these mutations leave the frame alone, and change in place what Lowbit reads: texts
// of attributes, names, properties, and which operation has which operands, types and attributes.
//
// The frame (mlir/docs/BytecodeFormat.md): "ML\xefR", a version, a producer ending in zero, then
// sections, each a byte of identity (bit 7: aligned), a length, an alignment with padding, data.
//
//===----------------------------------------------------------------------===//

#include "llvm/Support/ErrorHandling.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <unistd.h>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

enum Section : uint8_t { Strings = 0, AttributesAndTypes = 2, IR = 4, Properties = 8 };

struct Span {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

class Bytecode {
public:
  Bytecode(uint8_t *data, size_t size) : data(data), size(size) {}

  /// The data of the first section with this identity; none in what is no bytecode.
  std::optional<Span> find(Section wanted) {
    if (size < 6 || std::memcmp(data, "ML\xefR", 4) != 0)
      return std::nullopt;
    position = 4;
    readNumber();
    while (position < size && data[position] != 0)
      ++position;
    ++position;
    while (position < size) {
      uint8_t identity = data[position++];
      uint64_t length = readNumber();
      if (identity & 0x80) {
        uint64_t alignment = std::max<uint64_t>(readNumber(), 1);
        position += (alignment - position % alignment) % alignment;
      }
      if (position > size || length > size - position)
        return std::nullopt;
      if ((identity & 0x7f) == wanted)
        return Span{position, position + length};
      position += length;
    }
    return std::nullopt;
  }

  /// Texts of at least `shortest` bytes in a span.
  std::vector<Span> findTexts(Span span, size_t shortest) const {
    std::vector<Span> texts;
    size_t begin = span.begin;
    for (size_t i = span.begin; i <= span.end; ++i)
      if (i == span.end || data[i] < ' ' || data[i] > '~') {
        if (i - begin >= shortest)
          texts.push_back({begin, i});
        begin = i + 1;
      }
    return texts;
  }

private:
  // The zeros below the lowest set bit count the bytes that follow the first; none is set: eight.
  uint64_t readNumber() {
    if (position >= size)
      return 0;
    unsigned more = data[position] ? __builtin_ctz(data[position]) : 8;
    uint64_t value = 0;
    for (unsigned i = 0; i <= more && position + i < size; ++i)
      if (i < 8)
        value |= uint64_t(data[position + i]) << (8 * i);
    position += more + 1;
    return more < 8 ? value >> (more + 1) : 0;
  }

  uint8_t *data;
  size_t size, position = 0;
};

} // namespace

/// Any change of the text that does not change its length: blanks fill up after the first bracket.
static void mutateText(uint8_t *data, Span text) {
  std::vector<uint8_t> copy(data + text.begin, data + text.end);
  copy.resize(2 * text.size());
  copy.resize(LLVMFuzzerMutate(copy.data(), text.size(), copy.size()));
  // A zero would end the text, and the frame with it.
  std::replace(copy.begin(), copy.end(), uint8_t(0), uint8_t(' '));
  auto bracket = std::find(copy.begin(), copy.end(), '<');
  if (copy.size() < text.size())
    copy.insert(bracket == copy.end() ? bracket : bracket + 1, text.size() - copy.size(), ' ');
  std::copy_n(copy.begin(), text.size(), data + text.begin);
}

// Counts too large to allocate still come about, where a change makes the reader take a wrong turn.
// This ends the process (scripts/fuzz.sh has libFuzzer start another) without a report.
static void endQuietly(void *, const char *reason, bool) {
  if (std::strncmp(reason, "SmallVector unable to grow", 26) == 0)
    _exit(0);
}

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  llvm::install_fatal_error_handler(endQuietly);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t, unsigned seed) {
  static constexpr Section sections[] = {AttributesAndTypes, IR, IR, Properties, Strings};
  std::minstd_rand random(seed);
  Section section = sections[random() % std::size(sections)];
  Bytecode bytecode(data, size);
  std::optional<Span> span = bytecode.find(section);
  if (!span || span->size() == 0)
    return size;
  if (section == AttributesAndTypes || section == Strings) {
    // Shorter runs in the section of attributes are numbers that happen to be printable.
    std::vector<Span> texts = bytecode.findTexts(*span, section == Strings ? 2 : 10);
    if (!texts.empty())
      mutateText(data, texts[random() % texts.size()]);
    return size;
  }
  // The header of the outermost block: where it has arguments, the reader follows a null pointer.
  if (section == IR)
    ++span->begin;
  if (span->size() == 0)
    return size;
  // Odd bytes are numbers below 128: indices, counts, masks. Others would be read as longer
  // numbers.
  for (unsigned changes = 1 + random() % 3; changes != 0; --changes) {
    size_t i = span->begin + random() % span->size(), j = span->begin + random() % span->size();
    if (!(data[i] & 1))
      continue;
    data[i] = (data[j] & 1) && random() % 2 ? data[j] : uint8_t(random() % 16 << 1 | 1);
  }
  return size;
}
