// SGD with momentum, as torch.optim.SGD has it (dampening 0 with the first step); Sutskever et al., "On the importance of
// initialization and momentum in deep learning", 2013.
//
//   g <- g + decay p
//   m <- momentum m + g
//   p <- p - lr m

#e = affine_map<(i, j) -> (i, j)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"}, %m: !T {lowbit.name = "m"},
                %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-3},
                %momentum: f64 {lowbit.name = "momentum", lowbit.default = 0.9},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %b = arith.truncf %momentum : f64 to f32
  %size = arith.truncf %lr : f64 to f32
  %l2 = arith.truncf %decay : f64 to f32
  %0:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%p, %m : !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %mi: f32):
      %weight = arith.mulf %l2, %pi : f32
      %gradient = arith.addf %gi, %weight : f32
      %m0 = arith.mulf %b, %mi : f32
      %m1 = arith.addf %m0, %gradient : f32
      %change = arith.mulf %size, %m1 : f32
      %p1 = arith.subf %pi, %change : f32
      linalg.yield %p1, %m1 : f32, f32
  } -> (!T, !T)
  return %0#0, %0#1 : !T, !T
}
