//===- Version.cpp - What compiled what for which machine -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Version.h"

#include "SourcesDigest.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

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

Error lowbit::checkProcessor(const ModuleSignature &signature) {
  StringRef here = Triple::getArchTypeName(Triple(sys::getProcessTriple()).getArch());
  if (signature.architecture != here)
    return createStringError("the code is for " + signature.architecture +
                             ", and this machine is " + here + ": compile it here, or with " +
                             "--target-cpu for a processor such as this one");
  // What the host's list does not name is nothing that code could use (how fast a shift is), or
  // comes with what it does name.
  StringMap<bool> host = sys::getHostCPUFeatures();
  std::vector<std::string> missing;
  for (const std::string &feature : signature.features)
    if (auto found = host.find(feature); found != host.end() && !found->second)
      missing.push_back(feature);
  if (missing.empty())
    return Error::success();
  return createStringError("the code is for a processor with " + join(missing, ", ") +
                           ", and this machine's (" + sys::getHostCPUName() +
                           ") lacks that: compile it here, or with --target-cpu for a processor "
                           "such as this one");
}
