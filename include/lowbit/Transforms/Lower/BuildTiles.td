//===- BuildTiles.td - Decodes and encodes of tiles to linalg -*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_LOWER_BUILDTILES
#define LOWBIT_TRANSFORMS_LOWER_BUILDTILES

include "lowbit/Transforms/Lower/PassBase.td"

def BuildTiles : Pass<"lowbit-build-tiles", "::mlir::func::FuncOp"> {
  let summary = "Replace region ops by the IR that their encodings build";
  let description = [{
    `decode_region` and `encode_region` become linalg on components, through `buildDecodeTile` and `buildEncodeTile`.

    ```mlir
    // lowbit-opt --lowbit-build-tiles
    #w8 = #lowbit.quantized<int<8>, scale = f32 per tensor>
    func.func @values(%codes: tensor<8x64xi8>, %scale: tensor<1x1xf32>) -> tensor<8x64xf32> {
      %v = lowbit.decode_region tensor<8x64xf32, #w8> (%codes, %scale) [0, 0] [8, 64]
        : tensor<8x64xi8>, tensor<1x1xf32> -> tensor<8x64xf32>
      return %v : tensor<8x64xf32>
    }
    ```
    becomes
    ```mlir
    #ij = affine_map<(i, j) -> (i, j)>
    #none = affine_map<(i, j) -> ()>
    func.func @values(%codes: tensor<8x64xi8>, %scale: tensor<1x1xf32>) -> tensor<8x64xf32> {
      %factor = tensor.extract_slice %scale[0, 0] [1, 1] [1, 1] : tensor<1x1xf32> to tensor<f32>
      %empty = tensor.empty() : tensor<8x64xf32>
      %v = linalg.generic {indexing_maps = [#ij, #none, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%codes, %factor : tensor<8x64xi8>, tensor<f32>) outs(%empty : tensor<8x64xf32>) {
        ^bb0(%code: i8, %s: f32, %out: f32):
          %q = arith.sitofp %code : i8 to f32
          %x = arith.mulf %s, %q : f32
          linalg.yield %x : f32
      } -> tensor<8x64xf32>
      return %v : tensor<8x64xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def ResolveDraws : Pass<"lowbit-resolve-draws", "::mlir::func::FuncOp"> {
  let summary = "Random numbers begin where the function's arguments say";
  let description = [{
    `lowbit.draw_origin` becomes the arguments that are marked `lowbit.draw_number`, `lowbit.draw_row` and `lowbit.draw_column`, zero where there
    is none.

    ```mlir
    // lowbit-opt --lowbit-resolve-draws
    func.func @origin(%step: i64 {lowbit.draw_number}) -> (i64, i64) {
      %number, %row, %column = lowbit.draw_origin
      return %number, %column : i64, i64
    }
    ```
    becomes
    ```mlir
    func.func @origin(%step: i64 {lowbit.draw_number}) -> (i64, i64) {
      %zero = arith.constant 0 : i64
      return %step, %zero : i64, i64
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FuseDecodes : Pass<"lowbit-fuse-decodes", "::mlir::func::FuncOp"> {
  let summary = "Fuse decodes into the elementwise ops that read them";
  let description = [{
    An elementwise op that is the only reader of what another one computes, such as a decode, computes it itself, so that no buffer lies
    between them: decoding a state costs nothing beside the divisions of an optimizer step. Each element is computed once as before: what is
    broadcast is not fused. The reader's loops get the shape of the decode's blocks (upstream's expansion of reshapes). An old value
    that is read where the new one is written becomes an input, since upstream fuses these alone.

    ```mlir
    // lowbit-opt --lowbit-fuse-decodes -canonicalize
    #ij = affine_map<(i, j) -> (i, j)>
    #i = affine_map<(i, j) -> (i)>
    #id = affine_map<(i) -> (i)>
    func.func @update(%codes: tensor<2x64xi8>, %scales: tensor<2xf32>, %g: tensor<128xf32>) -> tensor<128xf32> {
      %empty = tensor.empty() : tensor<2x64xf32>
      %blocks = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%codes, %scales : tensor<2x64xi8>, tensor<2xf32>) outs(%empty : tensor<2x64xf32>) {
        ^bb0(%code: i8, %s: f32, %out: f32):
          %q = arith.sitofp %code : i8 to f32
          %x = arith.mulf %s, %q : f32
          linalg.yield %x : f32
      } -> tensor<2x64xf32>
      %state = tensor.collapse_shape %blocks [[0, 1]] : tensor<2x64xf32> into tensor<128xf32>
      %new = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%g : tensor<128xf32>) outs(%state : tensor<128xf32>) {
        ^bb0(%in: f32, %old: f32):
          %sum = arith.addf %old, %in : f32
          linalg.yield %sum : f32
      } -> tensor<128xf32>
      return %new : tensor<128xf32>
    }
    ```
    becomes
    ```mlir
    #ij = affine_map<(i, j) -> (i, j)>
    #i = affine_map<(i, j) -> (i)>
    func.func @update(%codes: tensor<2x64xi8>, %scales: tensor<2xf32>, %g: tensor<128xf32>) -> tensor<128xf32> {
      %gradient = tensor.expand_shape %g [[0, 1]] output_shape [2, 64] : tensor<128xf32> into tensor<2x64xf32>
      %empty = tensor.empty() : tensor<2x64xf32>
      %blocks = linalg.generic {indexing_maps = [#ij, #ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%gradient, %codes, %scales : tensor<2x64xf32>, tensor<2x64xi8>, tensor<2xf32>) outs(%empty : tensor<2x64xf32>) {
        ^bb0(%in: f32, %code: i8, %s: f32, %out: f32):
          %q = arith.sitofp %code : i8 to f32
          %x = arith.mulf %s, %q : f32
          %sum = arith.addf %x, %in : f32
          linalg.yield %sum : f32
      } -> tensor<2x64xf32>
      %new = tensor.collapse_shape %blocks [[0, 1]] : tensor<2x64xf32> into tensor<128xf32>
      return %new : tensor<128xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def OverlapUpdates : Pass<"lowbit-overlap-updates", "::mlir::func::FuncOp"> {
  let summary = "Compute what nothing waits for beside the codes of an update";
  let description = [{
    Codes of a state need the scale of its block, which needs all of the block's numbers: an update and its encodes are loops of their own. The
    first has divisions and roots, which keep their unit of a processor busy and all others idle; the loops of codes have none. Results of an update
    that no other op waits for, such as the parameter, leave it for an op of their own, which reads the others instead of computing them again;
    it is joined with the elementwise ops that read results of the update, on as many elements, and that do not need one another. What
    these ops need is moved before the first of them. A root that is needed before a division stays in the first loop: one unit computes both, and each
    loop keeps it busy for as long.

    ```mlir
    // lowbit-opt --lowbit-overlap-updates -canonicalize
    #e = affine_map<(i, j) -> (i, j)>
    #b = affine_map<(i, j) -> (i)>
    func.func @update(%g: tensor<2x64xf32>, %p: tensor<2x64xf32>, %scales: tensor<2xf32>) -> (tensor<2x64xf32>, tensor<2x64xi8>) {
      %zero = arith.constant 0.0 : f32
      %empty = tensor.empty() : tensor<2x64xf32>
      %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<2x64xf32>) outs(%p, %empty : tensor<2x64xf32>, tensor<2x64xf32>) {
        ^bb0(%x: f32, %old: f32, %out: f32):
          %v = arith.mulf %x, %x : f32
          %root = math.sqrt %v : f32
          %step = arith.subf %old, %root : f32
          linalg.yield %step, %v : f32, f32
      } -> (tensor<2x64xf32>, tensor<2x64xf32>)
      %codes = tensor.empty() : tensor<2x64xi8>
      %code = linalg.generic {indexing_maps = [#e, #b, #e], iterator_types = ["parallel", "parallel"]}
          ins(%new#1, %scales : tensor<2x64xf32>, tensor<2xf32>) outs(%codes : tensor<2x64xi8>) {
        ^bb0(%v: f32, %s: f32, %out: i8):
          %q = arith.divf %v, %s : f32
          %c = arith.fptosi %q : f32 to i8
          linalg.yield %c : i8
      } -> tensor<2x64xi8>
      return %new#0, %code : tensor<2x64xf32>, tensor<2x64xi8>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(i, j) -> (i, j)>
    #b = affine_map<(i, j) -> (i)>
    func.func @update(%g: tensor<2x64xf32>, %p: tensor<2x64xf32>, %scales: tensor<2xf32>) -> (tensor<2x64xf32>, tensor<2x64xi8>) {
      %empty = tensor.empty() : tensor<2x64xf32>
      %new = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%g : tensor<2x64xf32>) outs(%empty : tensor<2x64xf32>) {
        ^bb0(%x: f32, %out: f32):
          %v = arith.mulf %x, %x : f32
          linalg.yield %v : f32
      } -> tensor<2x64xf32>
      %codes = tensor.empty() : tensor<2x64xi8>
      %rest:2 = linalg.generic {indexing_maps = [#e, #b, #e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%new, %scales : tensor<2x64xf32>, tensor<2xf32>) outs(%p, %codes : tensor<2x64xf32>, tensor<2x64xi8>) {
        ^bb0(%v: f32, %s: f32, %old: f32, %out: i8):
          %root = math.sqrt %v : f32
          %step = arith.subf %old, %root : f32
          %q = arith.divf %v, %s : f32
          %c = arith.fptosi %q : f32 to i8
          linalg.yield %step, %c : f32, i8
      } -> (tensor<2x64xf32>, tensor<2x64xi8>)
      return %rest#0, %rest#1 : tensor<2x64xf32>, tensor<2x64xi8>
    }
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def FuseReductions : Pass<"lowbit-fuse-reductions", "::mlir::func::FuncOp"> {
  let summary = "Reduce what an op computes while it is at hand";
  let description = [{
    A reduction along the last dimension of what an elementwise op computes, on as many elements, becomes one more result of that op, so that
    the greatest magnitude of a block costs no loop of its own. Only what is the same in any order is fused: the greatest and the least of integers.

    ```mlir
    // lowbit-opt --lowbit-fuse-reductions
    #e = affine_map<(i, j) -> (i, j)>
    #b = affine_map<(i, j) -> (i)>
    func.func @greatest(%x: tensor<2x64xi32>, %none: tensor<2xi32>) -> (tensor<2x64xi32>, tensor<2xi32>) {
      %empty = tensor.empty() : tensor<2x64xi32>
      %twice = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
          ins(%x : tensor<2x64xi32>) outs(%empty : tensor<2x64xi32>) {
        ^bb0(%in: i32, %out: i32):
          %y = arith.addi %in, %in : i32
          linalg.yield %y : i32
      } -> tensor<2x64xi32>
      %most = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
          ins(%twice : tensor<2x64xi32>) outs(%none : tensor<2xi32>) {
        ^bb0(%in: i32, %out: i32):
          %m = arith.maxui %in, %out : i32
          linalg.yield %m : i32
      } -> tensor<2xi32>
      return %twice, %most : tensor<2x64xi32>, tensor<2xi32>
    }
    ```
    becomes
    ```mlir
    #e = affine_map<(i, j) -> (i, j)>
    #b = affine_map<(i, j) -> (i)>
    func.func @greatest(%x: tensor<2x64xi32>, %none: tensor<2xi32>) -> (tensor<2x64xi32>, tensor<2xi32>) {
      %empty = tensor.empty() : tensor<2x64xi32>
      %both:2 = linalg.generic {indexing_maps = [#e, #e, #b], iterator_types = ["parallel", "reduction"]}
          ins(%x : tensor<2x64xi32>) outs(%empty, %none : tensor<2x64xi32>, tensor<2xi32>) {
        ^bb0(%in: i32, %out: i32, %out2: i32):
          %y = arith.addi %in, %in : i32
          %m = arith.maxui %y, %out2 : i32
          linalg.yield %y, %m : i32, i32
      } -> (tensor<2x64xi32>, tensor<2xi32>)
      return %both#0, %both#1 : tensor<2x64xi32>, tensor<2xi32>
    }
    ```
  }];
}

#endif // LOWBIT_TRANSFORMS_LOWER_BUILDTILES
