//===- Numbers.td - Instructions for ranks, quotients and roots -*- tablegen -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_NUMBERS
#define LOWBIT_TRANSFORMS_LOWER_NUMBERS

include "mlir/Pass/PassBase.td"

def LowerRanks : Pass<"lowbit-lower-ranks", "::mlir::ModuleOp"> {
  let summary = "Compare numbers with the thresholds of their block";
  let description = [{
    A `lowbit.rank` on vectors of f32 by one scale for all lanes becomes one product with the inverse of the scale, one look-up and one sum. The product,
    as an integer in the order of numbers, is nearly the place of the quotient. Its leading bits are a bucket, with at most one threshold; the bucket's
    word, added to the place, has the rank above the bits that are left, since the sum carries at the threshold. What is left of the sum tells whether
    the place is within a few steps of the threshold. If it is for any lane, or if the inverse is no normal number, all are divided and compared
    with thresholds, so that ranks are those of quotients. The division is once for a block, and such places are one in some thousand vectors.

    Up to 32 thresholds on vectors of 16, where the kind of lanes looks up f32 in tables of 32 (`avx512`, `vnni512`), get tables in registers, by steps of one size or by
    binades of numbers that are not nearer to zero than a certain one, whichever leaves no bucket with more than one threshold. More than 15 get one in
    memory, for all numbers.

    Others get a `lowbit.quotient`; thresholds at even distances are counted by arithmetic, up to 15 others one by one, and more searched by halves.

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
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
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

#endif // LOWBIT_TRANSFORMS_LOWER_NUMBERS
