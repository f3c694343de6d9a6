// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-tiling-pipeline,lowbit-bufferization-pipeline)' -o %t
// RUN: FileCheck %s --input-file=%t --strict-whitespace --implicit-check-not='256x256xf32>' --implicit-check-not=memref.clone \
// RUN:   --implicit-check-not='memref.copy {{.*}}512x256' --implicit-check-not='alloc{{.*}}512x256' --implicit-check-not='      %{{.*}} = memref.alloc('
// The last one: an allocation that is indented is in a loop or a parallel body.

// No weight is ever a float tensor of its full shape, no cache is copied, what parallel bodies need is on their stacks.

// CHECK:       func.func private @layer(%[[X:[a-z0-9]*]]: memref<1x256xf32>, %[[K:[a-z0-9]*]]: memref<512x256xf32>, %[[V:[a-z0-9]*]]: memref<512x256xf32>, %[[P:[a-z0-9]*]]: index,
// CHECK-SAME:  -> memref<1x256xf32>
// CHECK-DAG:     memref.subview %[[K]][%[[P]], 0] [1, 256] [1, 1]
// CHECK-DAG:     memref.subview %[[V]][%[[P]], 0] [1, 256] [1, 1]
// CHECK:         scf.forall (%[[I:[a-z0-9]*]]) = (0) to (256) step (16) {
// CHECK:           memref.alloca() {{.*}} : memref<16x8x2x16xf32>
// CHECK:           linalg.matmul
// CHECK:       func.func @decode(
// CHECK-SAME:  llvm.emit_c_interface
// CHECK:         call @decode.body(
// CHECK:       func.func private @decode.body(
// CHECK-COUNT-2: call @layer(

!W = tensor<256x256xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>>
!X = tensor<1x256xf32>
!C = tensor<512x256xf32>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
#id = affine_map<(i, j) -> (i, j)>

// One position of a layer: projections, a cache that grows in place, attention over all of it, an update of it.
func.func private @layer(%x: !X, %keys: !C, %values: !C, %position: index, %wq: !W, %wk: !W, %wv: !W, %wo: !W) -> (!X, !C, !C) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : !X
  %z = linalg.fill ins(%zero : f32) outs(%e : !X) -> !X
  %q = linalg.matmul indexing_maps = #nt ins(%x, %wq : !X, !W) outs(%z : !X) -> !X
  %k = linalg.matmul indexing_maps = #nt ins(%x, %wk : !X, !W) outs(%z : !X) -> !X
  %v = linalg.matmul indexing_maps = #nt ins(%x, %wv : !X, !W) outs(%z : !X) -> !X
  %newKeys = tensor.insert_slice %k into %keys[%position, 0] [1, 256] [1, 1] : !X into !C
  %newValues = tensor.insert_slice %v into %values[%position, 0] [1, 256] [1, 1] : !X into !C
  %se = tensor.empty() : tensor<1x512xf32>
  %sz = linalg.fill ins(%zero : f32) outs(%se : tensor<1x512xf32>) -> tensor<1x512xf32>
  %s = linalg.matmul indexing_maps = #nt ins(%q, %newKeys : !X, !C) outs(%sz : tensor<1x512xf32>) -> tensor<1x512xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<1x512xf32>) outs(%se : tensor<1x512xf32>) {
    ^bb0(%a: f32, %b: f32):
      %exp = math.exp %a : f32
      linalg.yield %exp : f32
  } -> tensor<1x512xf32>
  %a = linalg.matmul ins(%p, %newValues : tensor<1x512xf32>, !C) outs(%z : !X) -> !X
  %o = linalg.matmul indexing_maps = #nt ins(%a, %wo : !X, !W) outs(%z : !X) -> !X
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %o : !X, !X) outs(%e : !X) {
    ^bb0(%l: f32, %r: f32, %old: f32):
      %sum = arith.addf %l, %r : f32
      linalg.yield %sum : f32
  } -> !X
  return %y, %newKeys, %newValues : !X, !C, !C
}

func.func @decode(%x: !X, %k0: !C, %v0: !C, %k1: !C, %v1: !C, %position: index) -> (!X, !C, !C, !C, !C)
    attributes {lowbit.entry, lowbit.updates = array<i64: -1, 1, 2, 3, 4>} {
  %q0 = lowbit.parameter "0.q" : !W
  %kw0 = lowbit.parameter "0.k" : !W
  %vw0 = lowbit.parameter "0.v" : !W
  %o0 = lowbit.parameter "0.o" : !W
  %q1 = lowbit.parameter "1.q" : !W
  %kw1 = lowbit.parameter "1.k" : !W
  %vw1 = lowbit.parameter "1.v" : !W
  %o1 = lowbit.parameter "1.o" : !W
  %0:3 = call @layer(%x, %k0, %v0, %position, %q0, %kw0, %vw0, %o0) : (!X, !C, !C, index, !W, !W, !W, !W) -> (!X, !C, !C)
  %1:3 = call @layer(%0#0, %k1, %v1, %position, %q1, %kw1, %vw1, %o1) : (!X, !C, !C, index, !W, !W, !W, !W) -> (!X, !C, !C)
  return %1#0, %0#1, %0#2, %1#1, %1#2 : !X, !C, !C, !C, !C
}
