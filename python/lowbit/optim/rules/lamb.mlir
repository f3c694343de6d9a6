// LAMB: a trust ratio for each parameter. You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
// 2020, Algorithm 2, with phi(x) = x and a ratio of 1 where a norm is 0.
//
//   m <- beta1 m + (1 - beta1) g
//   v <- beta2 v + (1 - beta2) g^2
//   u <- m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + decay p
//   p <- p - lr |p| / |u| u

#e = affine_map<(i, j) -> (i, j)>
#s = affine_map<(i, j) -> ()>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"},
                %m: !T {lowbit.name = "m"}, %v: !T {lowbit.name = "v", lowbit.nonnegative},
                %t: f64 {lowbit.name = "step"}, %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-3},
                %beta1: f64 {lowbit.name = "beta1", lowbit.default = 0.9},
                %beta2: f64 {lowbit.name = "beta2", lowbit.default = 0.999},
                %eps: f64 {lowbit.name = "eps", lowbit.default = 1.0e-6},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 1.0e-2}) -> (!T, !T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>} {
  %one = arith.constant 1.0 : f64
  %power1 = math.powf %beta1, %t : f64
  %power2 = math.powf %beta2, %t : f64
  %bias1 = arith.subf %one, %power1 : f64
  %bias2 = arith.subf %one, %power2 : f64
  %root2 = math.sqrt %bias2 : f64
  %inverse2 = arith.divf %one, %root2 : f64
  %inverse1 = arith.divf %one, %bias1 : f64
  %alpha1 = arith.subf %one, %beta1 : f64
  %alpha2 = arith.subf %one, %beta2 : f64
  %b1 = arith.truncf %beta1 : f64 to f32
  %a1 = arith.truncf %alpha1 : f64 to f32
  %b2 = arith.truncf %beta2 : f64 to f32
  %a2 = arith.truncf %alpha2 : f64 to f32
  %correct = arith.truncf %inverse1 : f64 to f32
  %inverse = arith.truncf %inverse2 : f64 to f32
  %e = arith.truncf %eps : f64 to f32
  %l2 = arith.truncf %decay : f64 to f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %g, %c0 : !T
  %columns = tensor.dim %g, %c1 : !T
  %empty = tensor.empty(%rows, %columns) : !T
  %0:3 = linalg.generic {indexing_maps = [#e, #e, #e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g, %p : !T, !T) outs(%m, %v, %empty : !T, !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %mi: f32, %vi: f32, %unused: f32):
      %m0 = arith.mulf %b1, %mi : f32
      %m1 = arith.mulf %a1, %gi : f32
      %m2 = arith.addf %m0, %m1 : f32
      %square = arith.mulf %gi, %gi : f32
      %v0 = arith.mulf %b2, %vi : f32
      %v1 = arith.mulf %a2, %square : f32
      %v2 = arith.addf %v0, %v1 : f32
      %deviation = math.sqrt %v2 : f32
      %corrected = arith.mulf %deviation, %inverse : f32
      %denominator = arith.addf %corrected, %e : f32
      %unbiased = arith.mulf %correct, %m2 : f32
      %direction = arith.divf %unbiased, %denominator : f32
      %weight = arith.mulf %l2, %pi : f32
      %u = arith.addf %direction, %weight : f32
      linalg.yield %m2, %v2, %u : f32, f32, f32
  } -> (!T, !T, !T)
  // Squares of both norms, in f64.
  %zero = arith.constant dense<0.0> : tensor<f64>
  %1:2 = linalg.generic {indexing_maps = [#e, #e, #s, #s], iterator_types = ["reduction", "reduction"]}
      ins(%p, %0#2 : !T, !T) outs(%zero, %zero : tensor<f64>, tensor<f64>) {
    ^bb0(%pi: f32, %ui: f32, %sp: f64, %su: f64):
      %p64 = arith.extf %pi : f32 to f64
      %u64 = arith.extf %ui : f32 to f64
      %pp = arith.mulf %p64, %p64 : f64
      %uu = arith.mulf %u64, %u64 : f64
      %sp1 = arith.addf %sp, %pp : f64
      %su1 = arith.addf %su, %uu : f64
      linalg.yield %sp1, %su1 : f64, f64
  } -> (tensor<f64>, tensor<f64>)
  %pp = tensor.extract %1#0[] : tensor<f64>
  %uu = tensor.extract %1#1[] : tensor<f64>
  %squares = arith.divf %pp, %uu : f64
  %ratio = math.sqrt %squares : f64
  %none = arith.constant 0.0 : f64
  %hasP = arith.cmpf ogt, %pp, %none : f64
  %hasU = arith.cmpf ogt, %uu, %none : f64
  %hasBoth = arith.andi %hasP, %hasU : i1
  %trust = arith.select %hasBoth, %ratio, %one : f64
  %size64 = arith.mulf %lr, %trust : f64
  %size = arith.truncf %size64 : f64 to f32
  %2 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%0#2 : !T) outs(%p : !T) {
    ^bb0(%ui: f32, %pi: f32):
      %change = arith.mulf %size, %ui : f32
      %p1 = arith.subf %pi, %change : f32
      linalg.yield %p1 : f32
  } -> !T
  return %2, %0#0, %0#1 : !T, !T, !T
}
