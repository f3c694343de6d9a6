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
      floats are added in another order than by plain loops.

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

def LowerRanks : Pass<"lowbit-lower-ranks", "::mlir::func::FuncOp"> {
  let summary = "Compare numbers with the thresholds of their block";
  let description = [{
    A `lowbit.rank` on vectors of 16 f32 by one scale for all lanes becomes, where the kind of lanes looks up f32 in tables of 32 (`avx512`,
    `vnni512`), one look-up and one comparison. An inverse of the scale that need only be nearly right puts a number into one of up to 32
    buckets: by the integral part of a multiple, or by the leading bits of a number that is not nearer to zero than a certain one,
    whichever leaves no bucket with more than one threshold. The number is compared with the bucket's, times the scale; that product is rounded up
    to the least number whose quotient is rounded to the threshold or beyond, so that ranks are those of quotients. Tables are built once for a block.

    Others get a `lowbit.quotient`; thresholds at even distances are counted by arithmetic, others one by one.

    ```mlir
    // lowbit-opt --lowbit-lower-ranks
    func.func @ternary(%x: f32, %scale: f32) -> i32 {
      %rank = lowbit.rank %x by %scale in [-0.5, 0.5] : f32
      return %rank : i32
    }
    ```
    becomes
    ```mlir
    func.func @ternary(%x: f32, %scale: f32) -> i32 {
      %q = lowbit.quotient %x, %scale : f32
      %zero = arith.constant 0.0 : f32
      %isNumber = arith.cmpf ord, %q, %q : f32
      %number = arith.select %isNumber, %q, %zero : f32
      %none = arith.constant 0 : i32
      %low = arith.constant -0.5 : f32
      %reachesLow = arith.cmpf oge, %number, %low : f32
      %one = arith.extui %reachesLow : i1 to i32
      %rank = arith.addi %none, %one : i32
      %high = arith.constant 0.5 : f32
      %reachesHigh = arith.cmpf oge, %number, %high : f32
      %two = arith.extui %reachesHigh : i1 to i32
      %rank2 = arith.addi %rank, %two : i32
      return %rank2 : i32
    }
    ```
  }];
  let options = [
    Option<"kind", "kind", "std::string", /*default=*/"\"generic\"", "Instructions on lanes, as `lowbit-lower-lanes` has them">
  ];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def LowerQuotients : Pass<"lowbit-lower-quotients", "::mlir::func::FuncOp"> {
  let summary = "Divide the elements of a block by one division";
  let description = [{
    A `lowbit.quotient` on vectors by one scale for all lanes becomes, with `multiply-add`, a product with the inverse of the scale, which is
    known to twice the digits, and one correction by its remainder; after that it is the quotient, correctly rounded (P. Markstein,
    "Computation of elementary functions on the IBM RISC System/6000 processor", 1990, theorem 8.4). A factor, a power of two, takes
    the scale to about 1, so that nothing overflows and no remainder that tells is denormal. Others become `arith.divf`.

    ```mlir
    // lowbit-opt --lowbit-lower-quotients=multiply-add=false
    func.func @scaled(%x: f32, %scale: f32) -> f32 {
      %q = lowbit.quotient %x, %scale : f32
      return %q : f32
    }
    ```
    becomes
    ```mlir
    func.func @scaled(%x: f32, %scale: f32) -> f32 {
      %infinity = arith.constant 0x7F800000 : f32
      %zero = arith.constant 0.0 : f32
      %none = arith.cmpf oeq, %scale, %zero : f32
      %divisor = arith.select %none, %infinity, %scale : f32
      %q = arith.divf %x, %divisor : f32
      %zero2 = arith.constant 0.0 : f32
      %number = arith.cmpf ord, %q, %q : f32
      %r = arith.select %number, %q, %zero2 : f32
      return %r : f32
    }
    ```
  }];
  let options = [
    Option<"multiplyAdd", "multiply-add", "bool", /*default=*/"true",
           "The processor has an instruction for a product and a sum that are rounded once">,
    Option<"kind", "kind", "std::string", /*default=*/"\"generic\"",
           "Instructions on lanes, as `lowbit-lower-lanes` has them: avx512 and vnni512 have one for what is no number">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerApproximations : Pass<"lowbit-lower-approximations", "::mlir::func::FuncOp"> {
  let summary = "Choose instructions for quotients and roots that may be estimates";
  let description = [{
    On vectors of 16 f32 an `arith.divf` with the flag `arcp` becomes a product with an estimate of the inverse, and a `math.sqrt` with the
    flag `afn` the estimate of the inverse of the inverse root, where the kind of lanes has such instructions (`avx512`, `vnni512`:
    relative errors of 2^-14 and 2^-13). Everywhere else the flags are dropped, and results are exact.

    ```mlir
    // lowbit-opt --lowbit-lower-approximations=kind=avx512
    func.func @quotient(%x: vector<16xf32>, %y: vector<16xf32>, %z: f32) -> (vector<16xf32>, f32) {
      %q = arith.divf %x, %y fastmath<arcp> : vector<16xf32>
      %r = math.sqrt %z fastmath<afn> : f32
      return %q, %r : vector<16xf32>, f32
    }
    ```
    becomes
    ```mlir
    func.func @quotient(%x: vector<16xf32>, %y: vector<16xf32>, %z: f32) -> (vector<16xf32>, f32) {
      %none = arith.constant dense<0.0> : vector<16xf32>
      %all = arith.constant -1 : i16
      %inverse = llvm.call_intrinsic "llvm.x86.avx512.rcp14.ps.512"(%y, %none, %all)
        : (vector<16xf32>, vector<16xf32>, i16) -> vector<16xf32>
      %q = arith.mulf %x, %inverse : vector<16xf32>
      %r = math.sqrt %z : f32
      return %q, %r : vector<16xf32>, f32
    }
    ```
  }];
  let options = [
    Option<"kind", "kind", "std::string", /*default=*/"\"generic\"", "Instructions on lanes, as `lowbit-lower-lanes` has them">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE
