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

def FindShiftSinks : Pass<"lowbit-find-shift-sinks", "::mlir::func::FuncOp"> {
  let summary = "Find where channels can be shifted for nothing";
  let description = [{
    A number z can be subtracted from each channel of a tapped value x if a bias before it takes that, if the biases of the products W x that it feeds take W z, and
    if a bias takes z back wherever else x is added (Outlier Suppression+, Wei et al. 2023, arXiv 2304.09145, section 4.1). This pass finds
    such biases, for any program: backwards from x through sums, reshapes, caches and weighted means (the weights of an attention sum to one) to a parameter that is added, and
    forwards from each use of x, and from each product, to a sum that has another addend of that kind. So the norm of a post-norm model has a place, too: the bias before the next
    norm gives back what the residual lost.

    For each `lowbit.observe` of the function, in order, `lowbit.shift_sinks` has the list of them, as `lowbit.scale_sinks` has (here a `parameter` by key; `axis`, `digits`,
    `strides`: channels that lie in one place have one z), with the `sign` of z and, where W z is added to the outputs of a product instead, the key of the
    `weight` W. Where there are none it has the reason.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(func.func(lowbit-find-shift-sinks))'
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @biased(%x: tensor<?x64xf32>, %o: tensor<?x64xf32>, %r: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %bias = lowbit.parameter "bias" : tensor<64xf32>
      %up = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %last = lowbit.parameter "up.bias" : tensor<32xf32>
      %n = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x, %bias : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
        ^bb0(%a: f32, %b: f32, %z: f32):
          %s = arith.addf %a, %b : f32
          linalg.yield %s : f32
      } -> tensor<?x64xf32>
      lowbit.observe %n for ["up.weight"] [maxima] : tensor<?x64xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
      %q = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%p, %last : tensor<?x32xf32>, tensor<32xf32>) outs(%r : tensor<?x32xf32>) {
        ^bb0(%a: f32, %b: f32, %z: f32):
          %s = arith.addf %a, %b : f32
          linalg.yield %s : f32
      } -> tensor<?x32xf32>
      return %q : tensor<?x32xf32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(m, k) -> (m, k)>
    #v = affine_map<(m, k) -> (k)>
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @biased(%x: tensor<?x64xf32>, %o: tensor<?x64xf32>, %r: tensor<?x32xf32>) -> tensor<?x32xf32>
        attributes {lowbit.shift_sinks = [[{axis = 0 : i64, digits = array<i64: 64>, parameter = "bias", sign = -1 : i64, strides = array<i64: 1>},
                                           {axis = 0 : i64, digits = array<i64: 32>, parameter = "up.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "up.weight"} ] ]} {
      %bias = lowbit.parameter "bias" : tensor<64xf32>
      %up = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %last = lowbit.parameter "up.bias" : tensor<32xf32>
      %n = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x, %bias : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
        ^bb0(%a: f32, %b: f32, %z: f32):
          %s = arith.addf %a, %b : f32
          linalg.yield %s : f32
      } -> tensor<?x64xf32>
      lowbit.observe %n for ["up.weight"] [maxima] : tensor<?x64xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
      %q = linalg.generic {indexing_maps = [#e, #v, #e], iterator_types = ["parallel", "parallel"]}
          ins(%p, %last : tensor<?x32xf32>, tensor<32xf32>) outs(%r : tensor<?x32xf32>) {
        ^bb0(%a: f32, %b: f32, %z: f32):
          %s = arith.addf %a, %b : f32
          linalg.yield %s : f32
      } -> tensor<?x32xf32>
      return %q : tensor<?x32xf32>
    }
    ```
  }];
}

def FindBases : Pass<"lowbit-find-bases", "::mlir::func::FuncOp"> {
  let summary = "Find parameters that change together with the channels of a value";
  let description = [{
    A program computes the same in another basis if every parameter that writes to a value x and every one that reads it changes with it: x becomes x Q. This
    pass finds them for any program. From the value of each `lowbit.observe` it goes forwards and backwards through sums, norms, look-ups, the weighted
    mean of an attention, slices of a cache, loops and reshapes, until there are only parameters: of a pre-norm network, all that touches the residual stream.

    `change=rotation`: Q is orthogonal. A sum of squares over channels stays what it is, so a root mean square norm lets x pass; the norm's gain goes
    into the weights that read behind it (QuaRot, Ashkboos et al. 2024, arXiv 2404.00456; SliceGPT, arXiv 2401.15024, section 3.2). A mean over channels
    stays only if Q leaves the vector of ones where it is (`keeps_ones`), then a norm that subtracts it lets x pass, too. `change=permutation`: Q is a
    permutation, which any elementwise op and any reduction let pass. Where two values differ in a part of the channel's number, as heads that have weights of their own,
    the change is one of `extent` neighbours, the same in every block of so many.

    `lowbit.bases` of the function has a dictionary for each basis: the `taps` (numbers, in order) whose values lie in it, its `extent`, its `members`, each a
    `parameter` by key (or the number of an `argument`, in a stage), the `axis` on which its channels lie, `stride` elements from one to the next, and a
    `gain` that is multiplied into it first (for a bias behind the gain: `divided`); and the `gains`, which become ones. Where nothing can change
    there is the `reason` instead: a post-norm network, whose residual takes what a gain has scaled; a value that differs by channel and is multiplied; what the program is given or gives.

    ```mlir
    // lowbit-opt --pass-pipeline='builtin.module(func.func(lowbit-find-bases))'
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @two(%x: tensor<?x64xf32>, %o: tensor<?x32xf32>, %r: tensor<?x16xf32>) -> tensor<?x16xf32> {
      %zero = arith.constant 0.0 : f32
      %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
      %up = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %down = lowbit.parameter "down.weight" : tensor<16x32xf32>
      %h = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
      lowbit.observe %h for ["down.weight"] [maxima] : tensor<?x32xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<?x32xf32>, tensor<16x32xf32>) outs(%r : tensor<?x16xf32>) -> tensor<?x16xf32>
      return %p : tensor<?x16xf32>
    }
    ```
    becomes
    ```mlir
    #x = affine_map<(m, n, k) -> (m, k)>
    #w = affine_map<(m, n, k) -> (n, k)>
    #y = affine_map<(m, n, k) -> (m, n)>
    func.func @two(%x: tensor<?x64xf32>, %o: tensor<?x32xf32>, %r: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {lowbit.bases = [
        {extent = 32 : i64, gains = [], members = [{axis = 1 : i64, parameter = "down.weight", stride = 1 : i64}, {axis = 0 : i64, parameter = "up.weight", stride = 1 : i64} ], taps = array<i64: 0>} ]} {
      %zero = arith.constant 0.0 : f32
      %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
      %up = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %down = lowbit.parameter "down.weight" : tensor<16x32xf32>
      %h = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
      lowbit.observe %h for ["down.weight"] [maxima] : tensor<?x32xf32>
      %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<?x32xf32>, tensor<16x32xf32>) outs(%r : tensor<?x16xf32>) -> tensor<?x16xf32>
      return %p : tensor<?x16xf32>
    }
    ```
  }];
  let options = [
    Option<"change", "change", "std::string", /*default=*/"\"rotation\"", "Of the basis: rotation or permutation">,
  ];
}

#endif // LOWBIT_TRANSFORMS_CONDITION_PASSES_TD
