// lowbit-run: numpy arrays in, numpy arrays out, on both pipelines.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/arrays.py make %t
// RUN: lowbit-run %s --entry linear --input %t/x.npy --input %t/codes.npy --input %t/scale.npy \
// RUN:   --input 2.0:f32 --parameters %t/w.safetensors --output %t/cpu.npy
// RUN: %python %S/Inputs/arrays.py check %t cpu
// RUN: lowbit-run %s --entry linear --input %t/x.npy --input %t/codes.npy --input %t/scale.npy \
// RUN:   --input 2.0:f32 --parameters %t/w.safetensors --output %t/reference.npy --pipeline reference --threads 1
// RUN: %python %S/Inputs/arrays.py check %t reference

// The weights from an archive instead.
// RUN: lowbit-run %s --entry stored --input %t/x.npy --input %t/y.npy --parameters %t/w.safetensors \
// RUN:   --output %t/stored.npy
// RUN: %python %S/Inputs/arrays.py check %t stored

// Times are one JSON object.
// RUN: lowbit-run %s --entry linear --input %t/x.npy --input %t/codes.npy --input 0.5:8x2xf16 \
// RUN:   --input 1:f32 --parameters %t/w.safetensors --time 3 2>&1 | FileCheck %s
// CHECK: {"entry":"linear","runs":3,"median_seconds":{{.+}},"minimum_seconds":{{.+}},"compile_seconds":{{.+}}}

#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @linear(%x: tensor<3x64xf32>, %w: tensor<8x64xf32, #w4>, %factor: f32) -> tensor<3x8xf32>
    attributes {lowbit.entry} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<3x8xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                      affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<3x64xf32>, tensor<8x64xf32, #w4>) outs(%fill : tensor<3x8xf32>) -> tensor<3x8xf32>
  %s = tensor.empty() : tensor<3x8xf32>
  %scaled = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
                            iterator_types = ["parallel", "parallel"]}
    ins(%y : tensor<3x8xf32>) outs(%s : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %factor : f32
    linalg.yield %p : f32
  } -> tensor<3x8xf32>
  return %scaled : tensor<3x8xf32>
}

// In the storage of an argument of dynamic shape; twice the product, by adding it to itself.
func.func @stored(%x: tensor<?x64xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  %w = lowbit.parameter "w" : tensor<8x64xf32, #w4>
  %zero = arith.constant 0.0 : f32
  %fill = linalg.fill ins(%zero : f32) outs(%y : tensor<?x8xf32>) -> tensor<?x8xf32>
  %once = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                         affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<?x64xf32>, tensor<8x64xf32, #w4>) outs(%fill : tensor<?x8xf32>) -> tensor<?x8xf32>
  %twice = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                          affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<?x64xf32>, tensor<8x64xf32, #w4>) outs(%once : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %twice : tensor<?x8xf32>
}
