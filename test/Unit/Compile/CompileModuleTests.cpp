//===- CompileModuleTests.cpp - Modules in the LLVM dialect, run ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Archive/Builders.h"
#include "Modules.h"

#include <csignal>

using namespace llvm;

namespace lowbit {
namespace {

/// x[i] *= factor, for all of a vector.
constexpr char scaleModule[] = R"(
module attributes {lowbit.entries = [
    {name = "scale", arguments = [memref<?xf32>, f32], outputs = 0 : i64}]} {
  llvm.func @_mlir_ciface_scale(%d: !llvm.ptr, %factor: f32) {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %x = llvm.load %d : !llvm.ptr -> !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
    %data = llvm.extractvalue %x[1] : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
    %size = llvm.extractvalue %x[3, 0] : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
    llvm.br ^loop(%zero : i64)
  ^loop(%i: i64):
    %more = llvm.icmp "slt" %i, %size : i64
    llvm.cond_br %more, ^body, ^end
  ^body:
    %at = llvm.getelementptr %data[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %v = llvm.load %at : !llvm.ptr -> f32
    %w = llvm.fmul %v, %factor : f32
    llvm.store %w, %at : f32, !llvm.ptr
    %next = llvm.add %i, %one : i64
    llvm.br ^loop(%next : i64)
  ^end:
    llvm.return
  }
})";

TEST(CompileModuleTest, RunsAtEveryLevel) {
  for (unsigned level = 0; level <= 3; ++level) {
    CodeOptions options;
    options.optLevel = level;
    auto session = compile(scaleModule, options);
    ASSERT_TRUE(bool(session)) << toString(session.takeError());
    std::vector<float> x(37);
    for (int i = 0; i < 37; ++i)
      x[i] = i;
    MemRefDescriptor descriptor(x.data(), int64_t(x.size()));
    float factor = 3;
    EXPECT_EQ(messageOf((*session)->invoke("scale", {descriptor.get(), &factor})), "no error");
    for (int i = 0; i < 37; ++i)
      EXPECT_EQ(x[i], 3 * i);
  }
}

TEST(CompileModuleTest, CancelledWorkIsAnError) {
  CodeOptions options;
  options.cancellation->request();
  auto session = compile(scaleModule, options);
  ASSERT_FALSE(bool(session));
  EXPECT_EQ(messageOf(session.takeError()), "cancelled");
}

TEST(CompileModuleTest, LinksWhereChildrenAreIgnored) {
  auto before = std::signal(SIGCHLD, SIG_IGN);
  auto session = compile(scaleModule);
  std::signal(SIGCHLD, before);
  EXPECT_TRUE(bool(session)) << toString(session.takeError());
}

TEST(CompileModuleTest, LookupGivesTheAddressThatInvokeCalls) {
  auto session = compile(scaleModule);
  ASSERT_TRUE(bool(session)) << toString(session.takeError());
  auto address = (*session)->lookup("scale");
  ASSERT_TRUE(bool(address));
  float x = 5, factor = 0.5;
  MemRefDescriptor descriptor(&x, 1);
  void *arguments[] = {descriptor.get(), &factor};
  reinterpret_cast<void (*)(void **)>(*address)(arguments);
  EXPECT_EQ(x, 2.5f);
}

TEST(CompileModuleTest, SessionsAtTheSameTimeHaveTheirOwnCode) {
  auto makeModule = [](int number) {
    return "module attributes {lowbit.entries = [{name = \"get\", arguments = [memref<1xi64>], "
           "outputs = 1 : i64}]} {\n"
           "  llvm.func @_mlir_ciface_get(%d: !llvm.ptr) {\n"
           "    %slot = llvm.getelementptr %d[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr\n"
           "    %data = llvm.load %slot : !llvm.ptr -> !llvm.ptr\n"
           "    %n = llvm.mlir.constant(" +
           std::to_string(number) +
           " : i64) : i64\n"
           "    llvm.store %n, %data : i64, !llvm.ptr\n    llvm.return\n  }\n}";
  };
  std::vector<std::unique_ptr<Session>> sessions;
  for (int number = 0; number < 3; ++number) {
    auto session = compile(makeModule(number));
    ASSERT_TRUE(bool(session)) << toString(session.takeError());
    sessions.push_back(std::move(*session));
  }
  for (int64_t number = 0; number < 3; ++number) {
    int64_t result = -1;
    MemRefDescriptor descriptor(&result, 1);
    EXPECT_EQ(messageOf(sessions[number]->invoke("get", {descriptor.get()})), "no error");
    EXPECT_EQ(result, number);
  }
}

TEST(CompileModuleTest, WrongCallsAreErrors) {
  auto session = compile(scaleModule);
  ASSERT_TRUE(bool(session)) << toString(session.takeError());
  EXPECT_EQ(messageOf((*session)->invoke("scale", {})), "entry 'scale' takes 2 arguments, not 0");
  EXPECT_EQ(messageOf((*session)->invoke("scal", {})),
            "the module has no entry 'scal': it has 'scale'");
  EXPECT_EQ(messageOf((*session)->lookup("")), "the module has no entry '': it has 'scale'");
}

TEST(CompileModuleTest, DescriptorsAreRowMajor) {
  int64_t x;
  auto address = reinterpret_cast<int64_t>(&x);
  EXPECT_EQ(MemRefDescriptor(&x, {2, 3, 5}).getWords(),
            ArrayRef<int64_t>({address, address, 0, 2, 3, 5, 15, 5, 1}));
  EXPECT_EQ(MemRefDescriptor(&x, {}).getWords(), ArrayRef<int64_t>({address, address, 0}));
}

/// Rounds out[0] to f16 and out[1] to bf16.
constexpr char halfModule[] = R"(
module attributes {lowbit.entries = [
    {name = "round", arguments = [memref<2xf32>], outputs = 1 : i64}]} {
  llvm.func @_mlir_ciface_round(%d: !llvm.ptr) {
    %slot = llvm.getelementptr %d[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %first = llvm.load %slot : !llvm.ptr -> !llvm.ptr
    %second = llvm.getelementptr %first[1] : (!llvm.ptr) -> !llvm.ptr, f32
    %a = llvm.load %first : !llvm.ptr -> f32
    %b = llvm.fptrunc %a : f32 to f16
    %c = llvm.fpext %b : f16 to f32
    llvm.store %c, %first : f32, !llvm.ptr
    %p = llvm.load %second : !llvm.ptr -> f32
    %q = llvm.fptrunc %p : f32 to bf16
    %r = llvm.fpext %q : bf16 to f32
    llvm.store %r, %second : f32, !llvm.ptr
    llvm.return
  }
})";

TEST(CompileModuleTest, HalvesWorkOnEveryProcessor) {
  std::vector<std::string> processors = {""};
#ifdef __x86_64__
  processors.push_back("x86-64"); // without conversion instructions: calls
#endif
  for (const std::string &cpu : processors) {
    CodeOptions options;
    options.cpu = cpu;
    auto session = compile(halfModule, options);
    ASSERT_TRUE(bool(session)) << toString(session.takeError());
    struct {
      float value, half, bfloat;
    } cases[] = {{1.0f, 1.0f, 1.0f},
                 {1.0f + 0x1p-11f, 1.0f, 1.0f}, // a tie
                 {1.0f + 0x3p-11f, 1.0f + 0x4p-11f, 1.0f},
                 {1.0f + 0x3p-8f, 1.0f + 0x3p-8f, 1.0f + 0x4p-8f}, // a tie
                 {65520.0f, INFINITY, 65536.0f},
                 {-0x1p-24f, -0x1p-24f, -0x1p-24f},
                 {-0.0f, -0.0f, -0.0f}};
    for (auto [value, half, bfloat] : cases) {
      float out[2] = {value, value};
      MemRefDescriptor descriptor(out, 2);
      EXPECT_EQ(messageOf((*session)->invoke("round", {descriptor.get()})), "no error");
      EXPECT_EQ(bit_cast<uint32_t>(out[0]), bit_cast<uint32_t>(half)) << value << " on " << cpu;
      EXPECT_EQ(bit_cast<uint32_t>(out[1]), bit_cast<uint32_t>(bfloat)) << value << " on " << cpu;
    }
  }
}

TEST(CompileModuleTest, ParallelRegionsHaveTheThreadsAskedFor) {
  constexpr char text[] = R"(
module attributes {lowbit.entries = [
    {name = "count", arguments = [memref<1xi64>], outputs = 0 : i64}]} {
  llvm.func @_mlir_ciface_count(%d: !llvm.ptr) {
    %slot = llvm.getelementptr %d[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %data = llvm.load %slot : !llvm.ptr -> !llvm.ptr
    omp.parallel {
      %one = llvm.mlir.constant(1 : i64) : i64
      %old = llvm.atomicrmw add %data, %one monotonic : !llvm.ptr, i64
      omp.terminator
    }
    llvm.return
  }
})";
  std::vector<std::unique_ptr<Session>> sessions;
  for (unsigned threads : {1, 3}) {
    auto session = compile(text, {}, threads);
    ASSERT_TRUE(bool(session)) << toString(session.takeError());
    sessions.push_back(std::move(*session));
  }
  // In turns: a session's number must not stay with the thread that calls.
  for (int64_t expected : {1, 3, 1}) {
    int64_t count = 0;
    MemRefDescriptor descriptor(&count, 1);
    EXPECT_EQ(messageOf(sessions[expected / 2]->invoke("count", {descriptor.get()})), "no error");
    EXPECT_EQ(count, expected);
  }
}

using ObjectFileTest = TemporaryFolder;

TEST_F(ObjectFileTest, TheObjectFileIsWritten) {
  CodeOptions options;
  options.dumpObjectPath = pathOf("scale.o");
  auto session = compile(scaleModule, options);
  ASSERT_TRUE(bool(session)) << toString(session.takeError());
  EXPECT_TRUE(contains(readFile(options.dumpObjectPath), "_lowbit_packed_scale"));
  EXPECT_EQ(list(), std::vector<std::string>{"scale.o"});

  options.dumpObjectPath = pathOf("no/folder.o");
  EXPECT_TRUE(contains(messageOf(compile(scaleModule, options)), "folder.o: cannot write"));
}

TEST(CompileModuleTest, UnknownOptionsAreErrors) {
  CodeOptions options;
  options.cpu = "abacus";
  EXPECT_TRUE(contains(messageOf(compile(scaleModule, options)), "no processor 'abacus'"));
  options = CodeOptions();
  options.optLevel = 4;
  EXPECT_EQ(messageOf(compile(scaleModule, options)),
            "there is no optimization level 4: give 0 to 3");
}

/// A module with these attributes around a function `_mlir_ciface_f(ptr, i64)` and a global.
std::string makeModule(StringRef attributes) {
  return ("module attributes {" + attributes + R"(} {
  llvm.mlir.global internal @p() : !llvm.struct<(ptr, ptr, i64)> {
    %z = llvm.mlir.zero : !llvm.struct<(ptr, ptr, i64)>
    llvm.return %z : !llvm.struct<(ptr, ptr, i64)>
  }
  llvm.func @_mlir_ciface_f(%x: !llvm.ptr, %y: i64) { llvm.return }
  llvm.func @_mlir_ciface_g(%x: !llvm.ptr) -> i64 {
    %z = llvm.mlir.constant(0 : i64) : i64
    llvm.return %z : i64
  }
  llvm.func @nowhere()
  llvm.func @_mlir_ciface_h() { llvm.call @nowhere() : () -> () llvm.return }
})")
      .str();
}

TEST(CompileModuleTest, WrongModulesAreErrors) {
  StringRef entries = "lowbit.entries = [{name = \"f\", arguments = [memref<f32>, index], "
                      "outputs = 0 : i64}]";
  ASSERT_EQ(messageOf(compile(makeModule(entries))), "no error");
  struct {
    std::string text;
    const char *message;
  } cases[] = {
      {makeModule("lowbit.entries = 3"), "'lowbit.entries' is malformed: it is a list"},
      {makeModule("lowbit.entries = [{name = \"f\"}]"), "each element has 'name', 'arguments' and"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [1], outputs = 0 : i64}]"),
       "'arguments' are types"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [tensor<2xf32>], outputs = 0}]"),
       "neither a scalar nor a memref"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [memref<2xi4>], outputs = 0}]"),
       "neither a scalar nor a memref"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [memref<2xf32, strided<[2]>>], "
                  "outputs = 0}]"),
       "is not a memref of identity layout"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [memref<?xf32>], outputs = 2}]"),
       "'outputs' counts"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [memref<?xf32>], outputs = 1}]"),
       "output f32 [?] is no memref of static shape"},
      {makeModule("lowbit.entries = [{name = \"e\", arguments = [], outputs = 0}]"),
       "has no function '_mlir_ciface_e'"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [], outputs = 0}]"),
       "is not a function of 0 arguments"},
      {makeModule("lowbit.entries = [{name = \"g\", arguments = [memref<f32>], outputs = 0}]"),
       "is not a function of 1 arguments without a result"},
      {makeModule("lowbit.entries = [{name = \"f\", arguments = [index, index], outputs = 0}]"),
       "argument 0 of 'f' is no i64"},
      {makeModule("lowbit.entries = [{name = \"h\", arguments = [], outputs = 0}]"),
       "undefined symbol: nowhere"},
      {makeModule("lowbit.parameters = [{key = \"w\"}]"), "each element has 'key', 'component'"},
      {makeModule("lowbit.parameters = [{key = \"w\", component = \"values\", type = memref<f32>, "
                  "symbol = @q}]"),
       "no writable global 'q' of 24 bytes for parameter 'w'"},
      {makeModule("lowbit.parameters = [{key = \"w\", component = \"values\", type = index, "
                  "symbol = @p}]"),
       "no writable global 'p' of 8 bytes"},
      {"func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }",
       "the module cannot be translated to LLVM IR"},
      {"llvm.func @f(", "test:1:13: expected"},
  };
  for (const auto &[text, message] : cases) {
    std::string given = messageOf(compile(text));
    EXPECT_TRUE(contains(given, message)) << given << "\nexpected " << message;
  }
}

} // namespace
} // namespace lowbit
