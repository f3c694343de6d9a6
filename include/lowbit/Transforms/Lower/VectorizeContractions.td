//===- VectorizeContractions.td ---------------------------------*- tablegen -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS
#define LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS

include "mlir/Pass/PassBase.td"

def VectorizeContractions : Pass<"lowbit-vectorize-contractions", "::mlir::func::FuncOp"> {
  let summary = "Turn f32 contractions on memrefs into loops over register tiles of vectors";
  let description = [{
    Rewrites every linalg op that computes `out += sum(a * b)` in f32 on memrefs, whatever its
    indexing maps, into `scf.for` loops around a register tile of `vector.fma`. The form follows
    from the dimension that is contiguous in memory:

    - *dot*: a reduction dimension is contiguous in both inputs (`x[m, k] * w[n, k]`). Vectors run
      along it, `rows x columns` accumulators stay in registers, and each tile ends in one
      reduction tree that transposes and adds. An accumulator sums in the same order in every
      tile, so the result of a row does not depend on how many rows there are.
    - *outer*: a parallel dimension is contiguous in one input and in the output, and absent from
      the other input (`p[m, t] * v[t, d]`). Vectors run along it, `rows x columns` vectors of the
      output stay in registers over the reduction, and the other input is broadcast.

    Sizes may be static or dynamic; ends of the vector dimension use masks, ends of the others
    smaller tiles. Nothing is assumed about alignment. The inputs must not overlap the output.

    A contraction that has neither form, or another element type, is left as it is with a remark
    that says why.

    ```mlir
    // lowbit-opt --lowbit-vectorize-contractions -canonicalize -cse
    func.func @outer(%p: memref<1x64xf32>, %v: memref<64x16xf32>, %y: memref<1x16xf32>) {
      linalg.matmul ins(%p, %v : memref<1x64xf32>, memref<64x16xf32>) outs(%y : memref<1x16xf32>)
      return
    }
    ```
    becomes
    ```mlir
    func.func @outer(%p: memref<1x64xf32>, %v: memref<64x16xf32>, %y: memref<1x16xf32>) {
      %c1 = arith.constant 1 : index
      %c64 = arith.constant 64 : index
      %c0 = arith.constant 0 : index
      %old = vector.load %y[%c0, %c0] : memref<1x16xf32>, vector<16xf32>
      %new = scf.for %k = %c0 to %c64 step %c1 iter_args(%sum = %old) -> (vector<16xf32>) {
        %row = vector.load %v[%k, %c0] : memref<64x16xf32>, vector<16xf32>
        %element = memref.load %p[%c0, %k] : memref<1x64xf32>
        %spread = vector.broadcast %element : f32 to vector<16xf32>
        %next = vector.fma %spread, %row, %sum : vector<16xf32>
        scf.yield %next : vector<16xf32>
      }
      vector.store %new, %y[%c0, %c0] : memref<1x16xf32>, vector<16xf32>
      return
    }
    ```
  }];
  let options = [
    Option<"vectorLength", "vector-length", "int64_t", /*default=*/"16",
           "Elements of a vector: a power of two, 16 for 512-bit and 8 for 256-bit registers">,
    Option<"rows", "rows", "int64_t", /*default=*/"4",
           "Rows of the register tile">,
    Option<"columns", "columns", "int64_t", /*default=*/"4",
           "Columns of the register tile (vectors of columns in the outer form): a power of two">,
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS
