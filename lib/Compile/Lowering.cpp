//===- Lowering.cpp - Parsing and pipelines with llvm::Error --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Diagnostics.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/InitAll.h"
#include "lowbit/Pipelines/Pipelines.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace llvm;
using namespace lowbit;

std::unique_ptr<mlir::MLIRContext> lowbit::makeContext() {
  static const bool registered = (registerAllPasses(), true);
  (void)registered;
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  auto context = std::make_unique<mlir::MLIRContext>(registry);
  // The location says where; a whole function as a note buries what is wrong.
  context->printOpOnDiagnostic(false);
  return context;
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>> lowbit::parseModule(StringRef text, StringRef name,
                                                                mlir::MLIRContext *context) {
  DiagnosticCollector diagnostics(context);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(context), name);
  if (!module) {
    std::string errors = diagnostics.takeText();
    return createStringError(errors.empty() ? (name + ": this is not an MLIR module").str()
                                            : errors);
  }
  return module;
}

namespace {
/// While it lives, passes are skipped once cancellation is requested.
class PassCancellation {
public:
  PassCancellation(mlir::MLIRContext *context, const Cancellation &cancellation)
      : context(context) {
    context->registerActionHandler(
        [&](function_ref<void()> perform, const mlir::tracing::Action &action) {
          if (!cancellation.isRequested() || !isa<mlir::PassExecutionAction>(action))
            perform();
        });
  }
  ~PassCancellation() { context->registerActionHandler(nullptr); }

private:
  mlir::MLIRContext *context;
};
} // namespace

Error lowbit::runPipeline(mlir::ModuleOp module, StringRef pipeline, const CpuTarget &target,
                          const Cancellation &cancellation) {
  PassCancellation skip(module.getContext(), cancellation);
  DiagnosticCollector diagnostics(module.getContext());
  mlir::PassManager passes(module.getContext());
  if (pipeline == "none")
    return Error::success();
  std::string errors;
  raw_string_ostream stream(errors);
  if (StringRef given = pipeline;
      given.consume_front("cpu") &&
      (given.empty() || (given.consume_front("{") && given.consume_back("}")))) {
    CpuPipelineOptions options;
    if (failed(options.parseFromString(given, stream)))
      return createStringError("'" + pipeline + "': " + StringRef(errors).rtrim() +
                               "; the options are those of lowbit-cpu-pipeline");
    if (options.targetCpu.hasValue())
      return createStringError("'" + pipeline +
                               "': the processor is no option of this pipeline, "
                               "since code is generated for it, too: name it as `--target-cpu`");
    if (Error error = options.adaptTo(target))
      return error;
    buildCpuPipeline(passes, options);
  } else if (pipeline == "reference") {
    buildReferencePipeline(passes);
  } else {
    FailureOr<mlir::OpPassManager> parsed = mlir::parsePassPipeline(pipeline, stream);
    if (failed(parsed) || parsed->getOpAnchorName() != "builtin.module")
      return createStringError(
          "'" + pipeline +
          "' is no pipeline: give cpu, reference, none, options as 'cpu{rows=32}', or passes as "
          "'builtin.module(canonicalize)'" +
          (errors.empty() ? "" : " (" + StringRef(errors).rtrim() + ")"));
    static_cast<mlir::OpPassManager &>(passes) = std::move(*parsed);
  }
  if (failed(passes.run(module)))
    return diagnostics.takeError("the module cannot be lowered");
  return cancellation.check();
}

Expected<std::string> lowbit::transformText(StringRef text, StringRef name, StringRef pipeline,
                                            const Cancellation &cancellation) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = parseModule(text, name, context.get());
  if (!module)
    return module.takeError();
  Expected<CpuTarget> target = CpuTarget::create("native");
  if (!target)
    return target.takeError();
  if (Error error = runPipeline(**module, pipeline, *target, cancellation))
    return std::move(error);
  std::string result;
  raw_string_ostream(result) << **module << "\n";
  return result;
}
