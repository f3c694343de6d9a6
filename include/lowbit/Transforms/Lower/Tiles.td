//===- Tiles.td - Program to components, components to tiles *- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_LOWER_TILES
#define LOWBIT_TRANSFORMS_LOWER_TILES

include "lowbit/Transforms/Lower/PassBase.td"

def RowLookups : Pass<"lowbit-row-lookups", "::mlir::func::FuncOp"> {
  let summary = "Read whole rows where a table is looked up";
  let description = [{
    Front ends write an embedding as a `linalg.generic` that takes each element out of the table. As a loop over rows that are
    slices, it copies vectors, and of an encoded table only these rows are decoded. What the body checks (`cf.assert`) it
    checks once for each row.

    ```mlir
    // lowbit-opt --lowbit-row-lookups
    func.func @embed(%ids: tensor<?xi64>, %table: tensor<100x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %x = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
                           iterator_types = ["parallel", "parallel"]}
          ins(%ids : tensor<?xi64>) outs(%init : tensor<?x8xf32>) {
        ^bb0(%id: i64, %out: f32):
          %row = arith.index_cast %id : i64 to index
          %column = linalg.index 1 : index
          %element = tensor.extract %table[%row, %column] : tensor<100x8xf32>
          linalg.yield %element : f32
      } -> tensor<?x8xf32>
      return %x : tensor<?x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @embed(%ids: tensor<?xi64>, %table: tensor<100x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %zero = arith.constant 0 : index
      %n = tensor.dim %init, %zero : tensor<?x8xf32>
      %x = scf.for %i = %c0 to %n step %c1 iter_args(%filled = %init) -> (tensor<?x8xf32>) {
        %id = tensor.extract %ids[%i] : tensor<?xi64>
        %row = arith.index_cast %id : i64 to index
        %values = tensor.extract_slice %table[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<8xf32>
        %next = tensor.insert_slice %values into %filled[%i, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<?x8xf32>
        scf.yield %next : tensor<?x8xf32>
      }
      return %x : tensor<?x8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def FuseElementwise : Pass<"lowbit-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Fuse elementwise ops into their only consumer";
  let description = [{
    Upstream's elementwise fusion without its reshape patterns, which would give a contraction the shape of what reads
    it, and its decode with it. Nothing is fused into a contraction, but it reads through a `linalg.transpose` of an input: the
    transposed weights of other front ends are never made.

    ```mlir
    // lowbit-opt --lowbit-fuse-elementwise
    #id = affine_map<(i) -> (i)>
    func.func @exp_of_negated(%x: tensor<64xf32>, %init: tensor<64xf32>) -> tensor<64xf32> {
      %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%x : tensor<64xf32>) outs(%init : tensor<64xf32>) {
        ^bb0(%in: f32, %out: f32):
          %n = arith.negf %in : f32
          linalg.yield %n : f32
      } -> tensor<64xf32>
      %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%a : tensor<64xf32>) outs(%init : tensor<64xf32>) {
        ^bb0(%in: f32, %out: f32):
          %e = math.exp %in : f32
          linalg.yield %e : f32
      } -> tensor<64xf32>
      return %b : tensor<64xf32>
    }
    ```
    becomes
    ```mlir
    #id = affine_map<(i) -> (i)>
    func.func @exp_of_negated(%x: tensor<64xf32>, %init: tensor<64xf32>) -> tensor<64xf32> {
      %empty = tensor.empty() : tensor<64xf32>
      %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%x : tensor<64xf32>) outs(%empty : tensor<64xf32>) {
        ^bb0(%in: f32, %out: f32):
          %n = arith.negf %in : f32
          %e = math.exp %n : f32
          linalg.yield %e : f32
      } -> tensor<64xf32>
      return %b : tensor<64xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect"];
}

def FuseAttention : Pass<"lowbit-fuse-attention", "::mlir::func::FuncOp"> {
  let summary = "Fuse a softmax and its products into one pass over the positions";
  let description = [{
    Scores, their maximum, the exponentials, their sum, and the product of these with the values become a parallel loop over
    tiles of rows with a sequential loop over blocks of positions inside: the online softmax (Milakov and Gimelshein 2018, Algorithm 3) with
    the product carried along (FlashAttention, Dao et al. 2022, Algorithm 1). The scores are never in memory as a whole, keys
    and values are read, and decoded, a block at a time. What computes the scores (a contraction, scales, masks) is fused; where later positions are masked by
    comparing with a position of the row, blocks that no row of the tile sees are not computed. The division by the sum may come
    before or after the product. Where there are only a few tiles, as for a single token, the positions are shared out
    in `parts` parts, which are joined like blocks. The order of sums follows from `columns` and `parts`, not from the number of threads.

    A softmax of another form stays as it is, with a remark that says why.

    ```mlir
    // lowbit-opt --lowbit-fuse-attention
    #md = affine_map<(m, t, d) -> (m, d)>
    #td = affine_map<(m, t, d) -> (t, d)>
    #mt = affine_map<(m, t, d) -> (m, t)>
    #all = affine_map<(m, t) -> (m, t)>
    #row = affine_map<(m, t) -> (m)>
    func.func @attention(%q: tensor<4x64xf32>, %k: tensor<256x64xf32>, %v: tensor<256x64xf32>) -> tensor<4x64xf32> {
      %zero = arith.constant 0.0 : f32
      %minus = arith.constant 0xFF800000 : f32
      %e = tensor.empty() : tensor<4x256xf32>
      %s0 = linalg.fill ins(%zero : f32) outs(%e : tensor<4x256xf32>) -> tensor<4x256xf32>
      %scores = linalg.generic {indexing_maps = [#md, #td, #mt], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%q, %k : tensor<4x64xf32>, tensor<256x64xf32>) outs(%s0 : tensor<4x256xf32>) {
        ^bb0(%a: f32, %b: f32, %out: f32):
          %p = arith.mulf %a, %b : f32
          %x = arith.addf %out, %p : f32
          linalg.yield %x : f32
      } -> tensor<4x256xf32>
      %r = tensor.empty() : tensor<4xf32>
      %h0 = linalg.fill ins(%minus : f32) outs(%r : tensor<4xf32>) -> tensor<4xf32>
      %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
          ins(%scores : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
        ^bb0(%in: f32, %out: f32):
          %x = arith.maximumf %out, %in : f32
          linalg.yield %x : f32
      } -> tensor<4xf32>
      %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
          ins(%scores, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
        ^bb0(%in: f32, %h: f32, %out: f32):
          %below = arith.subf %in, %h : f32
          %x = math.exp %below : f32
          linalg.yield %x : f32
      } -> tensor<4x256xf32>
      %t0 = linalg.fill ins(%zero : f32) outs(%r : tensor<4xf32>) -> tensor<4xf32>
      %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
          ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
        ^bb0(%in: f32, %out: f32):
          %x = arith.addf %out, %in : f32
          linalg.yield %x : f32
      } -> tensor<4xf32>
      %o = tensor.empty() : tensor<4x64xf32>
      %m0 = linalg.fill ins(%zero : f32) outs(%o : tensor<4x64xf32>) -> tensor<4x64xf32>
      %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%m0 : tensor<4x64xf32>) -> tensor<4x64xf32>
      %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
          ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%o : tensor<4x64xf32>) {
        ^bb0(%in: f32, %t: f32, %out: f32):
          %x = arith.divf %in, %t : f32
          linalg.yield %x : f32
      } -> tensor<4x64xf32>
      return %y : tensor<4x64xf32>
    }
    ```
  }];
  let options = [
    Option<"rows", "rows", "int64_t", /*default=*/"32", "Rows in a tile, at most">,
    Option<"columns", "columns", "int64_t", /*default=*/"128", "Positions in a block">,
    Option<"parts", "parts", "int64_t", /*default=*/"4", "Where there are fewer than 64 tiles, the positions are shared out in so many parts">,
  ];
  let dependentDialects = Lowbit_TensorDialects;
}

def Components : Pass<"lowbit-components", "::mlir::ModuleOp"> {
  let summary = "Replace encoded values by their stored components";
  let description = [{
    1:N, across functions, calls, loops and branches. `decode` and `encode` become `decode_region` and `encode_region` of
    the whole tensor, an encode with a statistics phase gets it first; `parameter` becomes the buffers of its components.

    ```mlir
    // lowbit-opt --lowbit-components
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @values(%w: tensor<8x64xf32, #w4>) -> tensor<8x64xf32> {
      %v = lowbit.decode %w : tensor<8x64xf32, #w4>
      return %v : tensor<8x64xf32>
    }
    ```
    becomes
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @values(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x64xf32> {
      %v = lowbit.decode_region tensor<8x64xf32, #w4> (%codes, %scale) [0, 0] [8, 64]
        : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x64xf32>
      return %v : tensor<8x64xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def Distribute : Pass<"lowbit-distribute", "::mlir::func::FuncOp"> {
  let summary = "Distribute contractions over sums and parts";
  let description = [{
    A contraction with a decoded `sum` becomes a sum of contractions, one with a `part` a split of its rows, columns or
    reduction, through the encoding's `getPieces`; a sparse term contracts on its entries (`buildContraction`), which a `passed` remark
    says.

    ```mlir
    // lowbit-opt --lowbit-distribute -cse
    #mk = affine_map<(m, n, k) -> (m, k)>
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    #rows = #lowbit.part<axis = 0, at = [64], #w8, #w4>
    func.func @linear(%c0: tensor<64x64xi8>, %s0: tensor<64x1xf32>, %c1: tensor<192x32xi8>, %s1: tensor<192x2xf16>,
                      %x: tensor<1x64xf32>, %y: tensor<1x256xf32>) -> tensor<1x256xf32> {
      %d = lowbit.decode_region tensor<256x64xf32, #rows> (%c0, %s0, %c1, %s1) [0, 0] [256, 64]
        : tensor<64x64xi8>, tensor<64x1xf32>, tensor<192x32xi8>, tensor<192x2xf16> -> tensor<256x64xf32>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<256x64xf32>)
                         outs(%y : tensor<1x256xf32>) -> tensor<1x256xf32>
      return %r : tensor<1x256xf32>
    }
    ```
    becomes
    ```mlir
    #mk = affine_map<(m, n, k) -> (m, k)>
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%c0: tensor<64x64xi8>, %s0: tensor<64x1xf32>, %c1: tensor<192x32xi8>, %s1: tensor<192x2xf16>,
                      %x: tensor<1x64xf32>, %y: tensor<1x256xf32>) -> tensor<1x256xf32> {
      %d0 = lowbit.decode_region tensor<64x64xf32, #w8> (%c0, %s0) [0, 0] [64, 64]
        : tensor<64x64xi8>, tensor<64x1xf32> -> tensor<64x64xf32>
      %y0 = tensor.extract_slice %y[0, 0] [1, 64] [1, 1] : tensor<1x256xf32> to tensor<1x64xf32>
      %r0 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d0 : tensor<1x64xf32>, tensor<64x64xf32>)
                          outs(%y0 : tensor<1x64xf32>) -> tensor<1x64xf32>
      %a = tensor.insert_slice %r0 into %y[0, 0] [1, 64] [1, 1] : tensor<1x64xf32> into tensor<1x256xf32>
      %d1 = lowbit.decode_region tensor<192x64xf32, #w4> (%c1, %s1) [0, 0] [192, 64]
        : tensor<192x32xi8>, tensor<192x2xf16> -> tensor<192x64xf32>
      %y1 = tensor.extract_slice %a[0, 64] [1, 192] [1, 1] : tensor<1x256xf32> to tensor<1x192xf32>
      %r1 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d1 : tensor<1x64xf32>, tensor<192x64xf32>)
                          outs(%y1 : tensor<1x192xf32>) -> tensor<1x192xf32>
      %b = tensor.insert_slice %r1 into %a[0, 64] [1, 192] [1, 1] : tensor<1x192xf32> into tensor<1x256xf32>
      return %b : tensor<1x256xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def Tile : Pass<"lowbit-tile", "::mlir::func::FuncOp"> {
  let summary = "Tile to parallel loops and fuse decodes into them";
  let description = [{
    Contractions: a parallel loop over tiles of the result with the decode of the tile's weights inside. Encodes: a
    parallel loop over the encode's granularity, with the op that produces the values. Other ops: a parallel loop over an
    outer dimension where that pays; tiles of what decodes or encodes are small, since several passes go over each. Tile sizes are first made legal for every encoding involved; a large tensor
    that must be decoded as a whole gets a remark, or with `fail-on-fallback` an error.

    ```mlir
    // lowbit-opt --lowbit-tile=rows=16 -canonicalize
    #mk = affine_map<(m, n, k) -> (m, k)>
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%codes: tensor<256x32xi8>, %scale: tensor<256x2xf16>,
                      %x: tensor<1x64xf32>, %y: tensor<1x256xf32>) -> tensor<1x256xf32> {
      %d = lowbit.decode_region tensor<256x64xf32, #w4> (%codes, %scale) [0, 0] [256, 64]
        : tensor<256x32xi8>, tensor<256x2xf16> -> tensor<256x64xf32>
      %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<256x64xf32>)
                         outs(%y : tensor<1x256xf32>) -> tensor<1x256xf32>
      return %r : tensor<1x256xf32>
    }
    ```
    becomes
    ```mlir
    #mk = affine_map<(m, n, k) -> (m, k)>
    #nk = affine_map<(m, n, k) -> (n, k)>
    #mn = affine_map<(m, n, k) -> (m, n)>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%codes: tensor<256x32xi8>, %scale: tensor<256x2xf16>,
                      %x: tensor<1x64xf32>, %y: tensor<1x256xf32>) -> tensor<1x256xf32> {
      %r = scf.forall (%row) = (0) to (256) step (16) shared_outs(%all = %y) -> (tensor<1x256xf32>) {
        %d = lowbit.decode_region tensor<256x64xf32, #w4> (%codes, %scale) [%row, 0] [16, 64]
          : tensor<256x32xi8>, tensor<256x2xf16> -> tensor<16x64xf32>
        %old = tensor.extract_slice %all[0, %row] [1, 16] [1, 1] : tensor<1x256xf32> to tensor<1x16xf32>
        %new = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<16x64xf32>)
                             outs(%old : tensor<1x16xf32>) -> tensor<1x16xf32>
        scf.forall.in_parallel {
          tensor.parallel_insert_slice %new into %all[0, %row] [1, 16] [1, 1] : tensor<1x16xf32> into tensor<1x256xf32>
        }
      }
      return %r : tensor<1x256xf32>
    }
    ```
  }];
  let options = [
    Option<"rows", "rows", "int64_t", /*default=*/"16", "Rows of decoded weights in a tile of a contraction">,
    Option<"tileElements", "tile-elements", "int64_t", /*default=*/"32768",
           "Decoded weights in a tile, at most: it is to stay in a cache next to the core">,
    Option<"parallelElements", "parallel-elements", "int64_t", /*default=*/"16384",
           "An op that is no contraction runs in parallel from this many elements on">,
    Option<"updateElements", "update-elements", "int64_t", /*default=*/"256",
           "Elements in a tile of an op that decodes or encodes and is no contraction, as far as blocks allow: "
           "what lies between its passes is to stay in the cache next to the core, and memory to be busy all the time">,
    Lowbit_FailOnFallback
  ];
  let dependentDialects = Lowbit_TensorDialects;
}

def PeelTiles : Pass<"lowbit-peel-tiles", "::mlir::func::FuncOp"> {
  let summary = "Split parallel loops of unknown length into whole tiles and a last, ragged one";
  let description = [{
    A loop in steps of several iterations over a range that is known at run time only has tiles of `min(step, rest)`: no size in it is
    known, and its code is that of the worst case. Whole tiles get a loop of their own; the last tile keeps its bound. (Ranges
    that are known have equal tiles.)

    ```mlir
    // lowbit-opt --lowbit-peel-tiles -canonicalize
    func.func @double(%x: tensor<1x?xf32>, %n: index) -> tensor<1x?xf32> {
      %r = scf.forall (%i) = (0) to (%n) step (256) shared_outs(%all = %x) -> (tensor<1x?xf32>) {
        %size = affine.min affine_map<(i)[n] -> (n - i, 256)>(%i)[%n]
        %old = tensor.extract_slice %all[0, %i] [1, %size] [1, 1] : tensor<1x?xf32> to tensor<1x?xf32>
        %new = linalg.add ins(%old, %old : tensor<1x?xf32>, tensor<1x?xf32>) outs(%old : tensor<1x?xf32>) -> tensor<1x?xf32>
        scf.forall.in_parallel {
          tensor.parallel_insert_slice %new into %all[0, %i] [1, %size] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
        }
      }
      return %r : tensor<1x?xf32>
    }
    ```
    becomes
    ```mlir
    func.func @double(%x: tensor<1x?xf32>, %n: index) -> tensor<1x?xf32> {
      %whole = affine.apply affine_map<()[n] -> ((n floordiv 256) * 256)>()[%n]
      %r = scf.forall (%i) = (0) to (%whole) step (256) shared_outs(%all = %x) -> (tensor<1x?xf32>) {
        %old = tensor.extract_slice %all[0, %i] [1, 256] [1, 1] : tensor<1x?xf32> to tensor<1x256xf32>
        %new = linalg.add ins(%old, %old : tensor<1x256xf32>, tensor<1x256xf32>) outs(%old : tensor<1x256xf32>) -> tensor<1x256xf32>
        scf.forall.in_parallel {
          tensor.parallel_insert_slice %new into %all[0, %i] [1, 256] [1, 1] : tensor<1x256xf32> into tensor<1x?xf32>
        }
      }
      %last = scf.forall (%i) = (%whole) to (%n) step (256) shared_outs(%all = %r) -> (tensor<1x?xf32>) {
        %size = affine.min affine_map<(i)[n] -> (n - i, 256)>(%i)[%n]
        %old = tensor.extract_slice %all[0, %i] [1, %size] [1, 1] : tensor<1x?xf32> to tensor<1x?xf32>
        %new = linalg.add ins(%old, %old : tensor<1x?xf32>, tensor<1x?xf32>) outs(%old : tensor<1x?xf32>) -> tensor<1x?xf32>
        scf.forall.in_parallel {
          tensor.parallel_insert_slice %new into %all[0, %i] [1, %size] [1, 1] : tensor<1x?xf32> into tensor<1x?xf32>
        }
      }
      return %last : tensor<1x?xf32>
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

#endif // LOWBIT_TRANSFORMS_LOWER_TILES
