//===- GGMLTypes.cpp - The tensor types of ggml --------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/GGMLTypes.h"

#include "LowbitFormat.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace lowbit {

// Sizes as in ggml-common.h. The numbers 4, 5, 31 to 33 and 36 to 38 were types once.
static constexpr GGMLType types[] = {
    {0, "F32", 1, 4, 0, 0, ""},
    {1, "F16", 1, 2, 1, 1, ""},
    {2, "Q4_0", 32, 18, 2, 2, "int<4>, scale = f16 per {32}"},
    {3, "Q4_1", 32, 20, 3, 3, "uint<4>, scale = f16 per {32}, min = f16 per {32}"},
    {6, "Q5_0", 32, 22, 8, 8, "int<5>, scale = f16 per {32}"},
    {7, "Q5_1", 32, 24, 9, 9, "uint<5>, scale = f16 per {32}, min = f16 per {32}"},
    {8, "Q8_0", 32, 34, 7, 7, "int<8>, scale = f16 per {32}"},
    {9, "Q8_1", 32, 36, 0, -1, ""},
    {10, "Q2_K", 256, 84, 10, 10,
     "uint<2>, scale = f16 per {256} * uint<4> per {16}, "
     "min = f16 per {256} * uint<4> per {16}"},
    {11, "Q3_K", 256, 110, 11, 13, "int<3>, scale = f16 per {256} * int<6> per {16}"},
    {12, "Q4_K", 256, 144, 14, 15,
     "uint<4>, scale = f16 per {256} * uint<6> per {32}, "
     "min = f16 per {256} * uint<6> per {32}"},
    {13, "Q5_K", 256, 176, 16, 17,
     "uint<5>, scale = f16 per {256} * uint<6> per {32}, "
     "min = f16 per {256} * uint<6> per {32}"},
    {14, "Q6_K", 256, 210, 18, 18, "int<6>, scale = f16 per {256} * int<8> per {16}"},
    {15, "Q8_K", 256, 292, 0, -1, ""},
    {16, "IQ2_XXS", 256, 66, 19, 19, ""},
    {17, "IQ2_XS", 256, 74, 20, 20, ""},
    {18, "IQ3_XXS", 256, 98, 23, 23, ""},
    {19, "IQ1_S", 256, 50, 24, 24, ""},
    {20, "IQ4_NL", 32, 18, 25, 25, "codebook<iq4_nl>, scale = f16 per {32}"},
    {21, "IQ3_S", 256, 110, 26, 27, ""},
    {22, "IQ2_S", 256, 82, 28, 29, ""},
    {23, "IQ4_XS", 256, 136, 30, 30, "codebook<iq4_nl>, scale = f16 per {256} * int<6> per {32}"},
    {24, "I8", 1, 1, 0, -1, ""},
    {25, "I16", 1, 2, 0, -1, ""},
    {26, "I32", 1, 4, 0, -1, ""},
    {27, "I64", 1, 8, 0, -1, ""},
    {28, "F64", 1, 8, 0, -1, ""},
    {29, "IQ1_M", 256, 56, 31, 31, ""},
    {30, "BF16", 1, 2, 32, 32, ""},
    {34, "TQ1_0", 256, 54, 36, 36, "codebook<ternary>, scale = f16 per {256}"},
    {35, "TQ2_0", 256, 66, 37, 37, "codebook<[-1.0, 0.0, 1.0, 2.0]>, scale = f16 per {256}"},
    {39, "MXFP4", 32, 17, 38, 38, "codebook<mxfp4_ggml>, scale = e8m0 per {32}"},
    {40, "NVFP4", 64, 36, 39, 39, ""},
    {41, "Q1_0", 128, 18, 40, 40, ""},
};

ArrayRef<GGMLType> getGGMLTypes() { return types; }

const GGMLType *lookupGGMLType(uint32_t id) {
  const auto *type = find_if(types, [&](const GGMLType &t) { return t.id == id; });
  return type == std::end(types) ? nullptr : type;
}

const GGMLType *lookupGGMLType(StringRef name) {
  const auto *type =
      find_if(types, [&](const GGMLType &t) { return name.equals_insensitive(t.name); });
  return type == std::end(types) ? nullptr : type;
}

static const PlainEncoding *lookupPlainEncoding(const GGMLType &type) {
  std::optional<DType> dtype = parseDType(type.name);
  return dtype ? lookupPlainEncoding(*dtype) : nullptr;
}

bool GGMLType::isPlain() const { return lookupPlainEncoding(*this) != nullptr; }

//===----------------------------------------------------------------------===//
// Encodings
//===----------------------------------------------------------------------===//

static constexpr StringLiteral prefix = "#lowbit.quantized<";

/// "{32}" becomes "[1, 32]" for a matrix: one block of extent 1 on every axis but the last.
static std::string expandTerm(StringRef term, unsigned rank) {
  std::string text;
  while (!term.empty()) {
    auto [before, rest] = term.split('{');
    auto [extent, after] = rest.split('}');
    text += before;
    if (!extent.empty()) {
      text += '[';
      for (unsigned axis = 1; axis < rank; ++axis)
        text += "1, ";
      text += extent;
      text += ']';
    }
    term = after;
  }
  return text;
}

std::optional<std::string> getEncodingOf(const GGMLType &type, unsigned rank) {
  if (const PlainEncoding *plain = lookupPlainEncoding(type))
    return plain->encoding.str();
  if (type.term.empty())
    return std::nullopt;
  return (prefix + expandTerm(type.term, rank) + ", layout = ggml<" + type.name.lower() + ">>")
      .str();
}

GGMLStorage getStorageOf(const GGMLType &type, ArrayRef<int64_t> shape) {
  if (const PlainEncoding *plain = lookupPlainEncoding(type))
    return {plain->component, plain->dtype, SmallVector<int64_t, 4>(shape)};
  SmallVector<int64_t, 4> blocks(shape);
  blocks.back() /= type.blockSize;
  blocks.push_back(type.blockBytes);
  return {"blocks", DType::U8, std::move(blocks)};
}

const GGMLType *lookupGGMLTypeOf(StringRef encoding) {
  if (const PlainEncoding *plain = lookupPlainEncoding(encoding))
    return lookupGGMLType(getDTypeName(plain->dtype));
  if (encoding == "#lowbit.quantized<f32>") // plain too, by its long name
    return lookupGGMLType("F32");
  // The layout alone decides: the dialect lets it hold one term only, and prints it last.
  StringRef rest = encoding;
  if (!rest.consume_front(prefix) || !rest.consume_back(">>"))
    return nullptr;
  auto [term, name] = rest.rsplit(", layout = ggml<");
  const GGMLType *type = name.empty() ? nullptr : lookupGGMLType(name);
  return type && !type->term.empty() ? type : nullptr;
}

const GGMLType *lookupGGMLTypeOfTerm(StringRef encoding, unsigned rank) {
  if (!encoding.consume_front(prefix) || !encoding.consume_back(">"))
    return nullptr;
  StringRef term = encoding.rsplit(", layout = ").first;
  const auto *type = find_if(types, [&](const GGMLType &t) {
    return !t.term.empty() && expandTerm(t.term, rank) == term;
  });
  return type == std::end(types) ? nullptr : type;
}

} // namespace lowbit
