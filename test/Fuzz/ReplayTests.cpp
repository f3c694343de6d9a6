//===- ReplayTests.cpp - Seeds and findings, without a fuzzer -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every seed, and every input on which a fuzzer has ever found something (regressions/TARGET/), in
// the ordinary build. A test fails by crashing.
//
//===----------------------------------------------------------------------===//

#include "Targets.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

#include <algorithm>

using namespace llvm;
using namespace lowbit;

namespace {

constexpr struct Target {
  StringLiteral name;
  bool (*run)(ArrayRef<uint8_t>);
} targets[] = {{"gguf", fuzzGGUF},
               {"safetensors", fuzzSafetensors},
               {"directory", fuzzDirectory},
               {"encoding", fuzzEncoding},
               {"bytecode", fuzzBytecode}};

struct Input {
  const Target *target;
  std::string path;
  bool isSeed;
};

std::vector<Input> list(StringRef root, bool isSeed) {
  std::vector<Input> inputs;
  for (const Target &target : targets) {
    SmallString<128> folder = root;
    sys::path::append(folder, target.name);
    std::error_code code;
    for (sys::fs::directory_iterator it(folder, code), end; it != end && !code; it.increment(code))
      inputs.push_back({&target, it->path(), isSeed});
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const Input &a, const Input &b) { return a.path < b.path; });
  return inputs;
}

class Replay : public testing::TestWithParam<Input> {};

TEST_P(Replay, EndsWell) {
  const Input &input = GetParam();
  auto buffer = MemoryBuffer::getFile(input.path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  ASSERT_TRUE(bool(buffer)) << input.path;
  // An array of its own, so that a sanitizer notices reads beyond the end.
  std::vector<uint8_t> bytes((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  bool isAccepted = input.target->run(bytes);
  if (input.isSeed)
    EXPECT_TRUE(isAccepted) << input.path << " leads nowhere: mend test/Fuzz/make-seeds.py";
}

std::string nameOf(const testing::TestParamInfo<Input> &info) {
  std::string name = (info.param.target->name + "_" + sys::path::filename(info.param.path)).str();
  std::replace_if(name.begin(), name.end(), [](char c) { return !isAlnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Seeds, Replay, testing::ValuesIn(list(LOWBIT_FUZZ_SEEDS, true)), nameOf);
INSTANTIATE_TEST_SUITE_P(Regressions, Replay,
                         testing::ValuesIn(list(LOWBIT_FUZZ_REGRESSIONS, false)), nameOf);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Replay);

TEST(ReplayInputs, EveryTargetHasSeeds) {
  std::vector<Input> seeds = list(LOWBIT_FUZZ_SEEDS, true);
  for (const Target &target : targets)
    EXPECT_TRUE(any_of(seeds, [&](const Input &seed) { return seed.target == &target; }))
        << target.name.str();
}

} // namespace
