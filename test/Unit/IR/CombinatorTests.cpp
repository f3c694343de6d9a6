//===- CombinatorTests.cpp - What a sum's terms are given to encode -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace lowbit;

namespace {

using Floats = std::vector<float>;
using Buffers = std::vector<Buffer>;
const int64_t kShape[] = {6, 20};

struct CombinatorTest : testing::Test {
  CombinatorTest() { context.loadDialect<LowbitDialect>(); }

  EncodingAttrInterface term(const std::string &text) {
    EncodingAttrInterface parsed = parseEncoding(text, &context);
    EXPECT_TRUE(parsed) << text;
    return parsed;
  }
  Buffers encode(const std::string &text, const Floats &x) {
    auto buffers = term(text).referenceEncode(kShape, x);
    if (!buffers) {
      ADD_FAILURE() << toString(buffers.takeError());
      return {};
    }
    return std::move(*buffers);
  }
  Floats decode(const std::string &text, const Buffers &buffers) {
    Floats values(kShape[0] * kShape[1], std::nanf(""));
    SmallVector<BufferRef> refs;
    for (const Buffer &buffer : buffers)
      refs.push_back({buffer.shape, buffer.bytes});
    if (llvm::Error error = term(text).referenceDecode(kShape, refs, values))
      ADD_FAILURE() << toString(std::move(error));
    return values;
  }

  MLIRContext context;
};

Floats randomValues() {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  Floats x(kShape[0] * kShape[1]);
  for (float &value : x)
    value = normal(generator);
  x[17] = 50.0f;
  return x;
}

Floats minus(Floats x, const Floats &y) {
  for (size_t i = 0; i < x.size(); ++i)
    x[i] -= y[i];
  return x;
}

/// Appends `more`, whose bytes the tests below compare with those of the sum.
void append(Buffers &all, const Buffers &more) { all.insert(all.end(), more.begin(), more.end()); }

void expectEqual(const Buffers &actual, const Buffers &expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].shape, expected[i].shape) << "component " << i;
    EXPECT_EQ(actual[i].bytes, expected[i].bytes) << "component " << i;
  }
}

const std::string int3 = "#lowbit.quantized<int<3>, scale = f16 per [1, 8]>";
const std::string int4 = "#lowbit.quantized<int<4>, scale = f32 per axis 0>";
const std::string outliers = "#lowbit.sparse<f32, density = 0.05>";

TEST_F(CombinatorTest, ResidualCode) {
  Floats x = randomValues();
  Buffers expected = encode(int3, x);
  Floats rest = minus(x, decode(int3, expected));
  append(expected, encode(int4, rest));
  expectEqual(encode("#lowbit.sum<" + int3 + ", " + int4 + ">", x), expected);
}

TEST_F(CombinatorTest, OutliersLeaveFirstAndStoreTheRest) {
  Floats x = randomValues(), inliers = x;
  Buffers alone = encode(outliers, x); // the places, and the values there
  Floats places = decode(outliers, alone);
  for (size_t i = 0; i < x.size(); ++i)
    if (places[i] != 0)
      inliers[i] = 0;
  Buffers base = encode(int3, inliers), second = base;
  Floats decoded = decode(int3, base);
  append(second, encode(int4, minus(inliers, decoded)));
  Floats both = decode("#lowbit.sum<" + int3 + ", " + int4 + ">", second);

  // Wherever the sparse term is written.
  for (bool isFirst : {false, true}) {
    std::string text = isFirst ? "#lowbit.sum<" + outliers + ", " + int3 + ", " + int4 + ">"
                               : "#lowbit.sum<" + int3 + ", " + int4 + ", " + outliers + ">";
    Buffers encoded = encode(text, x), dense, sparse;
    size_t cut = isFirst ? 3 : encoded.size() - 3;
    dense.assign(encoded.begin() + (isFirst ? cut : 0),
                 isFirst ? encoded.end() : encoded.begin() + cut);
    sparse.assign(encoded.begin() + (isFirst ? 0 : cut),
                  isFirst ? encoded.begin() + cut : encoded.end());
    expectEqual(dense, second);
    EXPECT_EQ(sparse[0].bytes, alone[0].bytes);
    EXPECT_EQ(sparse[1].bytes, alone[1].bytes);
    Floats stored = decode(outliers, sparse);
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_EQ(stored[i], places[i] == 0 ? 0.0f : x[i] - both[i]) << i;
  }
}

TEST_F(CombinatorTest, LowRankBeforeOrAfter) {
  std::string branch = "#lowbit.low_rank<rank = 2, #lowbit.quantized<f16>, #lowbit.quantized<f16>>";
  Floats x = randomValues();
  Buffers first = encode(branch, x);
  Floats rest = minus(x, decode(branch, first));
  append(first, encode(int3, rest));
  expectEqual(encode("#lowbit.sum<" + branch + ", " + int3 + ">", x), first);

  Buffers last = encode(int3, x);
  rest = minus(x, decode(int3, last));
  append(last, encode(branch, rest));
  expectEqual(encode("#lowbit.sum<" + int3 + ", " + branch + ">", x), last);
}

TEST_F(CombinatorTest, PermutationsAreChecked) {
  std::string text = "#lowbit.permuted<axis = 0, " + int4 + ">";
  Buffers encoded = encode(text, randomValues());
  encoded[0].bytes[0] = encoded[0].bytes[4]; // an index twice
  SmallVector<BufferRef> refs;
  for (const Buffer &buffer : encoded)
    refs.push_back({buffer.shape, buffer.bytes});
  Floats values(kShape[0] * kShape[1]);
  llvm::Error error = term(text).referenceDecode(kShape, refs, values);
  EXPECT_NE(toString(std::move(error)).find("is repeated or outside"), std::string::npos);
}

} // namespace
