// RMSprop. Hinton, Srivastava and Swersky, "Neural Networks for Machine Learning", lecture 6a, 2012; eps outside of the root.
//
//   g <- g + decay p
//   s <- alpha s + (1 - alpha) g^2
//   p <- p - lr g / (sqrt(s) + eps)

#e = affine_map<(i, j) -> (i, j)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"},
                %s: !T {lowbit.name = "s", lowbit.nonnegative},
                %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-2},
                %alpha: f64 {lowbit.name = "alpha", lowbit.default = 0.99},
                %eps: f64 {lowbit.name = "eps", lowbit.default = 1.0e-8},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %one = arith.constant 1.0 : f64
  %rest = arith.subf %one, %alpha : f64
  %b = arith.truncf %alpha : f64 to f32
  %a = arith.truncf %rest : f64 to f32
  %size = arith.truncf %lr : f64 to f32
  %e = arith.truncf %eps : f64 to f32
  %l2 = arith.truncf %decay : f64 to f32
  %0:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%p, %s : !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %si: f32):
      %weight = arith.mulf %l2, %pi : f32
      %gradient = arith.addf %gi, %weight : f32
      %square = arith.mulf %gradient, %gradient : f32
      %s0 = arith.mulf %b, %si : f32
      %s1 = arith.mulf %a, %square : f32
      %s2 = arith.addf %s0, %s1 : f32
      %root = math.sqrt %s2 : f32
      %denominator = arith.addf %root, %e : f32
      %direction = arith.divf %gradient, %denominator : f32
      %change = arith.mulf %size, %direction : f32
      %p1 = arith.subf %pi, %change : f32
      linalg.yield %p1, %s2 : f32, f32
  } -> (!T, !T)
  return %0#0, %0#1 : !T, !T
}
