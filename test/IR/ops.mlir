// Every operation is read and printed.
// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s
// RUN: lowbit-opt %s --emit-bytecode | lowbit-opt | FileCheck %s
// RUN: lowbit-opt %s --mlir-print-op-generic | lowbit-opt | FileCheck %s

#q = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#rank1 = #lowbit.quantized<int<4>, scale = f32 rank1<min>>
#sum = #lowbit.sum<#q, #lowbit.sparse<f16, density = 0.01>>
#tiled = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#int8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#cut = #lowbit.part<axis = 0, at = [?], #lowbit.quantized<f16>, #q>

// CHECK-DAG: #[[$Q:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
// CHECK-DAG: #[[$RANK1:.+]] = #lowbit.quantized<int<4>, scale = f32 rank1<min>>
// CHECK-DAG: #[[$SUM:.+]] = #lowbit.sum<#[[$Q]], #sparse>
// CHECK-DAG: #[[$CUT:.+]] = #lowbit.part<axis = 0, at = [?], #f16_codes, #[[$Q]]>

// CHECK-DAG: #[[$TILED:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
// CHECK-DAG: #[[$INT8:.+]] = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @whole(
func.func @whole(%x: tensor<8x64xf32>, %w: tensor<8x64xf32, #q>) -> tensor<8x64xf32, #q> {
  // CHECK: %[[V:.*]] = lowbit.decode %{{.*}} : tensor<8x64xf32, #[[$Q]]>
  %v = lowbit.decode %w : tensor<8x64xf32, #q>
  %s = arith.addf %x, %v : tensor<8x64xf32>
  // CHECK: lowbit.encode %{{.*}} into %{{.*}} : tensor<8x64xf32> into tensor<8x64xf32, #[[$Q]]>
  %e = lowbit.encode %s into %w : tensor<8x64xf32> into tensor<8x64xf32, #q>
  return %e : tensor<8x64xf32, #q>
}

// CHECK-LABEL: func @convert(
func.func @convert(%w: tensor<?x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>>)
    -> tensor<?x64xf32, #q> {
  // CHECK: lowbit.convert %{{.*}} : tensor<?x64xf32, #{{.*}}> to tensor<?x64xf32, #[[$Q]]>
  %p = lowbit.convert %w
    : tensor<?x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>>
    to tensor<?x64xf32, #q>
  return %p : tensor<?x64xf32, #q>
}

// A ragged tail fills up its last byte and its last block.
// CHECK-LABEL: func @assemble(
func.func @assemble(%codes: tensor<8x25xi8>, %scale: tensor<8x2xf16>) -> (tensor<8x25xi8>, tensor<8x2xf16>) {
  // CHECK: %[[W:.*]] = lowbit.assemble %{{.*}}, %{{.*}} : tensor<8x25xi8>, tensor<8x2xf16> to tensor<8x49xf32, #[[$Q]]>
  %w = lowbit.assemble %codes, %scale : tensor<8x25xi8>, tensor<8x2xf16> to tensor<8x49xf32, #q>
  // CHECK: lowbit.disassemble %[[W]] : tensor<8x49xf32, #[[$Q]]> to tensor<8x25xi8>, tensor<8x2xf16>
  %c:2 = lowbit.disassemble %w : tensor<8x49xf32, #q> to tensor<8x25xi8>, tensor<8x2xf16>
  return %c#0, %c#1 : tensor<8x25xi8>, tensor<8x2xf16>
}

// The number of 4-bit codes does not follow from that of bytes, a cut not from the type: components of their own.
// CHECK-LABEL: func @run_time_extents(
func.func @run_time_extents(%codes: tensor<?x?xi8>, %scale: tensor<?x?xf16>, %extent: index,
                            %w: tensor<8x64xf32, #cut>, %s: tensor<8x64xf32, #sum>) {
  // CHECK: lowbit.assemble {{.*}} : tensor<?x?xi8>, tensor<?x?xf16>, index to tensor<?x?xf32, #[[$Q]]>
  %0 = lowbit.assemble %codes, %scale, %extent : tensor<?x?xi8>, tensor<?x?xf16>, index to tensor<?x?xf32, #q>
  // CHECK: lowbit.disassemble {{.*}} : tensor<8x64xf32, #[[$CUT]]> to index, tensor<?x64xf16>, tensor<?x32xi8>, tensor<?x2xf16>
  %c:4 = lowbit.disassemble %w : tensor<8x64xf32, #cut> to index, tensor<?x64xf16>, tensor<?x32xi8>, tensor<?x2xf16>
  // CHECK: lowbit.disassemble {{.*}} : tensor<8x64xf32, #[[$SUM]]> to tensor<8x32xi8>, tensor<8x2xf16>, tensor<9xi32>, tensor<?xi32>, tensor<?xf16>
  %t:5 = lowbit.disassemble %s : tensor<8x64xf32, #sum>
    to tensor<8x32xi8>, tensor<8x2xf16>, tensor<9xi32>, tensor<?xi32>, tensor<?xf16>
  return
}

// CHECK-LABEL: func @parameters(
func.func @parameters() -> (tensor<8x64xf32, #q>, tensor<8xf32>) {
  // CHECK: lowbit.parameter "blk.0.attn_q.weight" : tensor<8x64xf32, #[[$Q]]>
  %w = lowbit.parameter "blk.0.attn_q.weight" : tensor<8x64xf32, #q>
  // CHECK: lowbit.parameter "w" packed by @pack from tensor<8x64xf32, #[[$Q]]> : tensor<8x64xf32, #[[$TILED]]>
  %p = lowbit.parameter "w" packed by @pack from tensor<8x64xf32, #q> : tensor<8x64xf32, #tiled>
  // CHECK: lowbit.parameter "a \22quoted\22 key" : tensor<8xf32>
  %b = lowbit.parameter "a \"quoted\" key" : tensor<8xf32>
  // CHECK: lowbit.parameter_buffer "blk.0.attn_q.weight"["codes"] : memref<8x32xi8>
  %m = lowbit.parameter_buffer "blk.0.attn_q.weight"["codes"] : memref<8x32xi8>
  // CHECK: lowbit.parameter_buffer "blk.0.attn_q.weight"["extent"] : index
  %i = lowbit.parameter_buffer "blk.0.attn_q.weight"["extent"] : index
  return %w, %b : tensor<8x64xf32, #q>, tensor<8xf32>
}

// CHECK-LABEL: func @decode_region(
func.func @decode_region(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>, %row: index, %rows: index)
    -> (tensor<8x32xf32>, tensor<?x32xf32>) {
  // CHECK: lowbit.decode_region tensor<8x64xf32, #[[$Q]]>(%{{.*}}, %{{.*}}) [0, 32] [8, 32] : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x32xf32>
  %a = lowbit.decode_region tensor<8x64xf32, #q>(%codes, %scale) [0, 32] [8, 32]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x32xf32>
  // CHECK: lowbit.decode_region tensor<8x64xf32, #[[$Q]]>(%{{.*}}, %{{.*}}) [%{{.*}}, 0] [%{{.*}}, 32]
  %b = lowbit.decode_region tensor<8x64xf32, #q>(%codes, %scale) [%row, 0] [%rows, 32]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<?x32xf32>
  return %a, %b : tensor<8x32xf32>, tensor<?x32xf32>
}

// The tail of a ragged axis is a region; components that have become more static still fit.
// CHECK-LABEL: func @decode_tail(
func.func @decode_tail(%codes: tensor<8x25xi8>, %scale: tensor<8x2xf16>) -> tensor<8x17xf32> {
  // CHECK: lowbit.decode_region tensor<?x49xf32, #[[$Q]]>(%{{.*}}, %{{.*}}) [0, 32] [8, 17]
  %a = lowbit.decode_region tensor<?x49xf32, #q>(%codes, %scale) [0, 32] [8, 17]
    : tensor<8x25xi8>, tensor<8x2xf16> -> tensor<8x17xf32>
  return %a : tensor<8x17xf32>
}

// CHECK-LABEL: func @encode_region(
func.func @encode_region(%x: tensor<8x32xf32>, %codes: tensor<8x16xi8>, %scale: tensor<8x1xf16>,
                         %row: tensor<8xf32>, %column: tensor<64xf32>) -> tensor<8x16xi8> {
  // CHECK: lowbit.encode_region tensor<8x64xf32, #[[$Q]]> %{{.*}} into(%{{.*}}, %{{.*}}) with[] [0, 32] [8, 32] : (tensor<8x32xf32>, tensor<8x16xi8>, tensor<8x1xf16>) -> (tensor<8x16xi8>, tensor<8x1xf16>)
  %a:2 = lowbit.encode_region tensor<8x64xf32, #q> %x into (%codes, %scale) with [] [0, 32] [8, 32]
    : (tensor<8x32xf32>, tensor<8x16xi8>, tensor<8x1xf16>) -> (tensor<8x16xi8>, tensor<8x1xf16>)
  // Row and column vectors are statistics: inputs, whole.
  // CHECK: lowbit.encode_region tensor<8x64xf32, #[[$RANK1]]> %{{.*}} into(%{{.*}}) with[%{{.*}}, %{{.*}}] [0, 0] [8, 32]
  %b = lowbit.encode_region tensor<8x64xf32, #rank1> %x into (%codes) with [%row, %column] [0, 0] [8, 32]
    : (tensor<8x32xf32>, tensor<8x16xi8>, tensor<8xf32>, tensor<64xf32>) -> (tensor<8x16xi8>)
  return %b : tensor<8x16xi8>
}

// Activations may be plain, outputs a part of all; on buffers there is no result.
// CHECK-LABEL: func @contract(
func.func @contract(%x: tensor<3x64xi8>, %xs: tensor<3x2xf32>, %sums: tensor<3x2xi32>, %plain: memref<?x64xf32>,
                    %w: tensor<2x8x64xi8>, %ws: tensor<2x2x16xf16>, %wb: memref<2x8x64xi8>, %wsb: memref<2x2x16xf16>,
                    %n: index, %y: tensor<3x?xf32>, %yb: memref<?x16xf32, strided<[32, 1], offset: ?>>) -> tensor<3x?xf32> {
  // CHECK: lowbit.contract tensor<3x64xf32, #[[$INT8]]>(%{{.*}}, %{{.*}}) by tensor<32x64xf32, #[[$TILED]]>(%{{.*}}, %{{.*}}) from %{{.*}} sums(%{{.*}}) into %{{.*}} : (tensor<3x64xi8>, tensor<3x2xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<3x2xi32>, tensor<3x?xf32>) -> tensor<3x?xf32>
  %r = lowbit.contract tensor<3x64xf32, #int8> (%x, %xs) by tensor<32x64xf32, #tiled> (%w, %ws) from %n sums (%sums) into %y
    : (tensor<3x64xi8>, tensor<3x2xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<3x2xi32>, tensor<3x?xf32>) -> tensor<3x?xf32>
  // CHECK: lowbit.contract tensor<?x64xf32>(%{{.*}}) by tensor<32x64xf32, #[[$TILED]]>(%{{.*}}, %{{.*}}) from %{{.*}} into %{{.*}} : (memref<?x64xf32>, memref<2x8x64xi8>, memref<2x2x16xf16>, index, memref<?x16xf32, strided<[32, 1], offset: ?>>) -> ()
  lowbit.contract tensor<?x64xf32> (%plain) by tensor<32x64xf32, #tiled> (%wb, %wsb) from %n into %yb
    : (memref<?x64xf32>, memref<2x8x64xi8>, memref<2x2x16xf16>, index, memref<?x16xf32, strided<[32, 1], offset: ?>>) -> ()
  return %r : tensor<3x?xf32>
}

// CHECK-LABEL: func @lanes(
func.func @lanes(%w: vector<32xi8>, %x: vector<32xi8>, %sums: vector<8xi32>, %bytes: vector<16xi8>, %floats: vector<16xf32>)
    -> (vector<8xi32>, vector<32xi8>, vector<8xf32>) {
  // CHECK: lowbit.dot4 %{{.*}}, %{{.*}} into %{{.*}} : vector<32xi8>, vector<8xi32>
  %d = lowbit.dot4 %w, %x into %sums : vector<32xi8>, vector<8xi32>
  // CHECK: lowbit.lookup %{{.*}}, %{{.*}} : vector<16xi8>, vector<32xi8> -> vector<32xi8>
  %b = lowbit.lookup %bytes, %w : vector<16xi8>, vector<32xi8> -> vector<32xi8>
  // CHECK: lowbit.lookup %{{.*}}, %{{.*}} : vector<16xf32>, vector<8xi32> -> vector<8xf32>
  %f = lowbit.lookup %floats, %sums : vector<16xf32>, vector<8xi32> -> vector<8xf32>
  return %d, %b, %f : vector<8xi32>, vector<32xi8>, vector<8xf32>
}

// CHECK-LABEL: func @step(
// CHECK-SAME: attributes {lowbit.entry, lowbit.updates = array<i64: 1, -1>}
func.func @step(%g: tensor<8x64xf32>, %m: tensor<8x64xf32, #q>) -> (tensor<8x64xf32, #q>, tensor<8x64xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, -1>} {
  return %m, %g : tensor<8x64xf32, #q>, tensor<8x64xf32>
}

#rows8 = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

// CHECK-LABEL: func.func @insert
// CHECK:         lowbit.insert %{{.*}} into %{{.*}}[0, %{{.*}}, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #{{.*}}>
func.func @insert(%k: tensor<3x?x64xf32>, %cache: tensor<3x512x64xf32, #rows8>, %position: index) -> tensor<3x512x64xf32, #rows8> {
  %new = lowbit.insert %k into %cache[0, %position, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #rows8>
  return %new : tensor<3x512x64xf32, #rows8>
}

// CHECK-LABEL: func.func @rank
func.func @rank(%x: f32, %scale: f32, %v: vector<16xf32>, %scales: vector<16xf32>) -> (i32, vector<16xi32>) {
  // Thresholds come back as they are, in as many digits as they need.
  // CHECK: lowbit.rank %{{.*}} by %{{.*}} in [-5.000000e-01, 0.187500015] bounded : f32
  %r = lowbit.rank %x by %scale in [-0.5, 0.1875000149011612] bounded : f32
  // CHECK: lowbit.rank %{{.*}} by %{{.*}} in [1.000000e-01] : vector<16xf32>
  %w = lowbit.rank %v by %scales in [0.1] : vector<16xf32>
  return %r, %w : i32, vector<16xi32>
}

// CHECK-LABEL: func.func @quotient
func.func @quotient(%x: f32, %scale: f32, %v: vector<16xf32>, %scales: vector<16xf32>) -> (f32, vector<16xf32>) {
  // CHECK: lowbit.quotient %{{.*}}, %{{.*}} : f32
  %q = lowbit.quotient %x, %scale : f32
  // CHECK: lowbit.quotient %{{.*}}, %{{.*}} : vector<16xf32>
  %w = lowbit.quotient %v, %scales : vector<16xf32>
  return %q, %w : f32, vector<16xf32>
}

// CHECK-LABEL: func.func @observe
func.func @observe(%x: tensor<?x64xf32>) {
  // CHECK: lowbit.observe %{{.*}} for ["up.weight", "gate.weight"] [moments, squares, sums, magnitudes, maxima, minima] : tensor<?x64xf32>
  lowbit.observe %x for ["up.weight", "gate.weight"] [moments, squares, sums, magnitudes, maxima, minima] : tensor<?x64xf32>
  return
}
