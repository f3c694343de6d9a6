// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-input-scales

#a8 = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
func.func @no_product(%x: tensor<4x64xf32>) -> tensor<4x64xf32, #a8> {
  %empty = tensor.empty() : tensor<4x64xf32, #a8>
  // expected-error @below {{scales are given, but no product with a weight says which: assemble the storage with them}}
  %e = lowbit.encode %x into %empty : tensor<4x64xf32> into tensor<4x64xf32, #a8>
  return %e : tensor<4x64xf32, #a8>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#a8 = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
func.func @argument(%x: tensor<4x64xf32>, %w: tensor<32x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %empty = tensor.empty() : tensor<4x64xf32, #a8>
  // expected-error @below {{scales of inputs lie beside the weight in its archive, and this weight is no parameter: argument 1}}
  %e = lowbit.encode %x into %empty : tensor<4x64xf32> into tensor<4x64xf32, #a8>
  %a = lowbit.decode %e : tensor<4x64xf32, #a8>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<4x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %r : tensor<4x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#rows = #lowbit.quantized<int<8>, scale = f32 per axis 0, rule = given>
func.func @rows(%x: tensor<?x64xf32>, %n: index, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %w = lowbit.parameter "w" : tensor<32x64xf32>
  %empty = tensor.empty(%n) : tensor<?x64xf32, #rows>
  // expected-error @below {{component 'scale' of the inputs depends on how many there are: scales that are given are 'per tensor'}}
  %e = lowbit.encode %x into %empty : tensor<?x64xf32> into tensor<?x64xf32, #rows>
  %a = lowbit.decode %e : tensor<?x64xf32, #rows>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}
