// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(lowbit-materialize,lowbit-components,canonicalize,cse,func.func(lowbit-tile{parallel-elements=4096}),resolve-ranked-shaped-type-result-dims,canonicalize,cse)' | FileCheck %s
// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(lowbit-materialize,lowbit-components,canonicalize,cse,func.func(lowbit-tile{rows=32 tile-elements=65536 update-elements=1024}),resolve-ranked-shaped-type-result-dims,canonicalize,cse)' | FileCheck %s --check-prefix=OPTIONS

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// Rows of the weight in parallel; the tile's decode and the fill of its result go into the loop.

// CHECK-LABEL: func @matmul(
// CHECK-SAME: %[[X:.*]]: tensor<1x64xf32>, %[[C:.*]]: tensor<128x32xi8>, %[[S:.*]]: tensor<128x2xf16>
// CHECK-NOT: linalg.fill
// CHECK: scf.forall (%[[I:.*]]) = (0) to (128) step (16) shared_outs(%[[O:.*]] = %{{.*}}) -> (tensor<1x128xf32>) {
// CHECK-DAG: %[[D:.*]] = lowbit.decode_region {{.*}}(%[[C]], %[[S]]) [%[[I]], 0] [16, 64]
// CHECK-DAG: %[[T:.*]] = tensor.extract_slice %[[O]][0, %[[I]]] [1, 16]
// CHECK: %[[Z:.*]] = linalg.fill {{.*}} outs(%[[T]] :
// CHECK: %[[P:.*]] = linalg.matmul {{.*}} ins(%[[X]], %[[D]] : {{.*}}) outs(%[[Z]] :
// CHECK: tensor.parallel_insert_slice %[[P]] into %[[O]][0, %[[I]]] [1, 16]
// CHECK-NOT: lowbit.decode_region
// OPTIONS-LABEL: func @matmul(
// OPTIONS: scf.forall (%{{.*}}) = (0) to (128) step (32)
func.func @matmul(%x: tensor<1x64xf32>, %w: tensor<128x64xf32, #w>) -> tensor<1x128xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x128xf32>
  %y = linalg.fill ins(%z : f32) outs(%e : tensor<1x128xf32>) -> tensor<1x128xf32>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %w : tensor<1x64xf32>, tensor<128x64xf32, #w>) outs(%y : tensor<1x128xf32>) -> tensor<1x128xf32>
  return %0 : tensor<1x128xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// Rows left over at the end are an op of their own: every tile has a static size.

// CHECK-LABEL: func @ragged(
// CHECK: scf.forall (%[[I:.*]]) = (0) to (32) step (16)
// CHECK:   lowbit.decode_region {{.*}} [%[[I]], 0] [16, 64]
// CHECK: }
// CHECK: lowbit.decode_region {{.*}} [32, 0] [5, 64] : {{.*}} -> tensor<5x64xf32>
// CHECK: linalg.matmul {{.*}}tensor<5x64xf32>
func.func @ragged(%x: tensor<1x64xf32>, %w: tensor<37x64xf32, #w>, %y: tensor<1x37xf32>) -> tensor<1x37xf32> {
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %w : tensor<1x64xf32>, tensor<37x64xf32, #w>) outs(%y : tensor<1x37xf32>) -> tensor<1x37xf32>
  return %0 : tensor<1x37xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// A tile that would leave the cache is decoded piece by piece along the reduction. The loop carries the sum: nothing
// starts it again.

// CHECK-LABEL: func @long(
// CHECK-SAME: %[[X:.*]]: tensor<1x4096xf32>
// CHECK: scf.forall (%[[I:.*]]) = (0) to (32) step (16)
// CHECK: %[[Z:.*]] = linalg.fill
// CHECK: scf.for %[[K:.*]] = %c0 to %c4096 step %c2048 iter_args(%[[SUM:.*]] = %[[Z]])
// CHECK-NOT: linalg.fill
// CHECK-DAG: %[[XK:.*]] = tensor.extract_slice %[[X]][0, %[[K]]] [1, 2048]
// CHECK-DAG: %[[D:.*]] = lowbit.decode_region {{.*}} [%[[I]], %[[K]]] [16, 2048]
// CHECK: linalg.matmul {{.*}} ins(%[[XK]], %[[D]] : {{.*}}) outs(%[[SUM]] :
// OPTIONS-LABEL: func @long(
// OPTIONS: scf.for %{{.*}} = %c0 to %c4096 step %c2048
func.func @long(%x: tensor<1x4096xf32>, %w: tensor<32x4096xf32, #w>) -> tensor<1x32xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x32xf32>
  %y = linalg.fill ins(%z : f32) outs(%e : tensor<1x32xf32>) -> tensor<1x32xf32>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %w : tensor<1x4096xf32>, tensor<32x4096xf32, #w>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %0 : tensor<1x32xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [24, 32]>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// Tile sizes are made legal first: no tile cuts a block of 24 rows.

// CHECK-LABEL: func @blocks(
// CHECK: scf.forall (%[[I:.*]]) = (0) to (96) step (24)
// CHECK: lowbit.decode_region {{.*}} [%[[I]], 0] [24, 64]
func.func @blocks(%x: tensor<1x64xf32>, %w: tensor<96x64xf32, #w>, %y: tensor<1x96xf32>) -> tensor<1x96xf32> {
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %w : tensor<1x64xf32>, tensor<96x64xf32, #w>) outs(%y : tensor<1x96xf32>) -> tensor<1x96xf32>
  return %0 : tensor<1x96xf32>
}

// -----

#m = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#v = #lowbit.quantized<uint<8>, scale = f32 rank1<min>>
#id = affine_map<(i, j) -> (i, j)>

// An update of two states. Statistics come first, in a loop that computes the update row by row and starts its maxima
// only once; then one parallel loop decodes, updates and encodes both states, which it reads where it writes them; the
// old statistics are overwritten at the end.

// CHECK-LABEL: func @update(
// CHECK-SAME: %[[G:.*]]: tensor<128x64xf32>, %[[MC:.*]]: tensor<128x64xi8>, %[[MS:.*]]: tensor<128x2xf32>, %[[VC:.*]]: tensor<128x64xi8>, %[[VR:.*]]: tensor<128xf32>, %[[VK:.*]]: tensor<64xf32>)
// CHECK-DAG: %[[R0:.*]] = linalg.fill {{.*}} -> tensor<128xf32>
// CHECK-DAG: %[[K0:.*]] = linalg.fill {{.*}} -> tensor<64xf32>
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[R0]], %{{.*}} = %[[K0]])
// CHECK-NOT: linalg.fill
// CHECK: scf.yield
// CHECK: %[[L:.*]]:3 = scf.forall (%[[I:.*]]) = (0) to (128) step (2) shared_outs(%[[A:.*]] = %[[MC]], %[[B:.*]] = %[[MS]], %[[C:.*]] = %[[VC]])
// CHECK: lowbit.decode_region {{.*}}(%[[A]], %[[B]]) [%[[I]], 0] [2, 64]
// CHECK: lowbit.decode_region {{.*}}(%[[C]], %[[VR]], %[[VK]]) [%[[I]], 0] [2, 64]
// CHECK: %[[U:.*]]:2 = linalg.generic
// CHECK: lowbit.encode_region {{.*}} %[[U]]#0 into
// CHECK: lowbit.encode_region {{.*}} %[[U]]#1 into(%{{.*}}) with[%[[R:.*]], %[[K:.*]]] [%[[I]], 0]
// CHECK: scf.forall.in_parallel
// CHECK: bufferization.materialize_in_destination %[[R]] in %[[VR]]
// CHECK: bufferization.materialize_in_destination %[[K]] in %[[VK]]
// CHECK-NOT: scf.forall
func.func @update(%g: tensor<128x64xf32>, %m: tensor<128x64xf32, #m>, %v: tensor<128x64xf32, #v>)
    -> (tensor<128x64xf32, #m>, tensor<128x64xf32, #v>) {
  %b = arith.constant 0.9 : f32
  %0:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<128x64xf32>) outs(%m, %v : tensor<128x64xf32, #m>, tensor<128x64xf32, #v>) {
    ^bb0(%x: f32, %old: f32, %old2: f32):
      %1 = arith.mulf %old, %b : f32
      %2 = arith.addf %1, %x : f32
      %3 = arith.mulf %x, %x : f32
      %4 = arith.addf %old2, %3 : f32
      linalg.yield %2, %4 : f32, f32
  } -> (tensor<128x64xf32, #m>, tensor<128x64xf32, #v>)
  return %0#0, %0#1 : tensor<128x64xf32, #m>, tensor<128x64xf32, #v>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [64, 32]>

// An encode without a producer: tiles span its blocks.

// CHECK-LABEL: func @encode(
// CHECK: scf.forall (%[[I:.*]]) = (0) to (256) step (64)
// CHECK: tensor.extract_slice %{{.*}}[%[[I]], 0] [64, 64]
// CHECK: lowbit.encode_region {{.*}} [%[[I]], 0] [64, 64]
func.func @encode(%x: tensor<256x64xf32>, %d: tensor<256x64xf32, #w>) -> tensor<256x64xf32, #w> {
  %0 = lowbit.encode %x into %d : tensor<256x64xf32> into tensor<256x64xf32, #w>
  return %0 : tensor<256x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// A look-up decodes the rows that it reads, not the table.

// CHECK-LABEL: func @embedding(
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = arith.index_cast
// CHECK: lowbit.decode_region {{.*}} [%[[ROW]], 0] [1, 64] : {{.*}} -> tensor<1x64xf32>
// CHECK-NOT: lowbit.decode_region
func.func @embedding(%ids: tensor<5xi64>, %t: tensor<1024x64xf32, #w>, %o: tensor<5x64xf32>) -> tensor<5x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %d = lowbit.decode %t : tensor<1024x64xf32, #w>
  %0 = scf.for %i = %c0 to %c5 step %c1 iter_args(%a = %o) -> tensor<5x64xf32> {
    %id = tensor.extract %ids[%i] : tensor<5xi64>
    %row = arith.index_cast %id : i64 to index
    %r = tensor.extract_slice %d[%row, 0] [1, 64] [1, 1] : tensor<1024x64xf32> to tensor<64xf32>
    %n = tensor.insert_slice %r into %a[%i, 0] [1, 64] [1, 1] : tensor<64xf32> into tensor<5x64xf32>
    scf.yield %n : tensor<5x64xf32>
  }
  return %0 : tensor<5x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [4, 32]>

// A row in the middle of a block, at a place that is not known, cannot be decoded by itself: the slice stays.

// CHECK-LABEL: func @cut_block(
// CHECK: %[[D:.*]] = lowbit.decode_region {{.*}} [0, 0] [16, 64]
// CHECK: tensor.extract_slice %[[D]][%{{.*}}, 0] [1, 64]
func.func @cut_block(%t: tensor<16x64xf32, #w>, %row: index) -> tensor<1x64xf32> {
  %d = lowbit.decode %t : tensor<16x64xf32, #w>
  %r = tensor.extract_slice %d[%row, 0] [1, 64] [1, 1] : tensor<16x64xf32> to tensor<1x64xf32>
  return %r : tensor<1x64xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f32 per [64]>

// What several passes go over is tiled small: 256 elements, or as many as a block has; a plain op goes by large pieces.

// CHECK-LABEL: func @small_tiles(
// CHECK: scf.forall (%{{.*}}) = (0) to (65536) step (256)
// CHECK: lowbit.encode_region
// CHECK: scf.forall (%{{.*}}) = (0) to (65536) step (1024)
// CHECK: arith.negf
// OPTIONS-LABEL: func @small_tiles(
// OPTIONS: scf.forall (%{{.*}}) = (0) to (65536) step (1024)
// OPTIONS: lowbit.encode_region
#id = affine_map<(i) -> (i)>
func.func @small_tiles(%x: tensor<65536xf32>, %d: tensor<65536xf32, #w>) -> (tensor<65536xf32, #w>, tensor<65536xf32>) {
  %0 = lowbit.encode %x into %d : tensor<65536xf32> into tensor<65536xf32, #w>
  %e = tensor.empty() : tensor<65536xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<65536xf32>) outs(%e : tensor<65536xf32>) {
    ^bb0(%a: f32, %old: f32):
      %n = arith.negf %a : f32
      linalg.yield %n : f32
  } -> tensor<65536xf32>
  return %0, %1 : tensor<65536xf32, #w>, tensor<65536xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f32 per [64, 512]>

// CHECK-LABEL: func @large_blocks(
// CHECK: scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (256, 4096) step (64, 512)
func.func @large_blocks(%x: tensor<256x4096xf32>, %d: tensor<256x4096xf32, #w>) -> tensor<256x4096xf32, #w> {
  %0 = lowbit.encode %x into %d : tensor<256x4096xf32> into tensor<256x4096xf32, #w>
  return %0 : tensor<256x4096xf32, #w>
}
