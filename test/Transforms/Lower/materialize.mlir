// RUN: lowbit-opt %s -split-input-file --lowbit-materialize --lowbit-verify-explicit | FileCheck %s

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// An encoded input is decoded; the plain result stays as it is.

// CHECK-LABEL: func @matmul(
// CHECK-SAME: %[[X:.*]]: tensor<1x64xf32>, %[[W:.*]]: tensor<64x32xf32, #{{.*}}>, %[[Y:.*]]: tensor<1x32xf32>
// CHECK: %[[D:.*]] = lowbit.decode %[[W]]
// CHECK: %[[R:.*]] = linalg.matmul ins(%[[X]], %[[D]] : tensor<1x64xf32>, tensor<64x32xf32>) outs(%[[Y]] : tensor<1x32xf32>)
// CHECK: return %[[R]]
func.func @matmul(%x: tensor<1x64xf32>, %w: tensor<64x32xf32, #w>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %0 = linalg.matmul ins(%x, %w : tensor<1x64xf32>, tensor<64x32xf32, #w>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %0 : tensor<1x32xf32>
}

// -----

#m = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#v = #lowbit.quantized<uint<8>, scale = f32 per [1, 32], min = f32 per [1, 32]>
#id = affine_map<(i, j) -> (i, j)>

// Several outputs: what the region reads is decoded, what it only writes starts from an empty tensor. Each is encoded
// into the storage that it was given.

// CHECK-LABEL: func @update(
// CHECK-SAME: %[[G:.*]]: tensor<4x64xf32>, %[[M:[a-z0-9]*]]: tensor<4x64xf32, #{{.*}}>, %[[V:[a-z0-9]*]]: tensor<4x64xf32, #{{.*}}>
// CHECK: %[[MD:.*]] = lowbit.decode %[[M]]
// CHECK-NOT: lowbit.decode
// CHECK: %[[VE:.*]] = tensor.empty() : tensor<4x64xf32>
// CHECK: %[[R:.*]]:2 = linalg.generic {{.*}} ins(%[[G]] : tensor<4x64xf32>) outs(%[[MD]], %[[VE]] : tensor<4x64xf32>, tensor<4x64xf32>)
// CHECK-DAG: %[[M1:.*]] = lowbit.encode %[[R]]#0 into %[[M]]
// CHECK-DAG: %[[V1:.*]] = lowbit.encode %[[R]]#1 into %[[V]]
// CHECK: return %[[M1]], %[[V1]]
func.func @update(%g: tensor<4x64xf32>, %m: tensor<4x64xf32, #m>, %v: tensor<4x64xf32, #v>)
    -> (tensor<4x64xf32, #m>, tensor<4x64xf32, #v>) {
  %b = arith.constant 0.9 : f32
  %0:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<4x64xf32>) outs(%m, %v : tensor<4x64xf32, #m>, tensor<4x64xf32, #v>) {
    ^bb0(%x: f32, %old: f32, %unused: f32):
      %1 = arith.mulf %old, %b : f32
      %2 = arith.addf %1, %x : f32
      %3 = arith.mulf %x, %x : f32
      linalg.yield %2, %3 : f32, f32
  } -> (tensor<4x64xf32, #m>, tensor<4x64xf32, #v>)
  return %0#0, %0#1 : tensor<4x64xf32, #m>, tensor<4x64xf32, #v>
}

// -----

#a = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// A chain: what is stored encoded is rounded there, once, and read as rounded.

// CHECK-LABEL: func @chain(
// CHECK: %[[P:.*]] = linalg.matmul
// CHECK: %[[E:.*]] = lowbit.encode %[[P]] into
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: linalg.exp ins(%[[D]] : tensor<64x64xf32>)
func.func @chain(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>, %i: tensor<64x64xf32, #a>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %0 = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%i : tensor<64x64xf32, #a>) -> tensor<64x64xf32, #a>
  %1 = linalg.exp ins(%0 : tensor<64x64xf32, #a>) outs(%o : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %1 : tensor<64x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// A look-up inside a region decodes before the op, not once for each element.

// CHECK-LABEL: func @lookup(
// CHECK-SAME: %[[IDS:.*]]: tensor<5xi64>, %[[T:.*]]: tensor<1024x64xf32, #{{.*}}>
// CHECK: %[[D:.*]] = lowbit.decode %[[T]]
// CHECK: linalg.generic
// CHECK-NOT: lowbit.decode
// CHECK: tensor.extract %[[D]]
func.func @lookup(%ids: tensor<5xi64>, %t: tensor<1024x64xf32, #w>, %o: tensor<5x64xf32>) -> tensor<5x64xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<5xi64>) outs(%o : tensor<5x64xf32>) {
    ^bb0(%i: i64, %u: f32):
      %x = arith.index_cast %i : i64 to index
      %j = linalg.index 1 : index
      %v = tensor.extract %t[%x, %j] : tensor<1024x64xf32, #w>
      linalg.yield %v : f32
  } -> tensor<5x64xf32>
  return %0 : tensor<5x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// A plain slice of an encoded tensor is a slice of its values.

// CHECK-LABEL: func @slice(
// CHECK: %[[D:.*]] = lowbit.decode
// CHECK: tensor.extract_slice %[[D]][2, 0] [1, 64] [1, 1] : tensor<8x64xf32> to tensor<1x64xf32>
func.func @slice(%w: tensor<8x64xf32, #w>) -> tensor<1x64xf32> {
  %0 = tensor.extract_slice %w[2, 0] [1, 64] [1, 1] : tensor<8x64xf32, #w> to tensor<1x64xf32>
  return %0 : tensor<1x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// An encoded constant is its values, rounded into fresh storage.

// CHECK-LABEL: func @constant(
// CHECK: %[[C:.*]] = arith.constant dense<1.000000e+00> : tensor<2x32xf32>
// CHECK: %[[S:.*]] = tensor.empty() : tensor<2x32xf32, #{{.*}}>
// CHECK: %[[E:.*]] = lowbit.encode %[[C]] into %[[S]]
// CHECK: return %[[E]]
func.func @constant() -> tensor<2x32xf32, #w> {
  %0 = arith.constant dense<1.0> : tensor<2x32xf32, #w>
  return %0 : tensor<2x32xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Values that are only passed on stay encoded: calls, loops, branches, shapes.

// CHECK-LABEL: func @passed(
// CHECK-NOT: lowbit.{{decode|encode|convert}}
// CHECK: return
func.func private @callee(tensor<?x64xf32, #w>) -> tensor<?x64xf32, #w>
func.func @passed(%w: tensor<?x64xf32, #w>, %v: tensor<?x64xf32, #w>, %c: i1, %n: index) -> (tensor<?x64xf32, #w>, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = call @callee(%w) : (tensor<?x64xf32, #w>) -> tensor<?x64xf32, #w>
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %0) -> tensor<?x64xf32, #w> {
    %2 = scf.if %c -> tensor<?x64xf32, #w> {
      scf.yield %a : tensor<?x64xf32, #w>
    } else {
      scf.yield %v : tensor<?x64xf32, #w>
    }
    scf.yield %2 : tensor<?x64xf32, #w>
  }
  %3 = arith.select %c, %1, %v : tensor<?x64xf32, #w>
  %4 = tensor.dim %3, %c0 : tensor<?x64xf32, #w>
  return %3, %4 : tensor<?x64xf32, #w>, index
}
