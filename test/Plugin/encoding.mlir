// A third party's encoding, brought by a plug-in: read, checked, tiled, compiled and run by passes that do not know it.
// DEFINE: %{opt} = lowbit-opt --load-dialect-plugin=%plugins/palette-encoding.so
// RUN: %{opt} %s --verify-roundtrip | FileCheck %s
// RUN: %{opt} %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-tiling-pipeline)' | FileCheck %s --check-prefix=TILED

// Compiled with tiles and by the reference lowering, it computes what numpy computes from the components.
// RUN: %python %S/Inputs/linear.py write palette %t
// RUN: %{opt} %s --lowbit-cpu-pipeline -o %t/cpu.mlir
// RUN: FileCheck %s --check-prefix=LLVM < %t/cpu.mlir
// RUN: lowbit-run %t/cpu.mlir --pipeline none --entry linear --input %t/x.npy --input %t/codes.npy --input %t/palette.npy --output %t/y.npy
// RUN: %python %S/Inputs/linear.py check palette %t
// RUN: %{opt} %s --lowbit-reference-pipeline -o %t/reference.mlir
// RUN: lowbit-run %t/reference.mlir --pipeline none --entry linear --input %t/x.npy --input %t/codes.npy --input %t/palette.npy --output %t/y.npy
// RUN: %python %S/Inputs/linear.py check palette %t

#w = #palette.colors16

// CHECK-LABEL: func @linear(
// CHECK-SAME: tensor<48x96xf32, #palette.colors16>

// Each tile of rows is decoded from its bytes; the palette is whole.
// TILED-LABEL: func.func @linear(
// TILED-SAME: %[[X:[^:]*]]: tensor<5x96xf32>, %[[CODES:[^:]*]]: tensor<48x48xi8>, %[[PALETTE:[^:]*]]: tensor<16xf32>
// TILED-NOT: tensor<48x96xf32>
// TILED: scf.forall (%[[ROW:.*]]) = (0) to (48) step (16)
// TILED: tensor.extract_slice %[[CODES]][%[[ROW]], 0] [16, 48] [1, 1]
// TILED: tensor.extract %[[PALETTE]]
// TILED: linalg.matmul {{.*}} ins(%{{.*}}, %{{.*}} : tensor<5x96xf32>, tensor<16x96xf32>)
// TILED: tensor.parallel_insert_slice

// LLVM: lowbit.entries = [{arguments = [memref<5x96xf32>, memref<48x48xi8>, memref<16xf32>, memref<5x48xf32>], name = "linear", outputs = 1 : i64}]
// LLVM: llvm.func @_mlir_ciface_linear(
func.func @linear(%x: tensor<5x96xf32>, %w: tensor<48x96xf32, #w>) -> tensor<5x48xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<5x48xf32>
  %y = linalg.fill ins(%zero : f32) outs(%empty : tensor<5x48xf32>) -> tensor<5x48xf32>
  %r = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<5x96xf32>, tensor<48x96xf32, #w>) outs(%y : tensor<5x48xf32>) -> tensor<5x48xf32>
  return %r : tensor<5x48xf32>
}
