//===- Pipelines.h - Named pipelines with typed options ---------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_PIPELINES_PIPELINES_H
#define LOWBIT_PIPELINES_PIPELINES_H

#include "lowbit/Target/CpuTarget.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace lowbit {

/// Options of `lowbit-cpu-pipeline`.
struct CpuPipelineOptions : mlir::PassPipelineOptions<CpuPipelineOptions> {
  /// Gives the options of the processor that were not given the values of `target`; fails if those
  /// that were ask for instructions that it lacks.
  llvm::Error adaptTo(const CpuTarget &target);

  Option<std::string> targetCpu{
      *this, "target-cpu",
      llvm::cl::desc(
          "Processor that the options of instructions, registers and prefetches suit, as "
          "LLVM names it, or native; empty: none in particular"),
      llvm::cl::init("")};
  Option<int64_t> rows{*this, "rows",
                       llvm::cl::desc("Rows of decoded weights in a tile of a contraction"),
                       llvm::cl::init(16)};
  Option<int64_t> tileElements{*this, "tile-elements",
                               llvm::cl::desc("Decoded weights in a tile, at most"),
                               llvm::cl::init(32768)};
  Option<int64_t> parallelElements{
      *this, "parallel-elements",
      llvm::cl::desc("An op that is no contraction runs in parallel from this many elements on"),
      llvm::cl::init(16384)};
  Option<int64_t> updateElements{
      *this, "update-elements",
      llvm::cl::desc("Elements in a tile of an op that decodes or encodes and is no contraction"),
      llvm::cl::init(256)};
  Option<int64_t> attentionRows{*this, "attention-rows",
                                llvm::cl::desc("Rows in a tile of fused attention, at most"),
                                llvm::cl::init(32)};
  Option<int64_t> attentionColumns{*this, "attention-columns",
                                   llvm::cl::desc("Positions in a block of fused attention"),
                                   llvm::cl::init(128)};
  Option<int64_t> attentionParts{
      *this, "attention-parts",
      llvm::cl::desc("Parts that the positions of a single token's attention are shared out in"),
      llvm::cl::init(4)};
  Option<int64_t> vectorLength{*this, "vector-length",
                               llvm::cl::desc("f32 elements of a vector register"),
                               llvm::cl::init(CpuTarget().vectorLength)};
  Option<bool> multiplyAdd{
      *this, "multiply-add",
      llvm::cl::desc("The processor has an instruction for a product and a sum"),
      llvm::cl::init(CpuTarget().hasMultiplyAdd)};
  Option<std::string> lanes{*this, "lanes",
                            llvm::cl::desc("Instructions on bytes: see lowbit-lower-lanes"),
                            llvm::cl::init(CpuTarget().lanes)};
  Option<std::string> matrixUnit{
      *this, "matrix-unit",
      llvm::cl::desc("Of the processor, for products with many rows: amx, or none"),
      llvm::cl::init(CpuTarget().matrixUnit)};
  Option<int64_t> registerGroups{*this, "register-groups",
                                 llvm::cl::desc("Vectors of 16 outputs in a register tile"),
                                 llvm::cl::init(CpuTuning().registerGroups)};
  Option<int64_t> registerVectors{*this, "register-vectors",
                                  llvm::cl::desc("Vectors of sums in a register tile"),
                                  llvm::cl::init(CpuTuning().registerVectors)};
  Option<int64_t> prefetch{*this, "prefetch",
                           llvm::cl::desc("Bytes ahead that codes of weights are prefetched"),
                           llvm::cl::init(CpuTuning().prefetchDistance)};
  Option<unsigned> prefetchLocality{*this, "prefetch-locality",
                                    llvm::cl::desc("3: into all caches, 2: all but the first"),
                                    llvm::cl::init(CpuTuning().prefetchLocality)};
  Option<bool> inlineScales{*this, "inline-scales",
                            llvm::cl::desc("Weights get the layout records: scales lie between the "
                                           "codes that they belong to"),
                            llvm::cl::init(CpuTuning().inlineScales)};
  Option<int64_t> iterationGroups{
      *this, "iteration-groups",
      llvm::cl::desc("Groups of 16 outputs in an iteration of a parallel loop, at most"),
      llvm::cl::init(CpuTuning().iterationGroups)};
  Option<bool> parallel{*this, "parallel",
                        llvm::cl::desc("Parallel loops are computed by threads of OpenMP; false: "
                                       "by the one that calls, without OpenMP"),
                        llvm::cl::init(true)};
  Option<std::string> activations{
      *this, "activations",
      llvm::cl::desc("What activations of integer weights become, as within "
                     "#lowbit.quantized<...>; empty: they stay f32"),
      llvm::cl::init("")};
  Option<double> outlierThreshold{
      *this, "outlier-threshold",
      llvm::cl::desc("Activations of at least this |x| are not rounded, but multiplied in f32; 0: "
                     "all are rounded"),
      llvm::cl::init(0)};
  Option<bool> failOnFallback{
      *this, "fail-on-fallback",
      llvm::cl::desc("A contraction with an encoded operand that does not run on inner tiles, or a "
                     "large tensor that is decoded as a whole, is an error"),
      llvm::cl::init(false)};
};

struct CalibrationPipelineOptions : mlir::PassPipelineOptions<CalibrationPipelineOptions> {
  ListOption<std::string> statistics{
      *this, "statistics",
      llvm::cl::desc("What taps keep: moments, squares, sums, magnitudes, maxima, minima")};
  Option<std::string> entry{*this, "entry", llvm::cl::desc("Which entry; the first one by default"),
                            llvm::cl::init("")};
  Option<bool> output{*this, "output",
                      llvm::cl::desc("The last stage gives the entry's last result"),
                      llvm::cl::init(false)};
  Option<bool> onlyParameters{
      *this, "only-parameters",
      llvm::cl::desc("Parameters become plain, all else, as key-value caches, stays encoded"),
      llvm::cl::init(false)};
};

/// `lowbit-calibration-pipeline`: from a program with parameters, in any encoding, to stages in
/// full precision that keep statistics of what is multiplied with parameters. They are a program
/// for a pipeline below.
void buildCalibrationPipeline(mlir::OpPassManager &pm, const CalibrationPipelineOptions &options);

/// `lowbit-conditioning-pipeline`: from a program with parameters, in any encoding, to one in full
/// precision without calls, whose functions say what can be rotated and shifted.
void buildConditioningPipeline(mlir::OpPassManager &pm);

/// From the notation to an explicit program, checked: the beginning of every pipeline.
void buildExplicitPipeline(mlir::OpPassManager &pm);

/// Explicit program to tiles on components: parallel loops, decodes inside; still tensors.
void buildTilingPipeline(mlir::OpPassManager &pm, const CpuPipelineOptions &options);

/// Tensors to buffers, with the entry ABI. Without `parallel`, parallel loops become plain ones.
void buildBufferizationPipeline(mlir::OpPassManager &pm, bool parallel = true);

/// Buffers to the LLVM dialect. Contractions and loops become explicit vector code if `options` is
/// given, plain loops otherwise.
void buildLLVMPipeline(mlir::OpPassManager &pm, const CpuPipelineOptions *options);

/// `lowbit-cpu-pipeline`: everything, for the CPU.
void buildCpuPipeline(mlir::OpPassManager &pm, const CpuPipelineOptions &options);

/// `lowbit-reference-pipeline`: decode all, compute in f32 by plain loops, encode. Slow and
/// obvious, for tests.
void buildReferencePipeline(mlir::OpPassManager &pm);

void registerPipelines();

} // namespace lowbit

#endif // LOWBIT_PIPELINES_PIPELINES_H
