// RUN: lowbit-opt %s --lowbit-differentiate -split-input-file -verify-diagnostics
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(lowbit-differentiate{function=other})' -split-input-file 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(lowbit-differentiate{arguments=7})' -split-input-file 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(lowbit-differentiate{results=-1})' -split-input-file 2>&1 | FileCheck %s --check-prefix=RESULT

// OTHER: error: has no function 'other' with a body that could be differentiated
// ARGUMENT: error: argument 7 is no tensor of floats without encoding
// RESULT: error: result -1 is no tensor of floats without encoding

// expected-error @below {{has no function with a body that could be differentiated}}
module {
  func.func private @f(%x: tensor<8xf32>) -> tensor<8xf32>
}

// -----

// expected-error @below {{has no argument that is a tensor of floats without encoding}}
func.func @f(%x: tensor<8xi64>, %y: tensor<8xf32, #lowbit.quantized<int<4>, scale = f16 per [8]>>) -> tensor<8xf32> {
  %r = lowbit.decode %y : tensor<8xf32, #lowbit.quantized<int<4>, scale = f16 per [8]>>
  return %r : tensor<8xf32>
}

// -----

// expected-error @below {{has no result that is a tensor of floats without encoding}}
func.func @f(%x: tensor<8xf32>) -> index {
  %c0 = arith.constant 0 : index
  return %c0 : index
}

// -----

// expected-error @below {{has several blocks: only a straight line can be differentiated}}
func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  cf.br ^bb1
^bb1:
  return %x : tensor<8xf32>
}

// -----

// expected-error @below {{cannot be differentiated: 'f_vjp' is there already}}
func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
func.func private @f_vjp()

// -----

func.func private @g(tensor<8xf32>) -> tensor<8xf32>
func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{'func.call' op has no derivative that is known: lowbit-differentiate goes back over linalg, reshapes and slices of tensors}}
  %y = func.call @g(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

#e = affine_map<(i) -> (i)>
func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  %o = tensor.empty() : tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%o : tensor<8xf32>) {
    ^bb0(%a: f32, %z: f32):
      // expected-error @below {{'math.cbrt' op has no derivative that is known}}
      %y = math.cbrt %a : f32
      linalg.yield %y : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

func.func @f(%x: tensor<8xf32>, %s: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{cannot be differentiated: result 0 reduces by what is neither a sum nor an extremum}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]} ins(%x : tensor<8xf32>) outs(%s : tensor<f32>) {
    ^bb0(%a: f32, %z: f32):
      %y = arith.mulf %a, %z : f32
      linalg.yield %y : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

// The sum so far goes into another one.
#n = affine_map<(i) -> ()>
func.func @f(%x: tensor<8xf32>, %s: tensor<f32>, %t: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  // expected-error @below {{cannot be differentiated: result 0 reduces by what is neither a sum nor an extremum}}
  %r:2 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, #n, #n], iterator_types = ["reduction"]} ins(%x : tensor<8xf32>) outs(%s, %t : tensor<f32>, tensor<f32>) {
    ^bb0(%a: f32, %z: f32, %w: f32):
      %y = arith.addf %a, %z : f32
      %u = arith.addf %w, %y : f32
      linalg.yield %y, %u : f32, f32
  } -> (tensor<f32>, tensor<f32>)
  return %r#0, %r#1 : tensor<f32>, tensor<f32>
}

// -----

func.func @f(%x: tensor<8xf32>, %s: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{cannot be differentiated: the extremum begins with a value that itself needs a cotangent}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]} ins(%x : tensor<8xf32>) outs(%s : tensor<f32>) {
    ^bb0(%a: f32, %z: f32):
      %y = arith.minimumf %a, %z : f32
      linalg.yield %y : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

func.func @f(%x: tensor<10xf32>, %w: tensor<3xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{cannot be differentiated: operand 0 is read by affine_map<(d0, d1) -> (d0 + d1)>, not once for each of its own indices}}
  %r = linalg.conv_1d ins(%x, %w : tensor<10xf32>, tensor<3xf32>) outs(%y : tensor<8xf32>) -> tensor<8xf32>
  return %r : tensor<8xf32>
}
