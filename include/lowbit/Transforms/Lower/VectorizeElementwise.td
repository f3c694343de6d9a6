//===- VectorizeElementwise.td ----------------------------------*- tablegen -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE
#define LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE

include "mlir/Pass/PassBase.td"

def VectorizeElementwise : Pass<"lowbit-vectorize-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Turn elementwise and reducing linalg ops on memrefs into loops over vector strips";
  let description = [{
    Rewrites linalg ops on memrefs that are no contractions into `scf.for` loops, of which the
    innermost goes by strips of one vector, with single elements for what remains:

    - *parallel*: the outputs are contiguous along their last dimensions. Short last dimensions,
      such as the codes within a byte, join the strip of the dimension before them. Inputs are
      loaded as a vector, as a vector that is spread over the lanes (one byte for two codes), or
      as a scalar. A short reduction over neighbours (the codes of a byte that they are packed to)
      is done in registers, in order.
    - *reduction*: an input is contiguous along a reduction dimension that the outputs lack, and
      each output is combined by one associative op. Four accumulators run in parallel, so sums of
      floats are added in another order than by plain loops. It is one order for all processors:
      accumulators of sums and products of floats have 512 bits, whatever `vector-length` says.

    The body's `arith` and `math` ops are applied to vectors as they are; `linalg.index` becomes a
    scalar or a vector of lane numbers and `math.exp` of f32 a polynomial that is right within
    1.01 units in the last place, since LLVM would call expf for each lane. Reads of constant
    tables (`memref.load` from a `memref.get_global`, an index that the body computes) become
    permutations of a register or, above 16 entries, gathers. What does not depend on the lane
    stays scalar. An op that does not fit is left as it is with a remark that says why.
    Contractions are ignored.

    ```mlir
    // lowbit-opt --lowbit-vectorize-elementwise -canonicalize
    func.func @negate(%x: memref<64xf32>, %y: memref<64xf32>) {
      linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
          ins(%x : memref<64xf32>) outs(%y : memref<64xf32>) {
        ^bb0(%in: f32, %out: f32):
          %n = arith.negf %in : f32
          linalg.yield %n : f32
      }
      return
    }
    ```
    becomes
    ```mlir
    func.func @negate(%x: memref<64xf32>, %y: memref<64xf32>) {
      %c0 = arith.constant 0 : index
      %c64 = arith.constant 64 : index
      %c16 = arith.constant 16 : index
      scf.for %i = %c0 to %c64 step %c16 {
        %in = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
        %n = arith.negf %in : vector<16xf32>
        vector.store %n, %y[%i] : memref<64xf32>, vector<16xf32>
      }
      return
    }
    ```
  }];
  let options = [
    Option<"vectorLength", "vector-length", "int64_t", /*default=*/"16",
           "32-bit elements of a vector, a power of two; narrower elements get more lanes">,
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE
