//===- Passes.td - Rewrites that leave the float program alone -*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_CONDITION_PASSES_TD
#define LOWBIT_TRANSFORMS_CONDITION_PASSES_TD

include "mlir/Pass/PassBase.td"

def FindScaleSinks : Pass<"lowbit-find-scale-sinks", "::mlir::func::FuncOp"> {
  let summary = "Find where channels can be scaled for nothing";
  let description = [{
    Channels of a tapped value x can be divided by factors s if the columns of the weights that it feeds are multiplied with them, and if
    something before it takes the division: SmoothQuant (Xiao et al. 2022, arXiv 2211.10438, equation 3) and AWQ (Lin et al. 2023, arXiv
    2306.00978, section 3.2) fold it into the gains of a norm or the rows of the matrix before. This pass finds what takes it, for any
    program: it goes back from x through what is linear in one operand (products with the gain of a norm, matrix products, sums, the
    weighted mean of an attention, slices of a cache, reshapes) to arguments, which are parameters.

    For each `lowbit.observe` of the function, in order, `lowbit.scale_sinks` has the list of them: the `argument`, its `axis`, and how
    channels lie on it. A channel is a number with the `digits` (extents, the last one fastest), and its index the sum of its digits times `strides`; a
    stride of 0 says that channels of different digits share a factor, as query heads do that share a value head. Where nothing takes the
    division it has the reason, a text: the value also feeds a residual, or goes through what is not linear.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(func.func(lowbit-find-scale-sinks))'
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @gain(%x: tensor<?x64xf32>, %gain: tensor<64xf32>, %up: tensor<32x64xf32>, %o: tensor<?x64xf32>, %r: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %n = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
        ^bb0(%a: f32, %g: f32, %z: f32):
          %s = arith.mulf %a, %g : f32
          linalg.yield %s : f32
      } -> tensor<?x64xf32>
      lowbit.observe %n for ["up.weight"] [maxima] : tensor<?x64xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
      return %p : tensor<?x32xf32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @gain(%x: tensor<?x64xf32>, %gain: tensor<64xf32>, %up: tensor<32x64xf32>, %o: tensor<?x64xf32>, %r: tensor<?x32xf32>) -> tensor<?x32xf32>
        attributes {lowbit.scale_sinks = [[{argument = 1 : i64, axis = 0 : i64, digits = array<i64: 64>, strides = array<i64: 1>} ] ]} {
      %n = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
        ^bb0(%a: f32, %g: f32, %z: f32):
          %s = arith.mulf %a, %g : f32
          linalg.yield %s : f32
      } -> tensor<?x64xf32>
      lowbit.observe %n for ["up.weight"] [maxima] : tensor<?x64xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
      return %p : tensor<?x32xf32>
    }
    ```
  }];
}

#endif // LOWBIT_TRANSFORMS_CONDITION_PASSES_TD
