// RUN: lowbit-opt %s --lowbit-emit-contractions=groups=1 -canonicalize -cse | FileCheck %s
// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=2 vectors=12" -canonicalize -cse | FileCheck %s --check-prefix=TILE
// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=1 prefetch=128 prefetch-locality=1" -canonicalize -cse | FileCheck %s --check-prefix=FETCH

#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 8]>
#a15 = #lowbit.quantized<int<15>, scale = f32 per [1, 8], layout = planes<7, 8>>
#iq4 = #lowbit.quantized<codebook<iq4_nl>, scale = f16 per [1, 8], min = f16 per [1, 8], layout = tiled>
#uint3 = #lowbit.quantized<uint<3>, scale = f16 per [1, 32] * uint<6> per [1, 16], zero = uint<3> per [1, 32], layout = tiled>
#records = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], layout = records>
#nf4 = #lowbit.quantized<codebook<nf4>, layout = tiled>
#int8 = #lowbit.quantized<int<8>, scale = f32 per [32, 8], layout = tiled>

// CHECK-DAG: #[[$PAIR:.+]] = affine_map<(d0) -> (d0 floordiv 2)>

// A block's sum starts with what the offset of the codes adds, exact in integers; levels are looked up; the minimum comes in by
// the activations' sum. The last group of outputs is masked.
// CHECK-LABEL: func @table(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<1x8xi8>, %[[XS:[a-z0-9]*]]: memref<1x1xf32>, %[[W:[a-z0-9]*]]: memref<2x1x64xi8>, %[[S:[a-z0-9]*]]: memref<2x1x16xf16>, %[[M:[a-z0-9]*]]: memref<2x1x16xf16>, %[[OFFSETS:[a-z0-9]*]]: memref<1x1xi32>, %[[SUMS:[a-z0-9]*]]: memref<1x1xf32>, %[[Y:[a-z0-9]*]]: memref<1x20xf32>
// CHECK-DAG:   %[[LEVELS:.*]] = arith.constant dense<[0, 23, 44, 62, 78, 92, 105, 117, -128, -116, -104, -91, -76, -60, -40, -16]> : vector<16xi8>
// CHECK-DAG:   %[[NIBBLE:.*]] = arith.constant dense<15> : vector<64xi8>
// CHECK-DAG:   %[[FOUR:.*]] = arith.constant dense<4> : vector<64xi8>
// CHECK:       scf.for %[[G:.*]] = %{{.*}} to %c2
// CHECK:         %[[START:.*]] = memref.load %[[OFFSETS]]
// CHECK-NEXT:    %[[STARTS:.*]] = vector.broadcast %[[START]] : i32 to vector<16xi32>
// CHECK-NEXT:    %[[CODES:.*]] = vector.load %[[W]][%[[G]], %{{.*}}, %{{.*}}] : memref<2x1x64xi8>, vector<64xi8>
// CHECK-NEXT:    %[[LOW:.*]] = arith.andi %[[CODES]], %[[NIBBLE]]
// CHECK-NEXT:    %[[U:.*]] = lowbit.lookup %[[LEVELS]], %[[LOW]]
// CHECK:         %[[DOT:.*]] = lowbit.dot4 %[[U]], %{{.*}} into %[[STARTS]]
// CHECK-NEXT:    %[[SHIFTED:.*]] = arith.shrui %[[CODES]], %[[FOUR]]
// CHECK-NEXT:    %[[HIGH:.*]] = arith.andi %[[SHIFTED]], %[[NIBBLE]]
// CHECK-NEXT:    %[[V:.*]] = lowbit.lookup %[[LEVELS]], %[[HIGH]]
// CHECK:         lowbit.dot4 %[[V]], %{{.*}} into %[[DOT]]
// CHECK:         arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
// CHECK:         %[[MIN:.*]] = arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
// CHECK-NEXT:    arith.sitofp %{{.*}} : vector<16xi32> to vector<16xf32>
// CHECK-NEXT:    %[[SUM:.*]] = memref.load %[[SUMS]]
// CHECK-NEXT:    %[[ADDED:.*]] = vector.fma
// CHECK-NEXT:    %[[OF:.*]] = vector.broadcast %[[SUM]]
// CHECK-NEXT:    vector.fma %[[MIN]], %[[OF]], %[[ADDED]]
// CHECK:         %[[MASK:.*]] = vector.create_mask %{{.*}} : vector<16xi1>
// CHECK-NEXT:    %[[OLD:.*]] = vector.maskedload %[[Y]][%{{.*}}], %[[MASK]],
// CHECK-NEXT:    %[[NEW:.*]] = arith.addf %[[OLD]],
// CHECK-NEXT:    vector.maskedstore %[[Y]][%{{.*}}], %[[MASK]], %[[NEW]]

// FETCH-LABEL: func @table(
// FETCH:       memref.prefetch %{{.*}}[%{{.*}}, %c2, %c0], read, locality<1>, data : memref<2x1x64xi8>
func.func @table(%x: memref<1x8xi8>, %xs: memref<1x1xf32>, %w: memref<2x1x64xi8>, %s: memref<2x1x16xf16>, %m: memref<2x1x16xf16>,
                 %offsets: memref<1x1xi32>, %sums: memref<1x1xf32>, %y: memref<1x20xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x8xf32, #a8> (%x, %xs) by tensor<20x8xf32, #iq4> (%w, %s, %m) from %first sums(%offsets, %sums) into %y
    : (memref<1x8xi8>, memref<1x1xf32>, memref<2x1x64xi8>, memref<2x1x16xf16>, memref<2x1x16xf16>, index, memref<1x1xi32>, memref<1x1xf32>, memref<1x20xf32>) -> ()
  return
}

// Two planes of codes; bits beyond the six of a nested scale are no part of it; the zero point is multiplied with the block's sum.
// CHECK-LABEL: func @nested(
// CHECK-SAME:    %{{.*}}: memref<1x32xi8>, %{{.*}}: memref<1x4xf32>, %[[P0:[a-z0-9]*]]: memref<1x2x64xi8>, %[[P1:[a-z0-9]*]]: memref<1x1x64xi8>, %[[OUTER:[a-z0-9]*]]: memref<1x1x16xf16>, %[[INNER:[a-z0-9]*]]: memref<1x2x16xi8>, %[[ZERO:[a-z0-9]*]]: memref<1x1x16xi8>
// CHECK-DAG:   %[[SIX:.*]] = arith.constant dense<63> : vector<16xi8>
// CHECK-DAG:   vector.load %[[P0]]
// CHECK-DAG:   vector.load %[[P1]]
// CHECK:       arith.ori
// CHECK-NEXT:  vector.load %{{.*}} : memref<1x32xi8>, vector<4xi8>
// CHECK:       lowbit.dot4
// CHECK-NOT:   lowbit.lookup
// CHECK:       %[[CODES:.*]] = vector.load %[[INNER]]
// CHECK-NEXT:  %[[OWN:.*]] = arith.andi %[[CODES]], %[[SIX]]
// CHECK-NEXT:  arith.uitofp %[[OWN]] : vector<16xi8> to vector<16xf32>
func.func @nested(%x: memref<1x32xi8>, %xs: memref<1x4xf32>, %p: memref<1x2x64xi8>, %q: memref<1x1x64xi8>, %s: memref<1x1x16xf16>,
                  %t: memref<1x2x16xi8>, %z: memref<1x1x16xi8>, %sums: memref<1x4xf32>, %y: memref<1x16xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x32xf32, #a8> (%x, %xs) by tensor<16x32xf32, #uint3> (%p, %q, %s, %t, %z) from %first sums(%sums) into %y
    : (memref<1x32xi8>, memref<1x4xf32>, memref<1x2x64xi8>, memref<1x1x64xi8>, memref<1x1x16xf16>, memref<1x2x16xi8>, memref<1x1x16xi8>,
       index, memref<1x4xf32>, memref<1x16xf32>) -> ()
  return
}

// Activations in f32: decoded levels, one column after the other.
// CHECK-LABEL: func @floats(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<1x8xf32>
// CHECK-DAG:   %[[LEVELS:.*]] = arith.constant dense<[-1.000000e+00, {{.*}}]> : vector<16xf32>
// CHECK:       %[[WORDS:.*]] = vector.bitcast %{{.*}} : vector<64xi8> to vector<16xi32>
// CHECK-NEXT:  %[[CODES:.*]] = arith.andi %[[WORDS]]
// CHECK-NEXT:  %[[LEVEL:.*]] = lowbit.lookup %[[LEVELS]], %[[CODES]]
// CHECK-NEXT:  %[[V:.*]] = memref.load %[[X]][%c0, %c0]
// CHECK-NEXT:  %[[LANES:.*]] = vector.broadcast %[[V]] : f32 to vector<16xf32>
// CHECK-NEXT:  vector.fma %[[LEVEL]], %[[LANES]]
// CHECK-COUNT-7: vector.fma
// CHECK-NOT:   vector.fma
// CHECK:       vector.store
func.func @floats(%x: memref<1x8xf32>, %w: memref<1x1x64xi8>, %y: memref<1x16xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x8xf32> (%x) by tensor<16x8xf32, #nf4> (%w) from %first into %y
    : (memref<1x8xf32>, memref<1x1x64xi8>, index, memref<1x16xf32>) -> ()
  return
}

// Outputs from a group on; one scale for 32 rows, that is for two groups. Of seven rows, a register tile of two groups takes three.
// CHECK-LABEL: func @part(
// CHECK-SAME:    %[[S:[a-z0-9]*]]: memref<4x1xf32>, %[[FIRST:[a-z0-9]*]]: index
// CHECK:       %[[GROUP:.*]] = affine.apply #{{.*}}(){{\[}}%[[FIRST]]{{\]}}
// CHECK:       scf.for %[[G:.*]] =
// CHECK:         %[[ALL:.*]] = arith.addi %[[GROUP]], %[[G]]
// CHECK:         %[[PAIR:.*]] = affine.apply #[[$PAIR]](%[[ALL]])
// CHECK-NEXT:    memref.load %[[S]][%[[PAIR]], %{{.*}}]
// TILE-LABEL:  func @part(
// TILE:        scf.for {{.*}} step %c3
// TILE-COUNT-12: lowbit.dot4
// TILE-COUNT-6: vector.store
// TILE-NOT:    vector.maskedstore
func.func @part(%s: memref<4x1xf32>, %first: index, %x: memref<7x8xi8>, %xs: memref<7x1xf32>, %w: memref<8x2x64xi8>, %sums: memref<7x1xi32>,
                %y: memref<7x?xf32, strided<[128, 1], offset: ?>>) {
  lowbit.contract tensor<7x8xf32, #a8> (%x, %xs) by tensor<128x8xf32, #int8> (%w, %s) from %first sums(%sums) into %y
    : (memref<7x8xi8>, memref<7x1xf32>, memref<8x2x64xi8>, memref<4x1xf32>, index, memref<7x1xi32>, memref<7x?xf32, strided<[128, 1], offset: ?>>) -> ()
  return
}

// A part that does not end with a group is masked.
// CHECK-LABEL: func @narrow(
// TILE-LABEL:  func @narrow(
// CHECK-NOT:   vector.store
// CHECK:       vector.maskedstore
func.func @narrow(%x: memref<1x8xf32>, %w: memref<2x1x64xi8>, %y: memref<1x24xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x8xf32> (%x) by tensor<32x8xf32, #nf4> (%w) from %first into %y
    : (memref<1x8xf32>, memref<2x1x64xi8>, index, memref<1x24xf32>) -> ()
  return
}

// Two planes of activations are two products, the upper one of 7 bits more.
// CHECK-LABEL: func @planes(
// CHECK-SAME:    %[[LOW:[a-z0-9]*]]: memref<1x8xi8>, %[[HIGH:[a-z0-9]*]]: memref<1x8xi8>
// CHECK:       vector.load %[[LOW]]
// CHECK:       lowbit.dot4
// CHECK:       vector.load %[[HIGH]]
// CHECK-COUNT-3: lowbit.dot4
// CHECK-NEXT:  %[[UPPER:.*]] = arith.shli %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK-NEXT:  arith.addi %{{.*}}, %[[UPPER]] : vector<16xi32>
// CHECK-NEXT:  arith.sitofp
func.func @planes(%x: memref<1x8xi8>, %x1: memref<1x8xi8>, %xs: memref<1x1xf32>, %w: memref<1x2x64xi8>, %s: memref<1x1xf32>,
                  %sums: memref<1x1xi32>, %y: memref<1x16xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x8xf32, #a15> (%x, %x1, %xs) by tensor<16x8xf32, #int8> (%w, %s) from %first sums(%sums) into %y
    : (memref<1x8xi8>, memref<1x8xi8>, memref<1x1xf32>, memref<1x2x64xi8>, memref<1x1xf32>, index, memref<1x1xi32>, memref<1x16xf32>) -> ()
  return
}

// Codes and scales out of one stream of records: a step is half of one.
// CHECK-LABEL: func @records(
// CHECK-SAME:    %{{.*}}: memref<1x128xf32>, %[[R:[a-z0-9]*]]: memref<1x2x576xi8>
// CHECK:       scf.for %[[STEP:.*]] = %{{.*}} to %c4
// CHECK-DAG:     %[[RECORD:.*]] = affine.apply #{{.*}}(%[[STEP]])
// CHECK-DAG:     %[[BYTE:.*]] = affine.apply #{{.*}}(%[[STEP]])
// CHECK:         vector.load %[[R]][%{{.*}}, %[[RECORD]], %[[BYTE]]] : memref<1x2x576xi8>, vector<64xi8>
// CHECK:         %[[SCALES:.*]] = vector.load %[[R]][%{{.*}}, %[[RECORD]], %{{.*}}] : memref<1x2x576xi8>, vector<32xi8>
// CHECK-NEXT:    vector.bitcast %[[SCALES]] : vector<32xi8> to vector<16xf16>

// FETCH-LABEL: func @records(
// FETCH:       memref.prefetch %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}], read, locality<1>, data : memref<1x2x576xi8>
func.func @records(%x: memref<1x128xf32>, %w: memref<1x2x576xi8>, %y: memref<1x16xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<1x128xf32> (%x) by tensor<16x128xf32, #records> (%w) from %first into %y
    : (memref<1x128xf32>, memref<1x2x576xi8>, index, memref<1x16xf32>) -> ()
  return
}
