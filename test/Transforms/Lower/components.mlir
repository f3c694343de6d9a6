// RUN: lowbit-opt %s -split-input-file --lowbit-components | FileCheck %s

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// An encoded argument or result is as many as it has components; attributes land on the first one.

// CHECK-LABEL: func @decode(
// CHECK-SAME: %[[C:.*]]: tensor<8x32xi8> {test.name = "w"}, %[[S:.*]]: tensor<8x2xf16>) -> tensor<8x64xf32>
// CHECK: %[[D:.*]] = lowbit.decode_region {{.*}}(%[[C]], %[[S]]) [0, 0] [8, 64] : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x64xf32>
// CHECK: return %[[D]]
func.func @decode(%w: tensor<8x64xf32, #w> {test.name = "w"}) -> tensor<8x64xf32> {
  %0 = lowbit.decode %w : tensor<8x64xf32, #w>
  return %0 : tensor<8x64xf32>
}

// The storage of an encode is the destination's.
// CHECK-LABEL: func @encode(
// CHECK-SAME: %[[X:.*]]: tensor<8x64xf32>, %[[C:.*]]: tensor<8x32xi8>, %[[S:.*]]: tensor<8x2xf16>) -> (tensor<8x32xi8>, tensor<8x2xf16>)
// CHECK: %[[E:.*]]:2 = lowbit.encode_region {{.*}} %[[X]] into(%[[C]], %[[S]]) with[] [0, 0] [8, 64]
// CHECK: return %[[E]]#0, %[[E]]#1
func.func @encode(%x: tensor<8x64xf32>, %d: tensor<8x64xf32, #w>) -> tensor<8x64xf32, #w> {
  %0 = lowbit.encode %x into %d : tensor<8x64xf32> into tensor<8x64xf32, #w>
  return %0 : tensor<8x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Control flow and calls.

// CHECK-LABEL: func private @callee(tensor<8x32xi8>, tensor<8x2xf16>, i1) -> (tensor<8x32xi8>, tensor<8x2xf16>)
func.func private @callee(tensor<8x64xf32, #w>, i1) -> tensor<8x64xf32, #w>

// CHECK-LABEL: func @flow(
// CHECK: %[[R:.*]]:2 = call @callee(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<8x32xi8>, tensor<8x2xf16>, i1)
// CHECK: %[[F:.*]]:2 = scf.for {{.*}} iter_args(%{{.*}} = %[[R]]#0, %{{.*}} = %[[R]]#1) -> (tensor<8x32xi8>, tensor<8x2xf16>)
// CHECK:   %[[I:.*]]:2 = scf.if %{{.*}} -> (tensor<8x32xi8>, tensor<8x2xf16>)
// CHECK:   scf.yield %[[I]]#0, %[[I]]#1
// CHECK: %[[W:.*]]:2 = scf.while (%{{.*}} = %[[F]]#0, %{{.*}} = %[[F]]#1)
// CHECK:   scf.condition(%{{.*}}) %{{.*}}, %{{.*}} : tensor<8x32xi8>, tensor<8x2xf16>
// CHECK: %[[S0:.*]] = arith.select %{{.*}}, %[[W]]#0, %{{.*}} : tensor<8x32xi8>
// CHECK: %[[S1:.*]] = arith.select %{{.*}}, %[[W]]#1, %{{.*}} : tensor<8x2xf16>
// CHECK: cf.cond_br %{{.*}}, ^[[NEXT:.*]](%[[S0]], %[[S1]] : tensor<8x32xi8>, tensor<8x2xf16>), ^[[NEXT]](%{{.*}}, %{{.*}} : tensor<8x32xi8>, tensor<8x2xf16>)
// CHECK: ^[[NEXT]](%[[A:.*]]: tensor<8x32xi8>, %[[B:.*]]: tensor<8x2xf16>):
// CHECK: return %[[A]], %[[B]]
func.func @flow(%w: tensor<8x64xf32, #w>, %v: tensor<8x64xf32, #w>, %c: i1, %n: index) -> tensor<8x64xf32, #w> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = call @callee(%w, %c) : (tensor<8x64xf32, #w>, i1) -> tensor<8x64xf32, #w>
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %0) -> tensor<8x64xf32, #w> {
    %2 = scf.if %c -> tensor<8x64xf32, #w> {
      scf.yield %a : tensor<8x64xf32, #w>
    } else {
      scf.yield %v : tensor<8x64xf32, #w>
    }
    scf.yield %2 : tensor<8x64xf32, #w>
  }
  %3 = scf.while (%a = %1) : (tensor<8x64xf32, #w>) -> tensor<8x64xf32, #w> {
    scf.condition(%c) %a : tensor<8x64xf32, #w>
  } do {
  ^bb0(%a: tensor<8x64xf32, #w>):
    scf.yield %a : tensor<8x64xf32, #w>
  }
  %4 = arith.select %c, %3, %v : tensor<8x64xf32, #w>
  cf.cond_br %c, ^next(%4 : tensor<8x64xf32, #w>), ^next(%w : tensor<8x64xf32, #w>)
^next(%5: tensor<8x64xf32, #w>):
  return %5 : tensor<8x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Extents that the codes' bytes do not give travel as a component of their own.

// CHECK-LABEL: func @dynamic(
// CHECK-SAME: %[[C:.*]]: tensor<?x?xi8>, %[[S:.*]]: tensor<?x?xf16>, %[[N:.*]]: index) -> (index, index, tensor<?x?xf32>)
// CHECK: %[[ROWS:.*]] = tensor.dim %[[C]], %{{.*}} : tensor<?x?xi8>
// CHECK: lowbit.decode_region {{.*}}(%[[C]], %[[S]], %[[N]]) [0, 0] [%{{.*}}, %[[N]]] : tensor<?x?xi8>, tensor<?x?xf16>, index -> tensor<?x?xf32>
// CHECK: return %{{.*}}, %[[N]], %{{.*}} : index, index, tensor<?x?xf32>
func.func @dynamic(%w: tensor<?x?xf32, #w>) -> (index, index, tensor<?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = tensor.dim %w, %c0 : tensor<?x?xf32, #w>
  %1 = tensor.dim %w, %c1 : tensor<?x?xf32, #w>
  %2 = lowbit.decode %w : tensor<?x?xf32, #w>
  return %0, %1, %2 : index, index, tensor<?x?xf32>
}

// CHECK-LABEL: func @empty(
// CHECK-SAME: %[[M:.*]]: index, %[[N:.*]]: index) -> (tensor<?x?xi8>, tensor<?x?xf16>, index)
// CHECK-DAG: %[[C:.*]] = tensor.empty(%[[M]], %{{.*}}) : tensor<?x?xi8>
// CHECK-DAG: %[[S:.*]] = tensor.empty(%[[M]], %{{.*}}) : tensor<?x?xf16>
// CHECK: return %[[C]], %[[S]], %[[N]]
func.func @empty(%m: index, %n: index) -> tensor<?x?xf32, #w> {
  %0 = tensor.empty(%m, %n) : tensor<?x?xf32, #w>
  return %0 : tensor<?x?xf32, #w>
}

// -----

#ggml = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>
#planes = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>
#other = #lowbit.quantized<int<8>, scale = f16 per [1, 32]>

// Between layouts of one term bytes move; there is no decode in between.

// CHECK-LABEL: func @layouts(
// CHECK-SAME: %{{.*}}: tensor<8x2x20xi8>) -> (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xf16>)
// CHECK-NOT: lowbit.decode_region
// CHECK-NOT: lowbit.encode_region
// CHECK: return
func.func @layouts(%w: tensor<8x64xf32, #ggml>) -> tensor<8x64xf32, #planes> {
  %0 = lowbit.convert %w : tensor<8x64xf32, #ggml> to tensor<8x64xf32, #planes>
  return %0 : tensor<8x64xf32, #planes>
}

// Another term is rounded into.

// CHECK-LABEL: func @terms(
// CHECK: %[[D:.*]] = lowbit.decode_region
// CHECK: lowbit.encode_region {{.*}} %[[D]] into
func.func @terms(%w: tensor<8x64xf32, #ggml>) -> tensor<8x64xf32, #other> {
  %0 = lowbit.convert %w : tensor<8x64xf32, #ggml> to tensor<8x64xf32, #other>
  return %0 : tensor<8x64xf32, #other>
}

// -----

#a = #lowbit.quantized<int<4>, scale = f32 per [1, 32]>
#b = #lowbit.quantized<int<4>, scale = f32 per [1, 32], rule = signed_max>

// How codes were chosen is no part of what they mean: nothing is left of the conversion.

// CHECK-LABEL: func @rules(
// CHECK-SAME: %[[C:.*]]: tensor<8x32xi8>, %[[S:.*]]: tensor<8x2xf32>
// CHECK: return %[[C]], %[[S]]
func.func @rules(%w: tensor<8x64xf32, #a>) -> tensor<8x64xf32, #b> {
  %0 = lowbit.convert %w : tensor<8x64xf32, #a> to tensor<8x64xf32, #b>
  return %0 : tensor<8x64xf32, #b>
}

// -----

#w = #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>

// A parameter is a buffer for each component; a plain one has one, `values`.

// CHECK-LABEL: func @parameter(
// CHECK-DAG: lowbit.parameter_buffer "w"["0.codes.0"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<8x16xi8>
// CHECK-DAG: lowbit.parameter_buffer "w"["0.codes.1"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<8x8xi8>
// CHECK-DAG: lowbit.parameter_buffer "w"["0.scale"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<8x2xf16>
// CHECK-DAG: lowbit.parameter_buffer "w"["1.positions"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<9xi32>
// CHECK-DAG: lowbit.parameter_buffer "w"["1.columns"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<?xi32>
// CHECK-DAG: lowbit.parameter_buffer "w"["1.values"] {encoding = "#lowbit.{{.*}}", shape = array<i64: 8, 64>} : memref<?xf16>
// CHECK-DAG: lowbit.parameter_buffer "b"["values"] : memref<64xf32>
// CHECK: bufferization.to_tensor %{{.*}} restrict : memref<64xf32> to tensor<64xf32>
func.func @parameter() -> (tensor<8x64xf32, #w>, tensor<64xf32>) {
  %0 = lowbit.parameter "w" : tensor<8x64xf32, #w>
  %1 = lowbit.parameter "b" : tensor<64xf32>
  return %0, %1 : tensor<8x64xf32, #w>, tensor<64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Results and arguments of `lowbit.updates` are numbered by component afterwards: (x, codes, scale, y) and
// (y, codes, scale, x).

// CHECK-LABEL: func @updates(
// CHECK-SAME: attributes {lowbit.entry, lowbit.updates = array<i64: 3, 1, 2, -1>}
func.func @updates(%x: tensor<4xf32>, %w: tensor<8x64xf32, #w>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<8x64xf32, #w>, tensor<4xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: 2, 1, -1>} {
  return %y, %w, %x : tensor<4xf32>, tensor<8x64xf32, #w>, tensor<4xf32>
}

// -----

#w = #lowbit.quantized<codebook<[-1.0, -0.25, 0.5, 1.0]>, scale = f32 rank1<min>>

// Statistics of the whole tensor first, into fresh vectors; the old ones are overwritten by them after the encode.

// CHECK-LABEL: func @statistics(
// CHECK-SAME: %[[X:.*]]: tensor<8x64xf32>, %[[C:.*]]: tensor<8x16xi8>, %[[R:.*]]: tensor<8xf32>, %[[K:.*]]: tensor<64xf32>
// CHECK-DAG: bufferization.alloc_tensor() : tensor<8xf32>
// CHECK-DAG: bufferization.alloc_tensor() : tensor<64xf32>
// CHECK: linalg.generic {{.*}}iterator_types = ["reduction", "reduction"]} ins(%[[X]] : tensor<8x64xf32>) {{.*}} attrs = {lowbit.statistics}
// CHECK: lowbit.encode_region {{.*}} %[[X]] into(%[[C]]) with[%{{.*}}, %{{.*}}]
// CHECK: bufferization.materialize_in_destination %{{.*}} in %[[R]]
// CHECK: bufferization.materialize_in_destination %{{.*}} in %[[K]]
func.func @statistics(%x: tensor<8x64xf32>, %d: tensor<8x64xf32, #w>) -> tensor<8x64xf32, #w> {
  %0 = lowbit.encode %x into %d : tensor<8x64xf32> into tensor<8x64xf32, #w>
  return %0 : tensor<8x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// CHECK-LABEL: func @apart(
// CHECK-SAME: %[[C:.*]]: tensor<8x32xi8>, %[[S:.*]]: tensor<8x2xf16>
// CHECK-NEXT: return %[[C]], %[[S]]
func.func @apart(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> (tensor<8x32xi8>, tensor<8x2xf16>) {
  %0 = lowbit.assemble %codes, %scale : tensor<8x32xi8>, tensor<8x2xf16> to tensor<8x64xf32, #w>
  %1:2 = lowbit.disassemble %0 : tensor<8x64xf32, #w> to tensor<8x32xi8>, tensor<8x2xf16>
  return %1#0, %1#1 : tensor<8x32xi8>, tensor<8x2xf16>
}

// -----

#rows = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

// New positions are encoded into the parts of the components that belong to them.

// CHECK-LABEL: func @append(
// CHECK-SAME: %[[X:.*]]: tensor<3x?x64xf32>, %[[C:.*]]: tensor<3x512x64xi8>, %[[S:.*]]: tensor<3x512x1xf16>, %[[P:.*]]: index
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: %[[CT:.*]] = tensor.extract_slice %[[C]][0, %[[P]], 0] [3, %[[N]], 64]
// CHECK: %[[ST:.*]] = tensor.extract_slice %[[S]][0, %[[P]], 0] [3, %[[N]], 1]
// CHECK: %[[E:.*]]:2 = lowbit.encode_region {{.*}} %[[X]] into(%[[CT]], %[[ST]]) with[] [0, %[[P]], 0] [3, %[[N]], 64]
// CHECK: tensor.insert_slice %[[E]]#0 into %[[C]][0, %[[P]], 0]
// CHECK: tensor.insert_slice %[[E]]#1 into %[[S]][0, %[[P]], 0]
func.func @append(%x: tensor<3x?x64xf32>, %cache: tensor<3x512x64xf32, #rows>, %p: index) -> tensor<3x512x64xf32, #rows> {
  %new = lowbit.insert %x into %cache[0, %p, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #rows>
  return %new : tensor<3x512x64xf32, #rows>
}
