//===- Pipelines.cpp - Named pipelines with typed options -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Pipelines/Pipelines.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "lowbit/Transforms/Condition/Passes.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace lowbit;

llvm::Error CpuPipelineOptions::adaptTo(const CpuTarget &target) {
  if (llvm::Error error = target.checkLanes(lanes.hasValue() ? lanes.getValue() : target.lanes))
    return error;
  if (llvm::Error error =
          target.checkMatrixUnit(matrixUnit.hasValue() ? matrixUnit.getValue() : target.matrixUnit))
    return error;
  auto fill = [](auto &option, const auto &value) {
    if (!option.hasValue())
      option = value;
  };
  fill(vectorLength, target.vectorLength);
  fill(multiplyAdd, target.hasMultiplyAdd);
  fill(lanes, target.lanes);
  fill(matrixUnit, target.matrixUnit);
  fill(registerGroups, target.tuning.registerGroups);
  fill(registerVectors, target.tuning.registerVectors);
  fill(prefetch, target.tuning.prefetchDistance);
  fill(prefetchLocality, target.tuning.prefetchLocality);
  fill(inlineScales, target.tuning.inlineScales);
  fill(iterationGroups, target.tuning.iterationGroups);
  return llvm::Error::success();
}

/// On functions: these go on side by side.
template <typename Function = func::FuncOp> static void addCleanup(OpPassManager &pm) {
  pm.addNestedPass<Function>(createCanonicalizerPass());
  pm.addNestedPass<Function>(createCSEPass());
}

/// A program in full precision and one piece, with taps.
static void addTaps(OpPassManager &pm, ArrayRef<std::string> statistics,
                    bool onlyParameters = false) {
  pm.addPass(createInlinerPass());
  StripOptions strip;
  strip.onlyParameters = onlyParameters;
  pm.addPass(createStrip(strip));
  // Extents are those of arguments, wherever they can be: others would have to pass between stages.
  pm.addNestedPass<func::FuncOp>(createSCFForLoopCanonicalizationPass());
  pm.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  addCleanup(pm);
  InsertObserversOptions taps;
  taps.statistics = SmallVector<std::string>(statistics);
  pm.addNestedPass<func::FuncOp>(createInsertObservers(taps));
}

void lowbit::buildCalibrationPipeline(OpPassManager &pm,
                                      const CalibrationPipelineOptions &options) {
  addTaps(pm, std::vector<std::string>(options.statistics.begin(), options.statistics.end()),
          options.onlyParameters);
  SplitStagesOptions stages;
  stages.entry = options.entry;
  stages.output = options.output;
  pm.addPass(createSplitStages(stages));
  pm.addNestedPass<func::FuncOp>(createFindScaleSinks());
  FindBasesOptions bases;
  bases.change = "permutation";
  pm.addNestedPass<func::FuncOp>(createFindBases(bases));
  pm.addNestedPass<func::FuncOp>(createLowerObservers());
}

void lowbit::buildConditioningPipeline(OpPassManager &pm) {
  addTaps(pm, {"sums"});
  pm.addNestedPass<func::FuncOp>(createFindBases());
  pm.addNestedPass<func::FuncOp>(createFindShiftSinks());
}

void lowbit::buildExplicitPipeline(OpPassManager &pm) {
  pm.addPass(createMaterialize());
  pm.addPass(createVerifyExplicit());
}

void lowbit::buildTilingPipeline(OpPassManager &pm, const CpuPipelineOptions &options) {
  pm.addNestedPass<func::FuncOp>(createRowLookups());
  pm.addNestedPass<func::FuncOp>(createFuseElementwise());
  addCleanup(pm);
  pm.addPass(createComponents());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createDistribute());
  // Terms of one weight meet different inputs: rounding is of what each of them meets.
  QuantizeActivationsOptions activations;
  activations.outlierThreshold = options.outlierThreshold;
  pm.addNestedPass<func::FuncOp>(createQuantizeActivations(activations));
  FuseAttentionOptions attention;
  attention.rows = options.attentionRows;
  attention.columns = options.attentionColumns;
  attention.parts = options.attentionParts;
  pm.addNestedPass<func::FuncOp>(createFuseAttention(attention));
  InnerTilesOptions inner;
  inner.groupsAtOnce = options.iterationGroups;
  inner.failOnFallback = options.failOnFallback;
  pm.addNestedPass<func::FuncOp>(createInnerTiles(inner));
  TileOptions tile;
  tile.rows = options.rows;
  tile.tileElements = options.tileElements;
  tile.parallelElements = options.parallelElements;
  tile.updateElements = options.updateElements;
  tile.failOnFallback = options.failOnFallback;
  pm.addNestedPass<func::FuncOp>(createTile(tile));
  pm.addNestedPass<func::FuncOp>(createPeelTiles());
  // Left-over questions for the shape of a decode would keep the whole decode alive.
  pm.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createBuildTiles());
  pm.addNestedPass<func::FuncOp>(createResolveDraws());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createFuseDecodes());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createOverlapUpdates());
  pm.addNestedPass<func::FuncOp>(createFuseReductions());
  addCleanup(pm);
}

void lowbit::buildBufferizationPipeline(OpPassManager &pm, bool parallel) {
  pm.addPass(createEntryABI());
  pm.addPass(createVerifyPlain());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addPass(bufferization::createDropEquivalentBufferResultsPass());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createBoundBuffers());
  if (!parallel)
    pm.addNestedPass<func::FuncOp>(createForallToForLoopPass());
  // When loops have become branches, a stack buffer inside is a new one in each iteration.
  pm.addNestedPass<func::FuncOp>(bufferization::createBufferLoopHoistingPass());
  bufferization::PromoteBuffersToStackPassOptions stack;
  stack.maxAllocSizeInBytes = 1 << 19;
  pm.addNestedPass<func::FuncOp>(bufferization::createPromoteBuffersToStackPass(stack));
  bufferization::BufferDeallocationPipelineOptions deallocation;
  bufferization::buildBufferDeallocationPipeline(pm, deallocation);
  pm.addPass(createConvertBufferizationToMemRefPass());
  addCleanup(pm);
}

void lowbit::buildLLVMPipeline(OpPassManager &pm, const CpuPipelineOptions *options) {
  pm.addNestedPass<func::FuncOp>(createExpandCopies());
  if (options) {
    pm.addPass(createOutlineContractions());
    EmitContractionsOptions emit;
    emit.groupsAtOnce = options->registerGroups;
    emit.vectorsAtOnce = options->registerVectors;
    emit.prefetchDistance = options->prefetch;
    emit.prefetchLocality = options->prefetchLocality;
    emit.matrixUnit = options->matrixUnit;
    pm.addNestedPass<func::FuncOp>(createEmitContractions(emit));
    LowerLanesOptions lanes;
    lanes.kind = options->lanes;
    pm.addNestedPass<func::FuncOp>(createLowerLanes(lanes));
    VectorizeContractionsOptions contractions;
    contractions.vectorLength = options->vectorLength;
    pm.addNestedPass<func::FuncOp>(createVectorizeContractions(contractions));
    VectorizeElementwiseOptions elementwise;
    elementwise.vectorLength = options->vectorLength;
    pm.addNestedPass<func::FuncOp>(createVectorizeElementwise(elementwise));
    PrefetchLoadsOptions prefetch;
    prefetch.distance = options->prefetch;
    prefetch.locality = options->prefetchLocality;
    pm.addNestedPass<func::FuncOp>(createPrefetchLoads(prefetch));
    if (!options->parallel)
      pm.addNestedPass<func::FuncOp>(bufferization::createBufferLoopHoistingPass());
  }
  LowerApproximationsOptions approximations;
  if (options)
    approximations.kind = options->lanes;
  pm.addNestedPass<func::FuncOp>(createLowerApproximations(approximations));
  LowerRanksOptions ranks;
  if (options)
    ranks.kind = options->lanes;
  pm.addPass(createLowerRanks(ranks));
  LowerQuotientsOptions quotients;
  quotients.multiplyAdd = options && options->multiplyAdd;
  if (options)
    quotients.kind = options->lanes;
  pm.addNestedPass<func::FuncOp>(createLowerQuotients(quotients));
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  pm.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass());
  pm.addPass(createConvertSCFToOpenMPPass());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(memref::createExpandStridedMetadataPass());
  pm.addNestedPass<func::FuncOp>(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(arith::createArithExpandOpsPass());
  // Calls of the mathematical library take vectors apart, which the conversion of vectors must see.
  pm.addNestedPass<func::FuncOp>(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.amx = true;
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  // Before control flow is lowered, or stack buffers in OpenMP regions cannot be.
  pm.addPass(createParametersToLLVM());
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useGenericFunctions = true; // of lib/Compile/Builtins, which keep large blocks
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  pm.addNestedPass<func::FuncOp>(createSCFToControlFlowPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addNestedPass<func::FuncOp>(createArithToLLVMConversionPass());
  pm.addNestedPass<func::FuncOp>(createConvertIndexToLLVMPass());
  pm.addNestedPass<func::FuncOp>(createUBToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertOpenMPToLLVMPass());
  addCleanup<LLVM::LLVMFuncOp>(pm);
  pm.addNestedPass<LLVM::LLVMFuncOp>(createReconcileUnrealizedCastsPass());
}

void lowbit::buildCpuPipeline(OpPassManager &pm, const CpuPipelineOptions &options) {
  buildExplicitPipeline(pm);
  ChooseLayoutsOptions layouts;
  layouts.inlineScales = options.inlineScales;
  layouts.failOnFallback = options.failOnFallback;
  pm.addPass(createChooseLayouts(layouts));
  pm.addPass(createPackParameters());
  QuantizeActivationsOptions activations;
  activations.encoding = options.activations;
  activations.outlierThreshold = options.outlierThreshold;
  pm.addNestedPass<func::FuncOp>(createQuantizeActivations(activations));
  pm.addPass(createInputScales());
  buildTilingPipeline(pm, options);
  buildBufferizationPipeline(pm, options.parallel);
  buildLLVMPipeline(pm, &options);
}

void lowbit::buildReferencePipeline(OpPassManager &pm) {
  buildExplicitPipeline(pm);
  pm.addPass(createInputScales());
  pm.addPass(createComponents());
  pm.addNestedPass<func::FuncOp>(createBuildTiles());
  pm.addNestedPass<func::FuncOp>(createResolveDraws());
  buildBufferizationPipeline(pm);
  buildLLVMPipeline(pm, nullptr);
}

/// Of a pipeline for a CPU. Not by PassPipelineRegistration, whose builders cannot fail.
static void registerCpuPipeline(StringRef name, StringRef description,
                                void (*build)(OpPassManager &, const CpuPipelineOptions &)) {
  registerPassPipeline(
      name, description,
      [build](OpPassManager &pm, StringRef text,
              function_ref<LogicalResult(const Twine &)> report) -> LogicalResult {
        CpuPipelineOptions options;
        if (failed(options.parseFromString(text)))
          return failure();
        if (!options.targetCpu.empty()) {
          llvm::Expected<CpuTarget> target = CpuTarget::create(options.targetCpu);
          if (!target)
            return report(toString(target.takeError()));
          if (llvm::Error error = options.adaptTo(*target))
            return report(toString(std::move(error)));
        }
        build(pm, options);
        return success();
      },
      [](function_ref<void(const mlir::detail::PassOptions &)> use) { use(CpuPipelineOptions()); });
}

void lowbit::registerPipelines() {
  registerCpuPipeline("lowbit-cpu-pipeline", "From linalg on encoded tensors to the LLVM dialect",
                      buildCpuPipeline);
  PassPipelineRegistration<CalibrationPipelineOptions>(
      "lowbit-calibration-pipeline", "A program with parameters to stages that keep statistics",
      buildCalibrationPipeline);
  PassPipelineRegistration<>(
      "lowbit-conditioning-pipeline",
      "A program with parameters to one that says what they can be changed to",
      buildConditioningPipeline);
  PassPipelineRegistration<>("lowbit-reference-pipeline",
                             "The reference lowering: decode all, f32 loops, encode; for tests",
                             buildReferencePipeline);
  PassPipelineRegistration<>("lowbit-explicit-pipeline", "Notation to explicit program, checked",
                             buildExplicitPipeline);
  registerCpuPipeline("lowbit-tiling-pipeline", "Explicit program to tiles on components",
                      buildTilingPipeline);
  PassPipelineRegistration<>("lowbit-bufferization-pipeline",
                             "Tensors to buffers, with the entry ABI",
                             [](OpPassManager &pm) { buildBufferizationPipeline(pm); });
  PassPipelineRegistration<>("lowbit-llvm-pipeline", "Buffers to the LLVM dialect by plain loops",
                             [](OpPassManager &pm) { buildLLVMPipeline(pm, nullptr); });
}
