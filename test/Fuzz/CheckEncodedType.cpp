//===- CheckEncodedType.cpp - What holds for every encoded type -----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckEncodedType.h"

#include "Require.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "llvm/ADT/StringSet.h"

#include <limits>

using namespace mlir;
using namespace lowbit;

/// Element counts up to which the scalar reference is run: it is made to be read, not to be fast.
static constexpr int64_t kMostElements = 512;

static void checkTiles(RankedTensorType type) {
  for (TileUse use : {TileUse::Decode, TileUse::Encode, TileUse::EncodeAfterStatistics}) {
    SmallVector<int64_t> multiples = getEncoding(type).getTileMultiples(type, use);
    require((int64_t)multiples.size() == type.getRank(), "a tile multiple for each axis");
    require(llvm::all_of(multiples, [](int64_t n) { return n >= 1 || n == kWhole; }),
            "a tile multiple is at least 1, or the whole axis");
  }
}

/// The stored bytes; none if some extent is known only at run time. A sum of terms can have more
/// than an int64_t holds.
static std::optional<__int128> checkComponents(RankedTensorType type) {
  llvm::StringSet<> names;
  std::optional<__int128> bytes = 0;
  for (const EncodingComponent &component : getEncoding(type).getComponents(type)) {
    require(!component.name.empty() && names.insert(component.name).second,
            "components have names of their own");
    auto stored = dyn_cast<RankedTensorType>(component.type);
    require(stored ? !stored.getEncoding() : component.type.isIndex(),
            "a component is a plain tensor or an index");
    if (stored && !stored.hasStaticShape())
      bytes = std::nullopt;
    else if (bytes && stored)
      *bytes += __int128(stored.getNumElements()) * stored.getElementTypeBitWidth() / 8;
    else if (bytes)
      *bytes += 8;
  }
  require(!names.empty(), "an encoding has components");
  return bytes;
}

/// An encode of numbers of both signs; what it stores must be as large as the type says, and
/// decode.
static void checkReference(RankedTensorType type, std::optional<__int128> bytes) {
  std::vector<float> values(type.getNumElements());
  for (auto [i, value] : llvm::enumerate(values))
    value = static_cast<float>(int64_t(i * 37 % 101) - 50) / 16;
  EncodingAttrInterface encoding = getEncoding(type);
  llvm::Expected<std::vector<Buffer>> buffers = encoding.referenceEncode(type.getShape(), values);
  if (!buffers) {
    require(!toString(buffers.takeError()).empty(), "a refusal has a reason");
    return;
  }
  int64_t stored = 0;
  SmallVector<BufferRef> refs;
  for (const Buffer &buffer : *buffers) {
    stored += buffer.bytes.size();
    refs.push_back({buffer.shape, buffer.bytes});
  }
  // On an empty axis the reference has no block, and the type one where a block spans the axis.
  bool isEmpty = type.getNumElements() == 0;
  require(isEmpty || !bytes || stored == *bytes, "an encode stores the bytes that the type has");
  if (llvm::Error error = encoding.referenceDecode(type.getShape(), refs, values))
    require(false, "what was encoded decodes: " + toString(std::move(error)));
}

/// Components that no encode has written, as a damaged archive holds them: they decode to
/// something, or are refused with a reason.
static void checkForeignBytes(RankedTensorType type) {
  EncodingAttrInterface encoding = getEncoding(type);
  for (unsigned step : {0u, 1u, 37u}) {
    std::vector<Buffer> buffers;
    for (const EncodingComponent &component : encoding.getComponents(type)) {
      Buffer &buffer = buffers.emplace_back();
      int64_t size = 8;
      if (auto stored = dyn_cast<RankedTensorType>(component.type)) {
        size = stored.getElementTypeBitWidth() / 8;
        for (int64_t n : stored.getShape()) {
          buffer.shape.push_back(ShapedType::isDynamic(n) ? 2 : n);
          size *= buffer.shape.back();
        }
      }
      buffer.bytes.resize(size);
      for (auto [i, byte] : llvm::enumerate(buffer.bytes))
        byte = static_cast<uint8_t>(255 + i * step);
    }
    SmallVector<BufferRef> refs;
    for (const Buffer &buffer : buffers)
      refs.push_back({buffer.shape, buffer.bytes});
    std::vector<float> values(type.getNumElements());
    if (llvm::Error error = encoding.referenceDecode(type.getShape(), refs, values))
      require(!toString(std::move(error)).empty(), "a refusal has a reason");
  }
}

void lowbit::checkEncodedType(RankedTensorType type) {
  checkTiles(type);
  std::optional<__int128> bytes = checkComponents(type);
  bool isCounted = bytes && *bytes <= std::numeric_limits<int64_t>::max();
  require(getStaticBytes(type) == (isCounted ? std::optional<int64_t>(*bytes) : std::nullopt),
          "the bytes are those of the components");
  // Each extent too: a row of an empty tensor can be longer than memory.
  if (type.hasStaticShape() && type.getNumElements() <= kMostElements &&
      llvm::all_of(type.getShape(), [](int64_t n) { return n <= kMostElements; })) {
    checkReference(type, bytes);
    checkForeignBytes(type);
  }
}
