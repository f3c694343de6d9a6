//===- CpuTarget.cpp - What a processor can do ----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/CpuTarget.h"

#include "lowbit/Target/LaneKinds.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

using namespace llvm;
using namespace lowbit;

using SubtargetInfo = std::unique_ptr<MCSubtargetInfo>;

/// This machine's first: some names are of several architectures.
static SmallVector<Triple> getTriples() {
  SmallVector<Triple> triples = {Triple("x86_64-unknown-linux-gnu"),
                                 Triple("aarch64-unknown-linux-gnu")};
  if (Triple(sys::getProcessTriple()).isAArch64())
    std::swap(triples[0], triples[1]);
  return triples;
}

static Expected<const Target *> findTarget(const Triple &triple) {
  static const bool initialized = [] {
    InitializeAllTargets();
    InitializeAllTargetMCs();
    InitializeAllAsmPrinters();
    return true;
  }();
  (void)initialized;
  std::string reason;
  const Target *target = TargetRegistry::lookupTarget(triple, reason);
  if (!target)
    return createStringError(reason);
  return target;
}

static Expected<SubtargetInfo> getInfo(const Triple &triple, StringRef cpu, StringRef features) {
  Expected<const Target *> target = findTarget(triple);
  if (!target)
    return target.takeError();
  return SubtargetInfo((*target)->createMCSubtargetInfo(triple, cpu, features));
}

/// The names nearest to `given`, to add to an error.
static std::string suggest(StringRef given, ArrayRef<StringRef> names) {
  unsigned most = std::max<size_t>(1, given.size() / 4);
  std::vector<std::pair<unsigned, StringRef>> near;
  for (StringRef name : names)
    if (unsigned distance = given.edit_distance(name, /*AllowReplacements=*/true, most + 1);
        distance <= most)
      near.emplace_back(distance, name);
  llvm::sort(near);
  near.erase(llvm::unique(near), near.end());
  std::string text;
  for (auto [distance, name] : ArrayRef(near).take_front(4))
    text += (text.empty() ? "" : ", ") + ("'" + name + "'").str();
  return text.empty() ? "" : "; near it are " + text;
}

/// Asked for here because LLVM itself takes an unknown processor for a generic one, and says so on
/// standard error.
static Expected<Triple> findArchitecture(StringRef name) {
  std::vector<StringRef> names = {"aarch64", "arm64", "native"};
  for (const Triple &triple : getTriples()) {
    Expected<SubtargetInfo> info = getInfo(triple, "", "");
    if (!info)
      return info.takeError();
    bool isAnyArm = triple.isAArch64() && (name == "aarch64" || name == "arm64");
    if (isAnyArm || (*info)->isCPUStringValid(name))
      return triple;
    for (const SubtargetSubTypeKV &processor : (*info)->getAllProcessorDescriptions())
      names.push_back(processor.Key);
  }
  return createStringError("LLVM knows no processor '" + name + "' of x86-64 or arm64" +
                           suggest(name, names) +
                           ". `llc-22 -mtriple=x86_64 -mcpu=help` lists those it knows, and so "
                           "does -mtriple=aarch64");
}

/// "+a+b" to "+a,+b".
static Expected<std::string> readFeatures(const Triple &triple, StringRef cpu, StringRef text) {
  Expected<SubtargetInfo> info = getInfo(triple, cpu, "");
  if (!info)
    return info.takeError();
  std::vector<StringRef> names;
  for (const SubtargetFeatureKV &feature : (*info)->getAllProcessorFeatures())
    names.push_back(feature.Key);
  SubtargetFeatures features;
  for (StringRef name : llvm::split(text, '+')) {
    if (!is_contained(names, name))
      return createStringError("LLVM knows no feature '" + name + "' of " + triple.getArchName() +
                               suggest(name, names) + ". `llc-22 -mtriple=" + triple.getArchName() +
                               " -mattr=help` lists those it knows");
    features.AddFeature(name);
  }
  return features.getString();
}

static std::string getHostFeatures() {
  std::vector<std::string> features;
  for (const auto &[feature, present] : sys::getHostCPUFeatures())
    features.push_back((present ? "+" : "-") + feature.str());
  llvm::sort(features); // a map has no order
  return join(features, ",");
}

static bool hasAll(const CpuTarget &target, StringRef needs) {
  return any_of(llvm::split(needs, '|'), [&](StringRef all) {
    return llvm::all_of(llvm::split(all, ' '),
                        [&](StringRef feature) { return feature.empty() || target.has(feature); });
  });
}

/// How wide vector registers are and how many there are, as LLVM's cost model has it.
static void setRegisters(CpuTarget &target) {
  std::unique_ptr<TargetMachine> machine = target.makeMachine(CodeGenOptLevel::Default);
  LLVMContext context;
  Module module("registers", context);
  module.setDataLayout(machine->createDataLayout());
  auto *function = Function::Create(FunctionType::get(Type::getVoidTy(context), false),
                                    GlobalValue::ExternalLinkage, "registers", module);
  function->addFnAttr("target-cpu", target.cpu);
  function->addFnAttr("target-features", target.featureString);
  function->addFnAttr("prefer-vector-width", "512"); // as MachineCode.cpp sets it
  TargetTransformInfo info = machine->getTargetTransformInfo(*function);
  int64_t bits = info.getRegisterBitWidth(TargetTransformInfo::RGK_FixedWidthVector);
  int64_t count = info.getNumberOfRegisters(info.getRegisterClassForType(/*Vector=*/true));
  target.vectorLength = std::max<int64_t>(bits / 32, 1);
  target.hasMultiplyAdd = target.has("fma") || target.has("neon");
  // Where four columns are one instruction, sums have to stay in registers: three of four, and a
  // vector of 16 sums takes as many as it is wide. Elsewhere unpacking the weights takes longer
  // than to spill, and many rows share it (measured: 1.3 times as fast, and twice).
  const LaneKind *kind = findLaneKind(target.lanes);
  if (!kind->dot.empty() || !kind->dotSigned.empty())
    target.tuning.registerVectors =
        std::clamp<int64_t>(count * bits / 512 * 3 / 4, 2, target.tuning.registerVectors);
}

Expected<CpuTarget> CpuTarget::create(StringRef name) {
  CpuTarget target;
  Triple triple(sys::getProcessTriple());
  if (name.empty() || name == "native") {
    target.cpu = sys::getHostCPUName();
    target.featureString = getHostFeatures();
  } else {
    auto [processor, extra] = name.split('+');
    Expected<Triple> found = findArchitecture(processor);
    if (!found)
      return found.takeError();
    triple = *found;
    target.cpu = processor == "aarch64" || processor == "arm64" ? "generic" : processor;
    if (name.contains('+')) {
      Expected<std::string> features = readFeatures(triple, target.cpu, extra);
      if (!features)
        return features.takeError();
      target.featureString = *features;
    }
  }
  target.triple = triple.str();
  target.architecture = Triple::getArchTypeName(triple.getArch());
  Expected<SubtargetInfo> info = getInfo(triple, target.cpu, target.featureString);
  if (!info)
    return info.takeError();
  for (const SubtargetFeatureKV &feature : (*info)->getAllProcessorFeatures())
    if ((*info)->getFeatureBits().test(feature.Value))
      target.features.push_back(feature.Key);
  llvm::sort(target.features);
  if (triple.isX86() && !target.has("64bit"))
    return createStringError("'" + name +
                             "' is a processor of 32 bits: compiled code needs 64, as "
                             "'x86-64' has");
  const LaneKind *best =
      find_if(getLaneKinds(), [&](const LaneKind &kind) { return hasAll(target, kind.needs); });
  target.lanes = best->name;
  setRegisters(target);
  if (target.has("amx-int8") && target.has("avx512vnni"))
    target.matrixUnit = "amx";
  return target;
}

// Of instructions that code has only where an intrinsic asks for them, which none of ours does: for
// systems, keys, random numbers, waiting. LLVM's tables do not tell them from the others, and a
// virtual machine often hides them.
static constexpr StringLiteral neverSelected[] = {
    "cldemote",  "clflushopt", "clwb",   "clzero",   "enqcmd",    "fsgsbase", "hreset",
    "invpcid",   "kl",         "lwp",    "movdiri",  "movdir64b", "mwaitx",   "pconfig",
    "pku",       "ptwrite",    "rdpid",  "rdpru",    "rdrnd",     "rdseed",   "rtm",
    "serialize", "sgx",        "shstk",  "tsxldtrk", "uintr",     "waitpkg",  "wbnoinvd",
    "widekl",    "xsave",      "xsavec", "xsaveopt", "xsaves"};

std::vector<std::string> CpuTarget::getRequiredFeatures() const {
  std::vector<std::string> required = features;
  erase_if(required, [](StringRef feature) { return is_contained(neverSelected, feature); });
  return required;
}

bool CpuTarget::has(StringRef feature) const {
  return std::binary_search(features.begin(), features.end(), feature);
}

static Error makeLackError(const CpuTarget &target, const Twine &what) {
  return createStringError(what + ", which '" + target.cpu + "' (" + target.architecture +
                           ") lacks: leave the option out, or name another processor");
}

Error CpuTarget::checkLanes(StringRef name) const {
  const LaneKind *kind = findLaneKind(name);
  if (!kind || hasAll(*this, kind->needs))
    return Error::success(); // an unknown one is reported by the pass
  return makeLackError(*this, "lanes=" + name + " needs the features " + kind->needs);
}

Error CpuTarget::checkMatrixUnit(StringRef unit) const {
  if (unit != "amx" || has("amx-int8"))
    return Error::success();
  return makeLackError(*this, "matrix-unit=amx needs the feature amx-int8");
}

bool CpuTarget::hasIntrinsic(StringRef intrinsic) const {
  auto [prefix, rest] = intrinsic.substr(strlen("llvm.")).split('.');
  if (prefix != "x86" && prefix != "aarch64")
    return true;
  if (prefix == "x86" ? architecture != "x86_64" : architecture != "aarch64")
    return false;
  if (rest.starts_with("tile") || rest.starts_with("tdp"))
    return has("amx-int8");
  bool isKnown = false;
  for (const LaneKind &kind : getLaneKinds())
    if (is_contained({kind.dot, kind.dotSigned, kind.dotWords, kind.lookup, kind.lookup32,
                      kind.fixUp, kind.reciprocal, kind.reciprocalRoot},
                     intrinsic)) {
      if (hasAll(*this, kind.needs))
        return true;
      isKnown = true;
    }
  return !isKnown;
}

std::unique_ptr<TargetMachine> CpuTarget::makeMachine(CodeGenOptLevel level, bool sections) const {
  Triple parsed(triple);
  TargetOptions options;
  options.FunctionSections = sections;
  return std::unique_ptr<TargetMachine>(cantFail(findTarget(parsed))
                                            ->createTargetMachine(parsed, cpu, featureString,
                                                                  options, Reloc::PIC_,
                                                                  std::nullopt, level));
}
