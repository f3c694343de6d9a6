//===- MachineCode.cpp - From LLVM IR to an object file -------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MachineCode.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/Internalize.h"

using namespace llvm;
using namespace lowbit;

Expected<std::unique_ptr<TargetMachine>> lowbit::makeMachine(const CpuTarget &target,
                                                             const CodeOptions &options) {
  std::optional<CodeGenOptLevel> level = CodeGenOpt::getLevel(options.optLevel);
  if (!level)
    return createStringError("there is no optimization level " + Twine(options.optLevel) +
                             ": give 0 to 3");
  // Sections, so that linkRelocatable() can leave out what packs parameters.
  return target.makeMachine(*level, /*sections=*/options.keepObject);
}

Error lowbit::checkInstructions(const Module &module, const CpuTarget &target) {
  for (const Function &function : module.functions())
    if (function.isIntrinsic() && !function.use_empty() && !target.hasIntrinsic(function.getName()))
      return createStringError("the module calls " + function.getName() +
                               ", an instruction that '" + target.cpu + "' (" +
                               target.architecture + ") lacks: lower it for that processor");
  return Error::success();
}

static Error exposeEntry(Module &module, const EntrySignature &entry, bool usesMatrixUnit) {
  Function *function = module.getFunction("_mlir_ciface_" + entry.name);
  if (!function || function->isDeclaration())
    return createStringError("the compiled module has no function '_mlir_ciface_" + entry.name +
                             "': its function needs the attribute 'llvm.emit_c_interface'");
  if (function->arg_size() != entry.arguments.size() || !function->getReturnType()->isVoidTy())
    return createStringError("'_mlir_ciface_" + entry.name + "' is not a function of " +
                             Twine(entry.arguments.size()) +
                             " arguments without a result, as its 'lowbit.entries' attribute says");

  LLVMContext &context = module.getContext();
  Type *pointer = PointerType::get(context, 0);
  auto *packed =
      Function::Create(FunctionType::get(Type::getVoidTy(context), pointer, false),
                       GlobalValue::ExternalLinkage, Session::getPackedName(entry.name), module);
  IRBuilder<> builder(BasicBlock::Create(context, "entry", packed));
  if (usesMatrixUnit) // Builtins/MatrixUnit.c
    builder.CreateCall(module.getOrInsertFunction(
        "lowbitRequireMatrixUnit", FunctionType::get(Type::getVoidTy(context), false)));
  SmallVector<Value *> arguments;
  for (auto [index, argument] : enumerate(function->args())) {
    Value *slot = builder.CreateConstGEP1_64(pointer, packed->getArg(0), index);
    Value *value = builder.CreateLoad(pointer, slot);
    const ValueType &type = entry.arguments[index];
    if (type.isMemRef != argument.getType()->isPointerTy())
      return createStringError("argument " + Twine(index) + " of '" + entry.name + "' is no " +
                               type.str() + ", as its 'lowbit.entries' attribute says");
    arguments.push_back(type.isMemRef ? value : builder.CreateLoad(argument.getType(), value));
  }
  builder.CreateCall(function, arguments);
  builder.CreateRetVoid();
  return Error::success();
}

static Error exposeParameter(Module &module, const ParameterSignature &parameter) {
  GlobalVariable *global = module.getNamedGlobal(parameter.symbol);
  // A descriptor: two pointers, the offset, sizes and strides, all of them words.
  uint64_t bytes = parameter.type.isMemRef ? 8 * (3 + 2 * parameter.type.shape.size()) : 8;
  if (!global || global->isDeclaration() || global->isConstant() ||
      module.getDataLayout().getTypeAllocSize(global->getValueType()) != bytes)
    return createStringError("the compiled module has no writable global '" + parameter.symbol +
                             "' of " + Twine(bytes) + " bytes for parameter '" + parameter.key +
                             "', as its 'lowbit.parameters' attribute says");
  // To the optimizer an internal global that nobody writes is a constant; the loader writes this.
  global->setLinkage(GlobalValue::ExternalLinkage);
  global->setDSOLocal(true);
  return Error::success();
}

Error lowbit::exposeEntries(Module &module, const ModuleSignature &signature) {
  StringSet<> visible;
  for (const EntrySignature &entry : signature.entries) {
    if (Error error = exposeEntry(module, entry, signature.usesMatrixUnit))
      return error;
    visible.insert(Session::getPackedName(entry.name));
  }
  for (const ParameterSignature &parameter : signature.parameters) {
    if (Error error = exposeParameter(module, parameter))
      return error;
    visible.insert(parameter.symbol);
  }
  internalizeModule(module,
                    [&](const GlobalValue &value) { return visible.contains(value.getName()); });
  // Nobody calls the rest: it may even be for another processor than this code.
  ModuleAnalysisManager analyses;
  PassBuilder().registerModuleAnalyses(analyses);
  GlobalDCEPass().run(module, analyses);
  return Error::success();
}

/// What the module's functions are compiled for. The code generator reads this from each function,
/// and so do the passes that ask what a vector costs.
static void setTargetAttributes(Module &module, const TargetMachine &target) {
  StringRef cpu = target.getTargetCPU(), features = target.getTargetFeatureString();
  // LLVM keeps to 256 bits on many processors with AVX-512, for fear of lower clocks; generated
  // kernels are vector code throughout.
  bool wide =
      target.getTargetTriple().isX86() && target.getMCSubtargetInfo()->checkFeatures("+avx512f");
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", cpu);
    if (!features.empty())
      function.addFnAttr("target-features", features);
    if (wide && !function.hasFnAttribute("prefer-vector-width"))
      function.addFnAttr("prefer-vector-width", "512");
  }
}

void lowbit::optimize(Module &module, TargetMachine &target, unsigned level,
                      const Cancellation &cancellation) {
  setTargetAttributes(module, target);
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = level > 1;
  tuning.SLPVectorization = level > 1;
  PassInstrumentationCallbacks callbacks;
  callbacks.registerShouldRunOptionalPassCallback(
      [&](StringRef, const Any &) { return !cancellation.isRequested(); });
  PassBuilder builder(&target, tuning, std::nullopt, &callbacks);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  modules.registerPass([&] { return PassInstrumentationAnalysis(&callbacks); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  ModulePassManager passes;
  switch (level) {
  case 0:
    passes = builder.buildO0DefaultPipeline(OptimizationLevel::O0);
    break;
  case 1:
    passes = builder.buildPerModuleDefaultPipeline(OptimizationLevel::O1);
    break;
  case 2:
    passes = builder.buildPerModuleDefaultPipeline(OptimizationLevel::O2);
    break;
  default:
    passes = builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3);
  }
  passes.run(module, modules);
}

namespace {
/// Lets the code generator leave out what it need not do.
class OptionalPasses final : public OptPassGate {
public:
  explicit OptionalPasses(const Cancellation &cancellation) : cancellation(cancellation) {}
  bool isEnabled() const override { return cancellation.isRequested(); }
  bool shouldRunPass(StringRef, StringRef) const override { return !cancellation.isRequested(); }

private:
  const Cancellation &cancellation;
};
} // namespace

Expected<SmallVector<char, 0>> lowbit::emitObject(Module &module, TargetMachine &target,
                                                  const Cancellation &cancellation) {
  if (Error error = cancellation.check())
    return std::move(error);
  OptionalPasses gate(cancellation);
  OptPassGate &before = module.getContext().getOptPassGate();
  module.getContext().setOptPassGate(gate);
  SmallVector<char, 0> object;
  raw_svector_ostream stream(object);
  legacy::PassManager passes;
  if (target.addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::ObjectFile))
    return createStringError("this LLVM cannot write object files for " +
                             target.getTargetTriple().str());
  passes.run(module);
  module.getContext().setOptPassGate(before);
  if (Error error = cancellation.check())
    return std::move(error);
  return object;
}
