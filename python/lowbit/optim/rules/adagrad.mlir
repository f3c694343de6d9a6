// Adagrad. Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.
//
//   g <- g + decay p
//   s <- s + g^2
//   p <- p - lr g / (sqrt(s) + eps)

#e = affine_map<(i, j) -> (i, j)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"},
                %s: !T {lowbit.name = "s", lowbit.nonnegative},
                %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-2},
                %eps: f64 {lowbit.name = "eps", lowbit.default = 1.0e-10},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %size = arith.truncf %lr : f64 to f32
  %e = arith.truncf %eps : f64 to f32
  %l2 = arith.truncf %decay : f64 to f32
  %0:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%p, %s : !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %si: f32):
      %weight = arith.mulf %l2, %pi : f32
      %gradient = arith.addf %gi, %weight : f32
      %square = arith.mulf %gradient, %gradient : f32
      %s1 = arith.addf %si, %square : f32
      %root = math.sqrt %s1 : f32
      %denominator = arith.addf %root, %e : f32
      %direction = arith.divf %gradient, %denominator : f32
      %change = arith.mulf %size, %direction : f32
      %p1 = arith.subf %pi, %change : f32
      linalg.yield %p1, %s1 : f32, f32
  } -> (!T, !T)
  return %0#0, %0#1 : !T, !T
}
