//===- Version.cpp - What compiled what for which machine -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Version.h"

#include "SourcesDigest.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

StringRef lowbit::getCompilerVersion() {
  return LOWBIT_SOURCES_DIGEST "-llvm-" LLVM_VERSION_STRING;
}

std::string lowbit::describeProcessor() {
  SmallVector<std::string> features;
  for (const auto &[feature, present] : sys::getHostCPUFeatures())
    if (present)
      features.push_back(feature.str());
  llvm::sort(features); // a map has no order
  std::string text = sys::getHostCPUName().str();
  for (const std::string &feature : features)
    text += " +" + feature;
  return text;
}
