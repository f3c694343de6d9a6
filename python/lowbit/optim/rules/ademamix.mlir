// AdEMAMix: a fast and a slow average of gradients. Pagliardini, Ablin and Grangier, "The AdEMAMix Optimizer: Better, Faster,
// Older", 2024, Algorithm 1; alpha and beta3 are run-time numbers, so that a caller may warm them up (section 3).
//
//   m1 <- beta1 m1 + (1 - beta1) g
//   m2 <- beta3 m2 + (1 - beta3) g
//   v <- beta2 v + (1 - beta2) g^2
//   p <- (1 - lr decay) p - lr (m1 / (1 - beta1^t) + alpha m2) / (sqrt(v) / sqrt(1 - beta2^t) + eps)

#e = affine_map<(i, j) -> (i, j)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"},
                %m1: !T {lowbit.name = "m1"}, %m2: !T {lowbit.name = "m2"}, %v: !T {lowbit.name = "v", lowbit.nonnegative},
                %t: f64 {lowbit.name = "step"}, %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-3},
                %beta1: f64 {lowbit.name = "beta1", lowbit.default = 0.9},
                %beta2: f64 {lowbit.name = "beta2", lowbit.default = 0.999},
                %beta3: f64 {lowbit.name = "beta3", lowbit.default = 0.9999},
                %alpha: f64 {lowbit.name = "alpha", lowbit.default = 5.0},
                %eps: f64 {lowbit.name = "eps", lowbit.default = 1.0e-8},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 1.0e-2}) -> (!T, !T, !T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3, 4>} {
  // Once for all elements, in f64.
  %one = arith.constant 1.0 : f64
  %power1 = math.powf %beta1, %t : f64
  %power2 = math.powf %beta2, %t : f64
  %bias1 = arith.subf %one, %power1 : f64
  %bias2 = arith.subf %one, %power2 : f64
  %root2 = math.sqrt %bias2 : f64
  %inverse2 = arith.divf %one, %root2 : f64
  %inverse1 = arith.divf %one, %bias1 : f64
  %shrink = arith.mulf %lr, %decay : f64
  %keep64 = arith.subf %one, %shrink : f64
  %alpha1 = arith.subf %one, %beta1 : f64
  %alpha2 = arith.subf %one, %beta2 : f64
  %alpha3 = arith.subf %one, %beta3 : f64
  %b1 = arith.truncf %beta1 : f64 to f32
  %a1 = arith.truncf %alpha1 : f64 to f32
  %b2 = arith.truncf %beta2 : f64 to f32
  %a2 = arith.truncf %alpha2 : f64 to f32
  %b3 = arith.truncf %beta3 : f64 to f32
  %a3 = arith.truncf %alpha3 : f64 to f32
  %correct = arith.truncf %inverse1 : f64 to f32
  %slow = arith.truncf %alpha : f64 to f32
  %inverse = arith.truncf %inverse2 : f64 to f32
  %size = arith.truncf %lr : f64 to f32
  %keep = arith.truncf %keep64 : f64 to f32
  %e = arith.truncf %eps : f64 to f32
  %0:4 = linalg.generic {indexing_maps = [#e, #e, #e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%p, %m1, %m2, %v : !T, !T, !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %m1i: f32, %m2i: f32, %vi: f32):
      %x0 = arith.mulf %b1, %m1i : f32
      %x1 = arith.mulf %a1, %gi : f32
      %fast = arith.addf %x0, %x1 : f32
      %y0 = arith.mulf %b3, %m2i : f32
      %y1 = arith.mulf %a3, %gi : f32
      %old = arith.addf %y0, %y1 : f32
      %square = arith.mulf %gi, %gi : f32
      %v0 = arith.mulf %b2, %vi : f32
      %v1 = arith.mulf %a2, %square : f32
      %v2 = arith.addf %v0, %v1 : f32
      %deviation = math.sqrt %v2 : f32
      %corrected = arith.mulf %deviation, %inverse : f32
      %denominator = arith.addf %corrected, %e : f32
      %unbiased = arith.mulf %correct, %fast : f32
      %weighted = arith.mulf %slow, %old : f32
      %numerator = arith.addf %unbiased, %weighted : f32
      %direction = arith.divf %numerator, %denominator : f32
      %change = arith.mulf %size, %direction : f32
      %kept = arith.mulf %keep, %pi : f32
      %p1 = arith.subf %kept, %change : f32
      linalg.yield %p1, %fast, %old, %v2 : f32, f32, f32, f32
  } -> (!T, !T, !T, !T)
  return %0#0, %0#1, %0#2, %0#3 : !T, !T, !T, !T
}
