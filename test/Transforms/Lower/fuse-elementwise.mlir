// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-fuse-elementwise))' | FileCheck %s

#id = affine_map<(i, j) -> (i, j)>
#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// CHECK-DAG: #[[$NK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$KBM:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d0, d1)>
// CHECK-LABEL: func @one_reader(
// CHECK: linalg.generic
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NOT: linalg.generic
func.func @one_reader(%x: tensor<4x64xf32>, %o: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.mulf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.addf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  return %1 : tensor<4x64xf32>
}

// What two ops read is computed once.

// CHECK-LABEL: func @two_readers(
// CHECK: %[[M:.*]] = linalg.generic
// CHECK: arith.mulf
// CHECK: %[[A:.*]] = linalg.generic {{.*}} ins(%[[M]] :
// CHECK-NOT: arith.mulf
// CHECK: return %[[M]], %[[A]]
func.func @two_readers(%x: tensor<4x64xf32>, %o: tensor<4x64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>) {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.mulf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.addf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  return %0, %1 : tensor<4x64xf32>, tensor<4x64xf32>
}

// A contraction keeps its shape, and with it the decode that it reads.

// CHECK-LABEL: func @reshaped(
// CHECK: lowbit.decode %{{.*}} : tensor<64x64xf32,
// CHECK: linalg.matmul {{.*}} -> tensor<1x64xf32>
// CHECK: tensor.collapse_shape
// CHECK: tensor.expand_shape
// CHECK: linalg.generic
func.func @reshaped(%x: tensor<1x64xf32>, %w: tensor<64x64xf32, #w>, %o: tensor<1x64xf32>, %p: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %d = lowbit.decode %w : tensor<64x64xf32, #w>
  %0 = linalg.matmul ins(%x, %d : tensor<1x64xf32>, tensor<64x64xf32>) outs(%o : tensor<1x64xf32>) -> tensor<1x64xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<1x64xf32> into tensor<64xf32>
  %2 = tensor.expand_shape %1 [[0, 1]] output_shape [8, 8] : tensor<64xf32> into tensor<8x8xf32>
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<8x8xf32>) outs(%p : tensor<8x8xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = math.exp %a : f32
      linalg.yield %m : f32
  } -> tensor<8x8xf32>
  return %3 : tensor<8x8xf32>
}

// A rounding between two ops is no op that fusion could drop.

// CHECK-LABEL: func @rounded(
// CHECK: linalg.generic
// CHECK: %[[E:.*]] = lowbit.encode
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: linalg.generic {{.*}} ins(%[[D]] :
func.func @rounded(%x: tensor<4x64xf32>, %e: tensor<4x64xf32, #w>, %o: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.mulf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  %1 = lowbit.encode %0 into %e : tensor<4x64xf32> into tensor<4x64xf32, #w>
  %2 = lowbit.decode %1 : tensor<4x64xf32, #w>
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.addf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  return %3 : tensor<4x64xf32>
}

// A contraction reads through a transpose, whatever the transpose is of.

// CHECK-LABEL: func @transposed(
// CHECK: %[[D:.*]] = lowbit.decode
// CHECK-NOT: linalg.transpose
// CHECK: linalg.matmul indexing_maps = [#{{.*}}, #[[$NK]], #{{.*}}] ins(%{{.*}}, %[[D]] : tensor<4x64xf32>, tensor<16x64xf32>)
func.func @transposed(%x: tensor<4x64xf32>, %w: tensor<16x64xf32, #w>, %t: tensor<64x16xf32>, %o: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %d = lowbit.decode %w : tensor<16x64xf32, #w>
  %0 = linalg.transpose ins(%d : tensor<16x64xf32>) outs(%t : tensor<64x16xf32>) permutation = [1, 0]
  %1 = linalg.matmul ins(%x, %0 : tensor<4x64xf32>, tensor<64x16xf32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}

// A cycle of three axes is not its own inverse.

// CHECK-LABEL: func @cycle(
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {indexing_maps = [#[[$KBM]], #{{.*}}, #{{.*}}], {{.*}} ins(%{{.*}}, %{{.*}} : tensor<32x2x4xf32>, tensor<2x32x8xf32>)
func.func @cycle(%x: tensor<32x2x4xf32>, %w: tensor<2x32x8xf32>, %t: tensor<2x4x32xf32>, %o: tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  %0 = linalg.transpose ins(%x : tensor<32x2x4xf32>) outs(%t : tensor<2x4x32xf32>) permutation = [1, 2, 0]
  %1 = linalg.batch_matmul ins(%0, %w : tensor<2x4x32xf32>, tensor<2x32x8xf32>) outs(%o : tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %1 : tensor<2x4x8xf32>
}

// Fused into a contraction, an exponential would be computed for each column.

// CHECK-LABEL: func @into_contraction(
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK-NOT: math.exp
// CHECK: return
func.func @into_contraction(%x: tensor<4x64xf32>, %w: tensor<64x16xf32>, %e: tensor<4x64xf32>, %o: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%e : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = math.exp %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0, %w : tensor<4x64xf32>, tensor<64x16xf32>) outs(%o : tensor<4x16xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %c, %p : f32
      linalg.yield %s : f32
  } -> tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}

// A check is made once, where it stands.

// CHECK-LABEL: func @checked(
// CHECK-COUNT-1: cf.assert
// CHECK: linalg.generic
// CHECK-NOT: cf.assert
// CHECK: return
func.func @checked(%x: tensor<4x64xf32>, %o: tensor<4x64xf32>, %low: f32) -> tensor<4x64xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %good = arith.cmpf ogt, %a, %low : f32
      cf.assert %good, "too low"
      %l = math.log %a : f32
      linalg.yield %l : f32
  } -> tensor<4x64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x64xf32>) outs(%o : tensor<4x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.addf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x64xf32>
  return %1 : tensor<4x64xf32>
}
