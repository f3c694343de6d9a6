// Lion. Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, Algorithm 2.
//
//   p <- (1 - lr decay) p - lr sign(beta1 m + (1 - beta1) g)
//   m <- beta2 m + (1 - beta2) g

#e = affine_map<(i, j) -> (i, j)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"}, %m: !T {lowbit.name = "m"},
                %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-4},
                %beta1: f64 {lowbit.name = "beta1", lowbit.default = 0.9},
                %beta2: f64 {lowbit.name = "beta2", lowbit.default = 0.99},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %one = arith.constant 1.0 : f64
  %alpha1 = arith.subf %one, %beta1 : f64
  %alpha2 = arith.subf %one, %beta2 : f64
  %shrink = arith.mulf %lr, %decay : f64
  %keep64 = arith.subf %one, %shrink : f64
  %b1 = arith.truncf %beta1 : f64 to f32
  %a1 = arith.truncf %alpha1 : f64 to f32
  %b2 = arith.truncf %beta2 : f64 to f32
  %a2 = arith.truncf %alpha2 : f64 to f32
  %size = arith.truncf %lr : f64 to f32
  %keep = arith.truncf %keep64 : f64 to f32
  %zero = arith.constant 0.0 : f32
  %0:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%p, %m : !T, !T) {
    ^bb0(%gi: f32, %pi: f32, %mi: f32):
      %c0 = arith.mulf %b1, %mi : f32
      %c1 = arith.mulf %a1, %gi : f32
      %c = arith.addf %c0, %c1 : f32
      // lr sign(c), and 0 where c is.
      %signed = math.copysign %size, %c : f32
      %isZero = arith.cmpf oeq, %c, %zero : f32
      %change = arith.select %isZero, %zero, %signed : f32
      %kept = arith.mulf %keep, %pi : f32
      %p1 = arith.subf %kept, %change : f32
      %m0 = arith.mulf %b2, %mi : f32
      %m1 = arith.mulf %a2, %gi : f32
      %m2 = arith.addf %m0, %m1 : f32
      linalg.yield %p1, %m2 : f32, f32
  } -> (!T, !T)
  return %0#0, %0#1 : !T, !T
}
