//===- ProgramTests.cpp - Arrays in, arrays out ---------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Program.h"

#include "../Archive/Builders.h"
#include "lowbit/Compile/RunModule.h"

using namespace llvm;

namespace lowbit {
namespace {

Array makeArray(ArrayRef<float> values, ArrayRef<int64_t> shape) {
  Array array = cantFail(Array::allocate(DType::F32, shape));
  copy(values, array.values<float>().begin());
  return array;
}
template <typename... Arrays> std::vector<Array> listOf(Arrays... arrays) {
  std::vector<Array> list;
  (list.push_back(std::move(arrays)), ...);
  return list;
}
std::vector<float> valuesOf(Array &array) { return array.values<float>().vec(); }

/// A fresh sum, the updated state, and a fresh difference.
constexpr char updates[] = R"(
func.func @step(%state: tensor<?xf32>, %x: tensor<2xf32>, %n: index)
    -> (tensor<2xf32>, tensor<?xf32>, tensor<2xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: -1, 0, -1>} {
  %e = tensor.empty() : tensor<2xf32>
  %sum = linalg.add ins(%x, %x : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %f = tensor.empty() : tensor<2xf32>
  %difference = linalg.sub ins(%x, %x : tensor<2xf32>, tensor<2xf32>) outs(%f : tensor<2xf32>) -> tensor<2xf32>
  %c = arith.constant 9.0 : f32
  %new = tensor.insert %c into %state[%n] : tensor<?xf32>
  return %sum, %new, %difference : tensor<2xf32>, tensor<?xf32>, tensor<2xf32>
})";

class ProgramTest : public ::testing::TestWithParam<const char *> {
protected:
  Expected<std::unique_ptr<Program>> compile(StringRef text) {
    ProgramOptions options;
    options.pipeline = GetParam();
    return Program::compileText(text, "test", options);
  }
};
INSTANTIATE_TEST_SUITE_P(Pipelines, ProgramTest, ::testing::Values("cpu", "reference"),
                         [](const auto &info) { return std::string(info.param); });

TEST_P(ProgramTest, ResultsComeInTheirOrder) {
  auto program = compile(updates);
  ASSERT_TRUE(bool(program)) << toString(program.takeError());
  Array n = cantFail(Array::allocate(DType::I64, {}));
  n.values<int64_t>()[0] = 1;
  auto results =
      (*program)->run("step", listOf(makeArray({1, 2, 3}, 3), makeArray({5, 6}, 2), std::move(n)));
  ASSERT_TRUE(bool(results)) << toString(results.takeError());
  ASSERT_EQ(results->size(), 3u);
  EXPECT_EQ(valuesOf((*results)[0]), (std::vector<float>{10, 12}));
  EXPECT_EQ(valuesOf((*results)[1]), (std::vector<float>{1, 9, 3}));
  EXPECT_EQ(valuesOf((*results)[2]), (std::vector<float>{0, 0}));
}

TEST_P(ProgramTest, AnEncodedStateIsUpdatedByComponent) {
  auto program = compile(R"(
#q = #lowbit.quantized<int<8>, scale = f32 per [1, 4]>
func.func @store(%x: tensor<2x4xf32>, %state: tensor<2x4xf32, #q>) -> tensor<2x4xf32, #q>
    attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  %new = lowbit.encode %x into %state : tensor<2x4xf32> into tensor<2x4xf32, #q>
  return %new : tensor<2x4xf32, #q>
})");
  ASSERT_TRUE(bool(program)) << toString(program.takeError());
  Array codes = cantFail(Array::allocate(DType::U8, {2, 4}));
  Array scale = cantFail(Array::allocate(DType::F32, {2, 1}));
  auto results =
      (*program)->run("store", listOf(makeArray({127, -1, 2, 0.25, 254, 2, 0, -254}, {2, 4}),
                                      std::move(codes), std::move(scale)));
  ASSERT_TRUE(bool(results)) << toString(results.takeError());
  ASSERT_EQ(results->size(), 2u);
  EXPECT_EQ((*results)[0].values<int8_t>().vec(),
            (std::vector<int8_t>{127, -1, 2, 0, 127, 1, 0, -127}));
  EXPECT_EQ(valuesOf((*results)[1]), (std::vector<float>{1, 2}));
}

TEST_P(ProgramTest, InputsThatDoNotFit) {
  auto program = compile(updates);
  ASSERT_TRUE(bool(program)) << toString(program.takeError());
  auto index = [] { return cantFail(Array::allocate(DType::I64, {})); };
  auto vector = [](int64_t size) { return cantFail(Array::allocate(DType::F32, size)); };
  EXPECT_EQ(messageOf((*program)->run("step", {})),
            "entry 'step' takes 3 inputs, not 0: f32 [?], f32 [2], i64");
  EXPECT_EQ(messageOf((*program)->run("step", listOf(vector(3), vector(3), index()))),
            "input 1 of entry 'step' is f32 [2], not f32 [3]");
  EXPECT_EQ(messageOf((*program)->run("step", listOf(vector(3), vector(2), vector(1)))),
            "input 2 of entry 'step' is a scalar i64 (an array of rank 0), not f32 [1]");
  EXPECT_EQ(messageOf((*program)->run("step", listOf(index(), vector(2), index()))),
            "input 0 of entry 'step' is f32 [?], not i64 []");
}

TEST(PipelineTest, MistakesAreErrors) {
  ProgramOptions options;
  auto message = [&](StringRef text, StringRef pipeline) {
    options.pipeline = pipeline;
    return messageOf(Program::compileText(text, "test", options));
  };
  EXPECT_TRUE(contains(message(updates, "gpu"), "'gpu' is no pipeline: give cpu, reference"));
  EXPECT_TRUE(contains(message(updates, "builtin.module(nothing)"), "refer to a registered"));
  EXPECT_TRUE(contains(message(updates, "func.func(canonicalize)"), "is no pipeline"));
  EXPECT_TRUE(contains(message("func.func @f(%x: i99", "cpu"), "test:1:"));
  EXPECT_EQ(message("func.func @f() { return }", "cpu"),
            "the module cannot be lowered: test: no function of the module is an entry: mark one "
            "with 'lowbit.entry'");
}

TEST(PipelineTest, TextAfterAPipeline) {
  auto text = transformText("func.func @f() { %c = arith.constant 1 : i32 return }", "test",
                            "builtin.module(canonicalize)");
  ASSERT_TRUE(bool(text)) << toString(text.takeError());
  EXPECT_TRUE(contains(*text, "func.func @f()"));
  EXPECT_FALSE(contains(*text, "arith.constant"));
}

/// memref.copy of what is not contiguous calls into the runtime.
TEST(PipelineTest, StridedCopies) {
  ProgramOptions options;
  options.pipeline = "builtin.module(expand-strided-metadata,finalize-memref-to-llvm,"
                     "convert-func-to-llvm,convert-arith-to-llvm,reconcile-unrealized-casts)";
  auto program = Program::compileText(R"(
module attributes {lowbit.entries = [{name = "copy", outputs = 1 : i64,
    arguments = [memref<2x3x4xf32>, memref<3x2x2xf32>]}]} {
  func.func @copy(%a: memref<2x3x4xf32>, %b: memref<3x2x2xf32>) attributes {llvm.emit_c_interface} {
    %s = memref.subview %a[0, 0, 1] [2, 3, 2] [1, 1, 1]
      : memref<2x3x4xf32> to memref<2x3x2xf32, strided<[12, 4, 1], offset: 1>>
    %t = memref.transpose %s (i, j, k) -> (j, i, k)
      : memref<2x3x2xf32, strided<[12, 4, 1], offset: 1>> to memref<3x2x2xf32, strided<[4, 12, 1], offset: 1>>
    memref.copy %t, %b : memref<3x2x2xf32, strided<[4, 12, 1], offset: 1>> to memref<3x2x2xf32>
    return
  }
})",
                                      "test", options);
  ASSERT_TRUE(bool(program)) << toString(program.takeError());
  std::vector<float> a(24);
  for (int i = 0; i < 24; ++i)
    a[i] = i;
  auto results = (*program)->run("copy", listOf(makeArray(a, {2, 3, 4})));
  ASSERT_TRUE(bool(results)) << toString(results.takeError());
  EXPECT_EQ(valuesOf((*results)[0]),
            (std::vector<float>{1, 2, 13, 14, 5, 6, 17, 18, 9, 10, 21, 22}));
}

TEST(LiteralTest, ValuesOfEveryType) {
  struct {
    const char *text;
    DType dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  } cases[] = {
      {"5:index", DType::I64, {}, std::string("\5\0\0\0\0\0\0\0", 8)},
      {"-1:i32", DType::I32, {}, "\xff\xff\xff\xff"},
      {"255:i8", DType::I8, {}, "\xff"},
      {"true:i1", DType::Bool, {}, "\1"},
      {"1.5:f32", DType::F32, {}, std::string("\0\0\xc0\x3f", 4)},
      {"1.5:2xf16", DType::F16, {2}, std::string("\0\x3e\0\x3e", 4)},
      {"1.5:bf16", DType::BF16, {}, "\xc0\x3f"},
      {"1:3x1xi8", DType::I8, {3, 1}, "\1\1\1"},
      {"0:2xindex", DType::I64, {2}, std::string(16, '\0')},
  };
  for (const auto &[text, dtype, shape, bytes] : cases) {
    auto array = parseLiteral(text);
    ASSERT_TRUE(array && *array) << text;
    EXPECT_EQ((*array)->getDType(), dtype) << text;
    EXPECT_EQ((*array)->getShape(), ArrayRef(shape)) << text;
    EXPECT_EQ(textOf((*array)->bytes()), bytes) << text;
  }
  for (StringRef path : {"x.npy", "C:x.npy", "", "a:b", "3", "0:4yf32", "0:-2x", "5:x"}) {
    auto array = parseLiteral(path);
    ASSERT_TRUE(bool(array)) << path.str();
    EXPECT_FALSE(*array) << path.str();
  }
  for (StringRef wrong : {"x:index", "256:i8", ":f32", "2:i1", "1.5:i64"})
    EXPECT_TRUE(contains(messageOf(parseLiteral(wrong)), "is not a value of type")) << wrong.str();
}

} // namespace
} // namespace lowbit
