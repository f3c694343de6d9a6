// A program whose parameters are plain runs on an archive in any encoding, and takes integers from it.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/arrays.py make %t
// RUN: lowbit-run %s --entry linear --input %t/x.npy --parameters %t/w.safetensors --output %t/cpu.npy
// RUN: %python %S/Inputs/arrays.py check %t cpu
// RUN: lowbit-run %s --entry linear --input %t/x.npy --parameters %t/w.safetensors --output %t/reference.npy \
// RUN:   --pipeline reference
// RUN: %python %S/Inputs/arrays.py check %t reference

// Another shape is an error, not another program.
// RUN: sed 's/8x64/9x64/g; s/64x8/64x9/g; s/3x8/3x9/g' %s > %t/other.mlir
// RUN: not lowbit-run %t/other.mlir --entry linear --input %t/x.npy --parameters %t/w.safetensors 2>&1 | FileCheck %s
// CHECK: tensor 'w': the program reads component 'values' as f32 [9, 64], the file has

func.func @linear(%x: tensor<3x64xf32>) -> tensor<3x8xf32> attributes {lowbit.entry} {
  %w = lowbit.parameter "w" : tensor<8x64xf32>
  %factors = lowbit.parameter "factors" : tensor<2xi64>
  %c1 = arith.constant 1 : index
  %integer = tensor.extract %factors[%c1] : tensor<2xi64>
  %factor = arith.sitofp %integer : i64 to f32
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<3x8xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<3x8xf32>) -> tensor<3x8xf32>
  %e = tensor.empty() : tensor<64x8xf32>
  %t = linalg.transpose ins(%w : tensor<8x64xf32>) outs(%e : tensor<64x8xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %t : tensor<3x64xf32>, tensor<64x8xf32>) outs(%fill : tensor<3x8xf32>) -> tensor<3x8xf32>
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
