// A third party's number format, brought by a plug-in: it gives a table of levels, everything else follows.
// DEFINE: %{opt} = lowbit-opt --load-dialect-plugin=%plugins/toy-format.so
// RUN: %{opt} %s --verify-roundtrip | FileCheck %s
// RUN: %{opt} %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-tiling-pipeline)' | FileCheck %s --check-prefix=TILED

// Compiled with tiles and by the reference lowering, it computes what numpy computes from the components.
// RUN: %python %S/Inputs/linear.py write format %t
// RUN: %{opt} %s --lowbit-cpu-pipeline -o %t/cpu.mlir
// RUN: FileCheck %s --check-prefix=LLVM < %t/cpu.mlir
// RUN: lowbit-run %t/cpu.mlir --pipeline none --entry linear --input %t/x.npy --input %t/codes.npy --input %t/scale.npy --output %t/y.npy
// RUN: %python %S/Inputs/linear.py check format %t
// RUN: %{opt} %s --lowbit-reference-pipeline -o %t/reference.mlir
// RUN: lowbit-run %t/reference.mlir --pipeline none --entry linear --input %t/x.npy --input %t/codes.npy --input %t/scale.npy --output %t/y.npy
// RUN: %python %S/Inputs/linear.py check format %t

// CHECK-DAG: #[[$W:.*]] = #lowbit.quantized<#toy.fp4e2m1, scale = f16 per [1, 32]>
#w = #lowbit.quantized<#toy.fp4e2m1, scale = f16 per [1, 32]>

// A foreign format is at home wherever a format is: as codes, as scale, in every combinator.
// CHECK-DAG: #lowbit.quantized<#toy.fp4e2m1, scale = #toy.fp4e2m1 per [1, 32], min = #toy.fp4e2m1 per tensor>
func.func private @levels(tensor<8x64xf32, #lowbit.quantized<#toy.fp4e2m1, scale = #toy.fp4e2m1 per [1, 32], min = #toy.fp4e2m1 per tensor>>)
// CHECK-DAG: #lowbit.quantized<int<4>, scale = f32 per tensor * #toy.fp4e2m1 per [1, 16]>
func.func private @nested(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 per tensor * #toy.fp4e2m1 per [1, 16]>>)
// CHECK-DAG: #lowbit.quantized<#toy.fp4e2m1, scale = f32 rank1<min>>
func.func private @part(tensor<8x64xf32, #lowbit.part<axis = 0, at = [4], #lowbit.quantized<#toy.fp4e2m1, scale = f32 rank1<min>>, #w>>)

// CHECK-LABEL: func.func @linear(
// CHECK-SAME: tensor<48x96xf32, #[[$W]]>

// TILED-LABEL: func.func @linear(
// TILED-SAME: %[[X:[^:]*]]: tensor<5x96xf32>, %[[CODES:[^:]*]]: tensor<48x48xi8>, %[[SCALE:[^:]*]]: tensor<48x3xf16>
// TILED: %[[LEVELS:.*]] = arith.constant dense<[-6.000000e+00, -4.000000e+00, {{.*}}, 4.000000e+00, 6.000000e+00, 6.000000e+00]> : tensor<16xf32>
// TILED-NOT: tensor<48x96xf32>
// TILED: scf.forall (%[[ROW:.*]]) = (0) to (48) step (16)
// TILED: tensor.extract_slice %[[CODES]][%[[ROW]], 0] [16, 48] [1, 1]
// TILED: tensor.extract_slice %[[SCALE]][%[[ROW]], 0] [16, 3] [1, 1]
// TILED: tensor.extract %[[LEVELS]]
// TILED: arith.mulf
// TILED: linalg.matmul {{.*}} ins(%{{.*}}, %{{.*}} : tensor<5x96xf32>, tensor<16x96xf32>)

// LLVM: lowbit.entries = [{arguments = [memref<5x96xf32>, memref<48x48xi8>, memref<48x3xf16>, memref<5x48xf32>], name = "linear", outputs = 1 : i64}]
func.func @linear(%x: tensor<5x96xf32>, %w: tensor<48x96xf32, #w>) -> tensor<5x48xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<5x48xf32>
  %y = linalg.fill ins(%zero : f32) outs(%empty : tensor<5x48xf32>) -> tensor<5x48xf32>
  %r = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<5x96xf32>, tensor<48x96xf32, #w>) outs(%y : tensor<5x48xf32>) -> tensor<5x48xf32>
  return %r : tensor<5x48xf32>
}
