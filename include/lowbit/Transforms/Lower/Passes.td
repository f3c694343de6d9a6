//===- Passes.td - From encoded tensors to machine code ---*- tablegen -*-===//
//
// In the order of the road: notation to program (here), program to components and tiles (Tiles.td, InnerTiles.td), what
// tiles compute (BuildTiles.td), tiles to buffers (Buffers.td), buffers to vector code (InnerTiles.td, Vectorize*.td, Numbers.td).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_PASSES_TD
#define LOWBIT_TRANSFORMS_LOWER_PASSES_TD

include "lowbit/Transforms/Lower/Buffers.td"
include "lowbit/Transforms/Lower/BuildTiles.td"
include "lowbit/Transforms/Lower/InnerTiles.td"
include "lowbit/Transforms/Lower/Numbers.td"
include "lowbit/Transforms/Lower/PassBase.td"
include "lowbit/Transforms/Lower/Tiles.td"
include "lowbit/Transforms/Lower/VectorizeContractions.td"
include "lowbit/Transforms/Lower/VectorizeElementwise.td"

//===----------------------------------------------------------------------===//
// Notation and program
//===----------------------------------------------------------------------===//

def Materialize : Pass<"lowbit-materialize", "::mlir::ModuleOp"> {
  let summary = "Make the decodes and encodes of the implicit notation explicit";
  let description = [{
    The first pass of every pipeline. An op that computes on encoded tensors reads them through `lowbit.decode` and writes
    them through `lowbit.encode`; afterwards encoded tensors are touched only by lowbit ops, calls and control flow, and
    upstream's rewrites are safe. What has no meaning on encoded tensors (`tensor.cast` between encodings, slices and
    reshapes that yield encoded tensors) is an error.

    ```mlir
    // lowbit-opt --lowbit-materialize
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<64x32xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %r = linalg.matmul ins(%x, %w : tensor<1x64xf32>, tensor<64x32xf32, #w4>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
    becomes
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<64x32xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %d = lowbit.decode %w : tensor<64x32xf32, #w4>
      %r = linalg.matmul ins(%x, %d : tensor<1x64xf32>, tensor<64x32xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def TakePrefix : Pass<"lowbit-take-prefix", "::mlir::ModuleOp"> {
  let summary = "Read the high bits of codes alone";
  let description = [{
    Chooses a precision of nested codes: a decode of a term whose planes end `bits` bits below the top of its codes reads the
    planes above that alone, and the same scale. What the planes below hold is neither read nor, of a parameter, bound. Other
    tensors stay; without any such decode it is an error. After `lowbit-materialize`.

    ```mlir
    // lowbit-opt --lowbit-take-prefix=bits=4
    #nested = #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes<4, 4>>
    func.func @values(%w: tensor<8x64xf32, #nested>) -> tensor<8x64xf32> {
      %d = lowbit.decode %w : tensor<8x64xf32, #nested>
      return %d : tensor<8x64xf32>
    }
    ```
    becomes
    ```mlir
    #nested = #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes<4, 4>>
    #high = #lowbit.quantized<prefix<4, int<8>>, scale = f32 per axis 0>
    func.func @values(%w: tensor<8x64xf32, #nested>) -> tensor<8x64xf32> {
      %h = lowbit.convert %w : tensor<8x64xf32, #nested> to tensor<8x64xf32, #high>
      %d = lowbit.decode %h : tensor<8x64xf32, #high>
      return %d : tensor<8x64xf32>
    }
    ```
  }];
  let options = [
    Option<"bits", "bits", "unsigned", /*default=*/"4", "High bits of a code to read, 1 to 8">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

def VerifyExplicit : Pass<"lowbit-verify-explicit", "::mlir::ModuleOp"> {
  let summary = "Check that no op computes on encoded tensors implicitly";
  let description = [{
    Every op with an encoded operand or result is a lowbit op, a call, control flow, or asks only for a shape.
    Anything else is an error at that op.

    ```mlir
    // lowbit-opt --lowbit-verify-explicit
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<64x32xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      // expected-error @+1 {{computes on an encoded tensor implicitly; run lowbit-materialize}}
      %r = linalg.matmul ins(%x, %w : tensor<1x64xf32>, tensor<64x32xf32, #w4>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
  }];
}

def VerifyPlain : Pass<"lowbit-verify-plain", "::mlir::ModuleOp"> {
  let summary = "Check that no encoding is left";
  let description = [{
    Before bufferization, which would drop an encoding without a word: no type of a value, function or attribute has
    an encoding.

    ```mlir
    // lowbit-opt --lowbit-verify-plain
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    // expected-error @+1 {{an encoding is left that bufferization would drop}}
    func.func private @step(tensor<8x64xf32, #w4>)
    ```
  }];
}

def Strip : Pass<"lowbit-strip", "::mlir::ModuleOp"> {
  let summary = "Give the full-precision program back";
  let description = [{
    Removes every encoding: types become plain, `decode`, `encode` and `convert` become their source, `insert` becomes `tensor.insert_slice`. Works on the
    implicit notation and on the explicit program. A program that takes components apart (`assemble`, `disassemble`) has
    no full-precision form. With `only-parameters` what is not a `lowbit.parameter` keeps its encoding, so that its rounding stays in the program; private
    functions are inlined (`inline`) before.

    ```mlir
    // lowbit-opt --lowbit-strip
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @values(%w: tensor<8x64xf32, #w4>) -> tensor<8x64xf32> {
      %v = lowbit.decode %w : tensor<8x64xf32, #w4>
      return %v : tensor<8x64xf32>
    }
    ```
    becomes
    ```mlir
    func.func @values(%w: tensor<8x64xf32>) -> tensor<8x64xf32> {
      return %w : tensor<8x64xf32>
    }
    ```
  }];
  let options = [
    Option<"onlyParameters", "only-parameters", "bool", /*default=*/"false", "Parameters become plain, all else stays encoded">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::tensor::TensorDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_PASSES_TD
