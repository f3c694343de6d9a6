// RUN: lowbit-opt %s --lowbit-fuse-attention --split-input-file --verify-diagnostics -o /dev/null

// A softmax that cannot be fused stays, and says why.

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
func.func @masses_are_a_result(%s: tensor<4x256xf32>, %v: tensor<256x64xf32>) -> (tensor<4x64xf32>, tensor<4x256xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x64xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<4x64xf32>) -> tensor<4x64xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: the masses are read by more than the product and their sum}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%o0 : tensor<4x64xf32>) -> tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%eo : tensor<4x64xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x64xf32>
  return %y, %mass : tensor<4x64xf32>, tensor<4x256xf32>
}

// -----

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
func.func @maximum_is_a_result(%s: tensor<4x256xf32>, %v: tensor<256x64xf32>) -> (tensor<4x64xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x64xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<4x64xf32>) -> tensor<4x64xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: the maximum of the scores is read elsewhere}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%o0 : tensor<4x64xf32>) -> tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%eo : tensor<4x64xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x64xf32>
  return %y, %highest : tensor<4x64xf32>, tensor<4xf32>
}

// -----

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
func.func @maximum_starts_at_zero(%s: tensor<4x256xf32>, %v: tensor<256x64xf32>) -> (tensor<4x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x64xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<4x64xf32>) -> tensor<4x64xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: the sum does not start at zero, or the maximum at minus infinity, by the same rows}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%o0 : tensor<4x64xf32>) -> tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%eo : tensor<4x64xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// -----

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
func.func @product_is_added(%s: tensor<4x256xf32>, %v: tensor<256x64xf32>, %old: tensor<4x64xf32>) -> (tensor<4x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x64xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = tensor.cast %old : tensor<4x64xf32> to tensor<4x64xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: the product with the masses sums more than their axis, or does not start at zero}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%o0 : tensor<4x64xf32>) -> tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%eo : tensor<4x64xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}

// -----

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
func.func @total_is_a_result(%s: tensor<4x256xf32>, %v: tensor<256x64xf32>) -> (tensor<4x64xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x64xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<4x64xf32>) -> tensor<4x64xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: the product and the sum of the masses are read by more than one elementwise op}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x64xf32>) outs(%o0 : tensor<4x64xf32>) -> tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x64xf32>, tensor<4xf32>) outs(%eo : tensor<4x64xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x64xf32>
  return %y, %total : tensor<4x64xf32>, tensor<4xf32>
}

// -----

#all = affine_map<(m, t) -> (m, t)>
#row = affine_map<(m, t) -> (m)>
#column = affine_map<(m, t) -> (t)>
func.func @total_of_other_rows(%s: tensor<4x256xf32>, %v: tensor<256x4xf32>) -> tensor<4x4xf32> {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x256xf32>
  %er = tensor.empty() : tensor<4xf32>
  %eo = tensor.empty() : tensor<4x4xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<4x256xf32>) outs(%h0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<4x256xf32>, tensor<4xf32>) outs(%e : tensor<4x256xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<4x256xf32>) outs(%t0 : tensor<4xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<4xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-remark @+1 {{a softmax whose scores are in memory as a whole: what divides the product by the sum of the masses reads other places of them}}
  %mixed = linalg.matmul ins(%mass, %v : tensor<4x256xf32>, tensor<256x4xf32>) outs(%o0 : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = linalg.generic {indexing_maps = [#all, #column, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<4x4xf32>, tensor<4xf32>) outs(%eo : tensor<4x4xf32>) {
    ^bb0(%in: f32, %t: f32, %c: f32):
      %x = arith.divf %in, %t : f32
      linalg.yield %x : f32
  } -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
