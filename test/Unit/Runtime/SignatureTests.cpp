//===- SignatureTests.cpp - Signatures as JSON ----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Signature.h"
#include "lowbit/Runtime/Version.h"

#include "../Archive/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

namespace lowbit {
namespace {

std::string format(const ModuleSignature &signature) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream json(stream);
  signature.write(json);
  return text;
}

Expected<ModuleSignature> parse(StringRef text) {
  return ModuleSignature::fromJSON(cantFail(json::parse(text)));
}

TEST(SignatureTest, JSONKeepsWhatACallNeeds) {
  ModuleSignature signature;
  signature.architecture = "x86_64";
  signature.features = {"avx2", "fma"};
  signature.usesThreads = true;
  signature.usesMatrixUnit = true;
  signature.entries.push_back({"step",
                               {{true, DType::I64, {ValueType::dynamic}},
                                {false, DType::I64, {}},
                                {true, DType::F32, {}},
                                {true, DType::BF16, {4, 8}}},
                               1});
  ParameterSignature parameter;
  parameter.key = "blk.0.\"w\"";
  parameter.component = "codes";
  parameter.symbol = "lowbit.parameter.0";
  parameter.type = {true, DType::I8, {576, 18, 20}};
  signature.parameters.push_back(parameter);

  std::string text = format(signature);
  auto read = parse(text);
  ASSERT_TRUE(bool(read)) << toString(read.takeError());
  EXPECT_EQ(format(*read), text);
  EXPECT_EQ(read->architecture, "x86_64");
  EXPECT_EQ(read->features, signature.features);
  EXPECT_TRUE(read->usesThreads);
  EXPECT_TRUE(read->usesMatrixUnit);
  ASSERT_EQ(read->entries.size(), 1u);
  EXPECT_EQ(read->entries[0].outputs, 1u);
  EXPECT_FALSE(read->entries[0].arguments[1].isMemRef);
  EXPECT_TRUE(read->entries[0].arguments[2].isMemRef);
  EXPECT_EQ(read->entries[0].arguments[3].str(), "bf16 [4, 8]");
  ASSERT_EQ(read->parameters.size(), 1u);
  EXPECT_EQ(read->parameters[0].key, parameter.key);
  EXPECT_EQ(read->parameters[0].type.str(), "i8 [576, 18, 20]");
}

TEST(SignatureTest, MalformedJSONIsAnError) {
  std::string program = R"({"architecture":"x86_64","features":[],"matrix_unit":false,)";
  std::string entry = program + R"("threads":false,"parameters":[],"entries":[)";
  std::string parameter = program + R"("threads":false,"entries":[],"parameters":[)";
  struct {
    std::string text;
    const char *message;
  } cases[] = {
      {"3", "a program has 'architecture', 'features', 'threads', 'matrix_unit', 'entries' and"},
      {program + R"("threads":1,"entries":[],"parameters":[]})", "a program has"},
      {program + R"("threads":true,"entries":{},"parameters":[]})", "a program has"},
      {entry + "4]}", "an entry has 'name', 'arguments' and 'outputs'"},
      {entry + R"({"name":"f","arguments":[]}]})", "an entry has"},
      {entry + R"({"name":"f","arguments":[],"outputs":1}]})", "an entry has"},
      {entry + R"({"name":"f","arguments":[],"outputs":-1}]})", "an entry has"},
      {entry + R"({"name":"f","arguments":[{"dtype":"F31"}],"outputs":0}]})", "an entry has"},
      {entry + R"({"name":"f","arguments":[{"dtype":"F32","shape":[-2]}],"outputs":0}]})",
       "an entry has"},
      {entry + R"({"name":"f","arguments":[{"dtype":"F32","shape":3}],"outputs":0}]})",
       "an entry has"},
      {parameter + R"({"key":"w","component":"codes","symbol":"s"}]})", "a parameter has 'key'"},
      {parameter + R"({"key":"w","component":1,"symbol":"s","type":{"dtype":"F32"}}]})",
       "a parameter has"},
  };
  for (const auto &[text, message] : cases)
    EXPECT_TRUE(contains(messageOf(parse(text)), message)) << text;
}

#ifdef __x86_64__
TEST(SignatureTest, CodeForAnotherProcessorIsAnError) {
  ModuleSignature signature;
  signature.architecture = "x86_64";
  signature.features = {"sse2", "fast-gather"}; // what every one has; what none is asked for
  EXPECT_EQ(messageOf(checkProcessor(signature)), "no error");
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  std::string missing;
  for (const auto &[feature, present] : host)
    if (!present)
      signature.features.push_back(missing = feature.str());
  EXPECT_TRUE(contains(messageOf(checkProcessor(signature)), missing));
  signature.architecture = "aarch64";
  EXPECT_TRUE(contains(messageOf(checkProcessor(signature)), "the code is for aarch64"));
}
#endif

} // namespace
} // namespace lowbit
