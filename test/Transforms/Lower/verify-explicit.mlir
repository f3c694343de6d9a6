// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-verify-explicit | FileCheck %s

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// CHECK-LABEL: func @explicit(
func.func @explicit(%w: tensor<4x64xf32, #w>, %v: tensor<4x64xf32, #w>, %c: i1) -> tensor<4x64xf32, #w> {
  cf.cond_br %c, ^then(%w : tensor<4x64xf32, #w>), ^then(%v : tensor<4x64xf32, #w>)
^then(%a: tensor<4x64xf32, #w>):
  %0 = lowbit.decode %a : tensor<4x64xf32, #w>
  %1 = math.exp %0 : tensor<4x64xf32>
  %2 = tensor.empty() : tensor<4x64xf32, #w>
  %3 = lowbit.encode %1 into %2 : tensor<4x64xf32> into tensor<4x64xf32, #w>
  return %3 : tensor<4x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @input(%w: tensor<4x64xf32, #w>, %o: tensor<4x64xf32>) -> tensor<4x64xf32> {
  // expected-error @+1 {{'linalg.exp' computes on an encoded tensor implicitly; run lowbit-materialize}}
  %0 = linalg.exp ins(%w : tensor<4x64xf32, #w>) outs(%o : tensor<4x64xf32>) -> tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @output(%x: tensor<4x64xf32>, %o: tensor<4x64xf32, #w>) -> tensor<4x64xf32, #w> {
  // expected-error @+1 {{'linalg.exp' computes on an encoded tensor implicitly}}
  %0 = linalg.exp ins(%x : tensor<4x64xf32>) outs(%o : tensor<4x64xf32, #w>) -> tensor<4x64xf32, #w>
  return %0 : tensor<4x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Elementwise ops on tensors have no destination: their encoded form never means anything.
func.func @elementwise(%w: tensor<4x64xf32, #w>) -> tensor<4x64xf32, #w> {
  // expected-error @+1 {{'math.exp' computes on an encoded tensor implicitly}}
  %0 = math.exp %w : tensor<4x64xf32, #w>
  return %0 : tensor<4x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @element(%w: tensor<4x64xf32, #w>, %i: index) -> f32 {
  // expected-error @+1 {{'tensor.extract' computes on an encoded tensor implicitly}}
  %0 = tensor.extract %w[%i, %i] : tensor<4x64xf32, #w>
  return %0 : f32
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Only the region's argument is encoded.
func.func @argument(%w: tensor<4x64xf32, #w>) {
  // expected-error @+1 {{'scf.forall' computes on an encoded tensor implicitly}}
  %0 = scf.forall (%i) in (4) shared_outs(%o = %w) -> tensor<4x64xf32, #w> {
  }
  return
}
