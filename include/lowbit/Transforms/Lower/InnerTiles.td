//===- InnerTiles.td - Contractions on tiled weights -------*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_LOWER_INNERTILES
#define LOWBIT_TRANSFORMS_LOWER_INNERTILES

include "lowbit/Transforms/Lower/PassBase.td"

def ChooseLayouts : Pass<"lowbit-choose-layouts", "::mlir::ModuleOp"> {
  let summary = "Give the weights of products a layout that kernels read vector by vector";
  let description = [{
    Where the values of a parameter are the weights of products `x[m, k] * w[n, k]`, in this function or in those that it is passed to,
    they are decoded from a conversion to the layout `tiled`, or with `inline-scales` to `records`; other uses, such as look-ups of rows, read it as it is stored. Arguments of
    private functions take the type that all callers give them. What no kernel could read so keeps its layout, and so does what is
    no parameter; products of it get a remark that says why, or with `fail-on-fallback` an error. After `lowbit-materialize`.

    ```mlir
    // lowbit-opt --lowbit-choose-layouts
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    func.func @linear(%x: tensor<1x64xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %w = lowbit.parameter "w" : tensor<32x64xf32, #q4_0>
      %d = lowbit.decode %w : tensor<32x64xf32, #q4_0>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
    becomes
    ```mlir
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    #tiled = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %w = lowbit.parameter "w" : tensor<32x64xf32, #q4_0>
      %t = lowbit.convert %w : tensor<32x64xf32, #q4_0> to tensor<32x64xf32, #tiled>
      %d = lowbit.decode %t : tensor<32x64xf32, #tiled>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
  }];
  let options = [
    Option<"inlineScales", "inline-scales", "bool", "false",
           "Scales lie between the codes that they belong to: layout records">,
    Lowbit_FailOnFallback,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

def PackParameters : Pass<"lowbit-pack-parameters", "::mlir::ModuleOp"> {
  let summary = "Convert parameters once, when they are loaded";
  let description = [{
    A conversion of a parameter that only moves bytes becomes part of its loading: an entry of its own, one for each pair of
    types, that the loader calls with the stored components.

    ```mlir
    // lowbit-opt --lowbit-pack-parameters
    #q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    #tiled = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @weights() -> tensor<32x64xf32> {
      %w = lowbit.parameter "w" : tensor<32x64xf32, #q4_0>
      %t = lowbit.convert %w : tensor<32x64xf32, #q4_0> to tensor<32x64xf32, #tiled>
      %d = lowbit.decode %t : tensor<32x64xf32, #tiled>
      return %d : tensor<32x64xf32>
    }
    ```
    becomes
    ```mlir
    #q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    #tiled = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @weights() -> tensor<32x64xf32> {
      %t = lowbit.parameter "w" packed by @lowbit.pack.0 from tensor<32x64xf32, #q4_0> : tensor<32x64xf32, #tiled>
      %d = lowbit.decode %t : tensor<32x64xf32, #tiled>
      return %d : tensor<32x64xf32>
    }
    func.func @lowbit.pack.0(%stored: tensor<32x64xf32, #q4_0>) -> tensor<32x64xf32, #tiled> attributes {lowbit.entry} {
      %packed = lowbit.convert %stored : tensor<32x64xf32, #q4_0> to tensor<32x64xf32, #tiled>
      return %packed : tensor<32x64xf32, #tiled>
    }
    ```
  }];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::func::FuncDialect"];
}

def QuantizeActivations : Pass<"lowbit-quantize-activations", "::mlir::func::FuncOp"> {
  let summary = "Round what is multiplied with encoded weights";
  let description = [{
    The activations of a contraction with weights in a layout with inner tiles are encoded, once for all contractions that read
    them, and decoded again: an explicit part of the program, which the kernels then read as codes. Where no kernel could, because
    codes of the weights are no small integers or do not lie in inner tiles, activations stay f32 with a remark: the contraction
    is one in f32 by design, no fallback. An encoding that no kernel reads as codes (int<4>, e4m3) is asked for to see what it costs:
    activations of all encoded weights are rounded, and multiplied in f32. After `lowbit-materialize`.

    A product with a combinator is told `lowbit.activations`, an attribute that stays on it where `lowbit-distribute` makes products of
    its terms; then the pass, run again without option, rounds what each of those meets. Terms that are plain floats of 16 bits or more, and
    columns apart, meet inputs as they are.

    A weight, that is a `lowbit.parameter` or an argument of the function, may choose for itself: the attribute `lowbit.activations` on it is an encoding, or "f32" for activations
    that stay as they are. Activations that several weights read are encoded once for each choice. Those of a weight that is plain are rounded, too, where it says so: so stages
    of calibration show what the rounding costs.

    With `outlier-threshold`, an element of at least that size is 0 in what is rounded, and 0 elsewhere in a second input, which is multiplied in f32 and added where it has
    any such element: outliers are found while the program runs (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339), by element, so that a row is computed alike in any batch.

    ```mlir
    // lowbit-opt --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [1, 32]'"
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %d = lowbit.decode %w : tensor<32x64xf32, #w4>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
    becomes
    ```mlir
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %empty = tensor.empty() : tensor<1x64xf32, #a8>
      %e = lowbit.encode %x into %empty : tensor<1x64xf32> into tensor<1x64xf32, #a8>
      %a = lowbit.decode %e : tensor<1x64xf32, #a8>
      %d = lowbit.decode %w : tensor<32x64xf32, #w4>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
  }];
  let options = [
    Option<"encoding", "encoding", "std::string", /*default=*/"\"\"",
           "What activations become, as within #lowbit.quantized<...>; empty: they stay f32">,
    Option<"outlierThreshold", "outlier-threshold", "double", /*default=*/"0",
           "Elements of at least this |x| are not rounded, but multiplied in f32; 0: all are rounded">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def InputScales : Pass<"lowbit-input-scales", "::mlir::ModuleOp"> {
  let summary = "Scales of inputs that are given come from beside their weight";
  let description = [{
    Inputs of products that are rounded with the rule `given` need scales before the program runs. They are parameters: the product with
    the weight "up.weight" takes the component `scale` of its input from "up.weight.input_scale", in the stored form (`scale = f32 per tensor`:
    f32 [1, 1]), which `static-activations` of `lowbit quantize` writes. Storage from `tensor.empty` becomes storage with these scales; where the weight is an
    argument of a private function, so is its scale, and callers pass it. Of several products that read one value the first
    decides. After `lowbit-quantize-activations`.

    ```mlir
    // lowbit-opt --lowbit-input-scales
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #a8 = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
    func.func @linear(%x: tensor<4x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
      %w = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %empty = tensor.empty() : tensor<4x64xf32, #a8>
      %e = lowbit.encode %x into %empty : tensor<4x64xf32> into tensor<4x64xf32, #a8>
      %a = lowbit.decode %e : tensor<4x64xf32, #a8>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<4x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
      return %r : tensor<4x32xf32>
    }
    ```
    becomes
    ```mlir
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #a8 = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
    func.func @linear(%x: tensor<4x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
      %scale = lowbit.parameter "up.weight.input_scale" : tensor<1x1xf32>
      %w = lowbit.parameter "up.weight" : tensor<32x64xf32>
      %codes = tensor.empty() : tensor<4x64xi8>
      %storage = lowbit.assemble %codes, %scale : tensor<4x64xi8>, tensor<1x1xf32> to tensor<4x64xf32, #a8>
      %e = lowbit.encode %x into %storage : tensor<4x64xf32> into tensor<4x64xf32, #a8>
      %a = lowbit.decode %e : tensor<4x64xf32, #a8>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<4x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
      return %r : tensor<4x32xf32>
    }
    ```
  }];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::tensor::TensorDialect"];
}

def InnerTiles : Pass<"lowbit-inner-tiles", "::mlir::func::FuncOp"> {
  let summary = "Contract with tiled weights straight on their components";
  let description = [{
    A product `x[m, k] * w[n, k]` with decoded weights whose layout has inner tiles becomes a parallel loop over groups of outputs with a
    `lowbit.contract` inside. Scales leave the sums there: what they need of the activations, the sums of blocks, is computed
    once, before the loop.

    Every contraction with an encoded operand, and every convolution with an encoded filter, is spoken of. A `passed` remark has its
    kind (`integer dot` with its number of planes of activations, or `f32 multiply-add`), both encodings, the shape, how the loop
    cuts it, and what a call reads of the weights and computes, in bytes and multiply-adds: one with few of these for each byte is
    bound by the memory. A contraction for which there is no such form is left for other lowerings, with a remark that says why, or
    with `fail-on-fallback` an error.

    ```mlir
    // lowbit-opt --lowbit-inner-tiles
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mk = affine_map<(m, n, k) -> (m, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w4 = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xf32>, %codes: tensor<2x8x64xi8>, %scale: tensor<2x2x16xf16>, %y: tensor<1x32xf32>)
        -> tensor<1x32xf32> {
      %d = lowbit.decode_region tensor<32x64xf32, #w4> (%codes, %scale) [0, 0] [32, 64]
        : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                         outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
    becomes
    ```mlir
    #w4 = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xf32>, %codes: tensor<2x8x64xi8>, %scale: tensor<2x2x16xf16>, %y: tensor<1x32xf32>)
        -> tensor<1x32xf32> {
      %d = lowbit.decode_region tensor<32x64xf32, #w4> (%codes, %scale) [0, 0] [32, 64]
        : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
      %r = scf.forall (%n) = (0) to (32) step (32) shared_outs(%all = %y) -> (tensor<1x32xf32>) {
        %old = tensor.extract_slice %all[0, %n] [1, 32] [1, 1] : tensor<1x32xf32> to tensor<1x32xf32>
        %new = lowbit.contract tensor<1x64xf32> (%x) by tensor<32x64xf32, #w4> (%codes, %scale) from %n into %old
          : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
        scf.forall.in_parallel {
          tensor.parallel_insert_slice %new into %all[0, %n] [1, 32] [1, 1] : tensor<1x32xf32> into tensor<1x32xf32>
        }
      }
      return %r : tensor<1x32xf32>
    }
    ```
  }];
  let options = [
    Option<"groupsAtOnce", "groups", "int64_t", /*default=*/"16",
           "Groups of 16 outputs in an iteration of the parallel loop, at most">,
    Lowbit_FailOnFallback,
  ];
  let dependentDialects = Lowbit_TensorDialects;
}

def OutlineContractions : Pass<"lowbit-outline-contractions", "::mlir::ModuleOp"> {
  let summary = "Compile equal contractions once";
  let description = [{
    Contractions on buffers with an unknown number of rows become a great deal of code, for tiles of many rows and of few. Those of equal types, in one
    function or in several, become calls of one function. Of known rows (a single token's) each stays where it is: a call would take a share of its time.

    ```mlir
    // lowbit-opt --lowbit-outline-contractions
    #a8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
    #w8 = #lowbit.quantized<uint<8>, scale = f32 per axis 0, layout = tiled>
    func.func @both(%x: memref<?x4xi8>, %xs: memref<?x1xf32>, %v: memref<1x1x64xi8>, %vs: memref<1x1x16xf32>, %w: memref<1x1x64xi8>,
                    %ws: memref<1x1x16xf32>, %y: memref<?x16xf32>, %z: memref<?x16xf32>, %first: index) {
      lowbit.contract tensor<?x4xf32, #a8> (%x, %xs) by tensor<16x4xf32, #w8> (%v, %vs) from %first into %y
        : (memref<?x4xi8>, memref<?x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<?x16xf32>) -> ()
      lowbit.contract tensor<?x4xf32, #a8> (%x, %xs) by tensor<16x4xf32, #w8> (%w, %ws) from %first into %z
        : (memref<?x4xi8>, memref<?x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<?x16xf32>) -> ()
      return
    }
    ```
    becomes
    ```mlir
    #a8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
    #w8 = #lowbit.quantized<uint<8>, scale = f32 per axis 0, layout = tiled>
    func.func @both(%x: memref<?x4xi8>, %xs: memref<?x1xf32>, %v: memref<1x1x64xi8>, %vs: memref<1x1x16xf32>, %w: memref<1x1x64xi8>,
                    %ws: memref<1x1x16xf32>, %y: memref<?x16xf32>, %z: memref<?x16xf32>, %first: index) {
      call @lowbit.contract(%x, %xs, %v, %vs, %first, %y)
        : (memref<?x4xi8>, memref<?x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<?x16xf32>) -> ()
      call @lowbit.contract(%x, %xs, %w, %ws, %first, %z)
        : (memref<?x4xi8>, memref<?x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<?x16xf32>) -> ()
      return
    }
    func.func private @lowbit.contract(%x: memref<?x4xi8>, %xs: memref<?x1xf32>, %v: memref<1x1x64xi8>, %vs: memref<1x1x16xf32>, %first: index,
                                       %y: memref<?x16xf32>) attributes {passthrough = ["noinline"]} {
      lowbit.contract tensor<?x4xf32, #a8> (%x, %xs) by tensor<16x4xf32, #w8> (%v, %vs) from %first into %y
        : (memref<?x4xi8>, memref<?x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<?x16xf32>) -> ()
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def EmitContractions : Pass<"lowbit-emit-contractions", "::mlir::func::FuncOp"> {
  let summary = "Turn contractions on components into loops of vector code";
  let description = [{
    `lowbit.contract` on buffers becomes loops over register tiles of `groups` vectors of 16 outputs x some rows of activations.
    Integer codes are multiplied by `lowbit.dot4`, four columns at a time; float activations by decoded levels. What the
    encoding's layout, format and scale build are the loads, the levels and the factors. An `analysis` remark has the largest
    register tile of each contraction: its rows, outputs and vectors of sums, and the columns of a block.

    ```mlir
    // lowbit-opt --lowbit-emit-contractions -canonicalize -cse
    #a8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
    #w8 = #lowbit.quantized<uint<8>, scale = f32 per axis 0, layout = tiled>
    func.func @linear(%x: memref<1x4xi8>, %xs: memref<1x1xf32>, %w: memref<1x1x64xi8>, %ws: memref<1x1x16xf32>, %y: memref<1x16xf32>) {
      %first = arith.constant 0 : index
      lowbit.contract tensor<1x4xf32, #a8> (%x, %xs) by tensor<16x4xf32, #w8> (%w, %ws) from %first into %y
        : (memref<1x4xi8>, memref<1x1xf32>, memref<1x1x64xi8>, memref<1x1x16xf32>, index, memref<1x16xf32>) -> ()
      return
    }
    ```
    becomes
    ```mlir
    func.func @linear(%x: memref<1x4xi8>, %xs: memref<1x1xf32>, %w: memref<1x1x64xi8>, %ws: memref<1x1x16xf32>, %y: memref<1x16xf32>) {
      %none = arith.constant dense<0> : vector<16xi32>
      %zero = arith.constant dense<0.0> : vector<16xf32>
      %c0 = arith.constant 0 : index
      %codes = vector.load %w[%c0, %c0, %c0] : memref<1x1x64xi8>, vector<64xi8>
      %four = vector.load %x[%c0, %c0] : memref<1x4xi8>, vector<4xi8>
      %word = vector.bitcast %four : vector<4xi8> to vector<1xi32>
      %one = vector.extract %word[0] : i32 from vector<1xi32>
      %all = vector.broadcast %one : i32 to vector<16xi32>
      %lanes = vector.bitcast %all : vector<16xi32> to vector<64xi8>
      %dot = lowbit.dot4 %codes, %lanes into %none : vector<64xi8>, vector<16xi32>
      %sum = arith.sitofp %dot : vector<16xi32> to vector<16xf32>
      %total = arith.addf %sum, %zero : vector<16xf32>
      %xscale = memref.load %xs[%c0, %c0] : memref<1x1xf32>
      %scale = vector.load %ws[%c0, %c0, %c0] : memref<1x1x16xf32>, vector<16xf32>
      %xlanes = vector.broadcast %xscale : f32 to vector<16xf32>
      %factor = arith.mulf %scale, %xlanes : vector<16xf32>
      %scaled = arith.mulf %total, %factor : vector<16xf32>
      %old = vector.load %y[%c0, %c0] : memref<1x16xf32>, vector<16xf32>
      %new = arith.addf %old, %scaled : vector<16xf32>
      vector.store %new, %y[%c0, %c0] : memref<1x16xf32>, vector<16xf32>
      return
    }
    ```
  }];
  let options = [
    Option<"groupsAtOnce", "groups", "int64_t", /*default=*/"4", "Vectors of outputs in a register tile, at most">,
    Option<"vectorsAtOnce", "vectors", "int64_t", /*default=*/"24",
           "Vectors of sums, of a block and in all, that a register tile keeps in registers, at most">,
    Option<"prefetchDistance", "prefetch", "int64_t", /*default=*/"0",
           "Bytes ahead of what is read that codes are prefetched; 0: they are not">,
    Option<"prefetchLocality", "prefetch-locality", "unsigned", /*default=*/"2",
           "Which caches they are brought to: 3 all, 2 all but the first, 1 the last">,
    Option<"matrixUnit", "matrix-unit", "std::string", /*default=*/"\"none\"",
           "`amx`: whole tiles of 16 rows of integer activations are multiplied by the matrix unit">,
  ];
  let dependentDialects = ["::lowbit::LowbitDialect", "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::math::MathDialect", "::mlir::amx::AMXDialect"];
}

def LowerLanes : Pass<"lowbit-lower-lanes", "::mlir::func::FuncOp"> {
  let summary = "Choose instructions for dot4 and lookup";
  let description = [{
    What `lowbit.dot4` and `lowbit.lookup` become, by what the target has: `vnni512` and `vnni256` (`vpdpbusd`), `avx512`, `avx2` and
    `ssse3` (`vpmaddwd`); of arm64 `usdot`, `sdot` (of bytes with signs: what may be 128 or more goes less 128, and the sum of the other
    side 128 times is added) and `neon` (look-ups); `generic` (shifts and multiplications of 32-bit lanes, which any target has). An
    `analysis` remark says so once for each contraction of codes. Which kinds a processor has is in `lib/Target/LaneKinds.cpp`.

    ```mlir
    // lowbit-opt --lowbit-lower-lanes=kind=vnni512
    func.func @dot(%sum: vector<16xi32>, %w: vector<64xi8>, %x: vector<64xi8>) -> vector<16xi32> {
      %r = lowbit.dot4 %w, %x into %sum : vector<64xi8>, vector<16xi32>
      return %r : vector<16xi32>
    }
    ```
    becomes
    ```mlir
    func.func @dot(%sum: vector<16xi32>, %w: vector<64xi8>, %x: vector<64xi8>) -> vector<16xi32> {
      %r = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%sum, %w, %x)
        : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
      return %r : vector<16xi32>
    }
    ```
  }];
  let options = [
    Option<"kind", "kind", "std::string", /*default=*/"\"generic\"", "vnni512, avx512, vnni256, avx2, ssse3, usdot, sdot, neon or generic">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::vector::VectorDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_INNERTILES
