// RUN: not lowbit-opt %s --lowbit-emit-contractions=groups=0 2>&1 | FileCheck %s --check-prefix=GROUPS
// RUN: not lowbit-opt %s --lowbit-emit-contractions=vectors=-1 2>&1 | FileCheck %s --check-prefix=VECTORS
// RUN: not lowbit-opt %s --lowbit-emit-contractions=prefetch-locality=4 2>&1 | FileCheck %s --check-prefix=LOCALITY
// RUN: not lowbit-opt %s --lowbit-inner-tiles=groups=-1 2>&1 | FileCheck %s --check-prefix=ITERATION
// GROUPS: lowbit-emit-contractions: groups is 1 to 64, not 0
// VECTORS: lowbit-emit-contractions: vectors is 1 to 1024, not -1
// LOCALITY: lowbit-emit-contractions: prefetch-locality is 0 to 3, not 4
// ITERATION: lowbit-inner-tiles: groups is at least 1, not -1
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-emit-contractions

#w8 = #lowbit.quantized<int<8>, layout = tiled>
func.func @tensors(%x: tensor<1x4xf32>, %w: tensor<1x1x64xi8>, %y: tensor<1x16xf32>) -> tensor<1x16xf32> {
  %first = arith.constant 0 : index
  // expected-error @below {{cannot become vector code: it is not on buffers}}
  %r = lowbit.contract tensor<1x4xf32> (%x) by tensor<16x4xf32, #w8> (%w) from %first into %y
    : (tensor<1x4xf32>, tensor<1x1x64xi8>, index, tensor<1x16xf32>) -> tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}

// -----

#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 2], layout = tiled>
func.func @blocks(%x: memref<1x8xf32>, %w: memref<1x1x64xi8>, %s: memref<1x4x16xf16>, %y: memref<1x16xf32>) {
  %first = arith.constant 0 : index
  // expected-error @below {{cannot become vector code: it has blocks of 2 columns over which all scales are constant: a multiple of 4 is needed}}
  lowbit.contract tensor<1x8xf32> (%x) by tensor<16x8xf32, #w4> (%w, %s) from %first into %y
    : (memref<1x8xf32>, memref<1x1x64xi8>, memref<1x4x16xf16>, index, memref<1x16xf32>) -> ()
  return
}
