// Adafactor: the second moment as a product of a row's and a column's mean. Shazeer and Stern, "Adafactor: Adaptive Learning Rates
// with Sublinear Memory Cost", 2018, Algorithms 4 and 5, with means in place of sums. A flat parameter is one row: its second
// moment is whole, as in the paper.
//
//   beta2 = 1 - t^decay_rate
//   r <- beta2 r + (1 - beta2) mean of g^2 + eps1 over columns
//   c <- beta2 c + (1 - beta2) mean of g^2 + eps1 over rows
//   u <- g / sqrt(r c / mean(r)),  u <- u / max(1, RMS(u) / clip)
//   p <- (1 - lr decay) p - lr max(eps2, RMS(p)) u

#e = affine_map<(i, j) -> (i, j)>
#r = affine_map<(i, j) -> (i, 0)>
#c = affine_map<(i, j) -> (0, j)>
#s = affine_map<(i, j) -> ()>
!T = tensor<?x?xf32>
!R = tensor<?x1xf32>
!C = tensor<1x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"},
                %r: !R {lowbit.name = "r", lowbit.nonnegative}, %c: !C {lowbit.name = "c", lowbit.nonnegative},
                %t: f64 {lowbit.name = "step"}, %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-2},
                %decay_rate: f64 {lowbit.name = "decay_rate", lowbit.default = -0.8},
                %eps1: f64 {lowbit.name = "eps1", lowbit.default = 1.0e-30},
                %eps2: f64 {lowbit.name = "eps2", lowbit.default = 1.0e-3},
                %clip: f64 {lowbit.name = "clip", lowbit.default = 1.0},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !R, !C)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %g, %c0 : !T
  %columns = tensor.dim %g, %c1 : !T
  %rows64 = arith.index_cast %rows : index to i64
  %columns64 = arith.index_cast %columns : index to i64
  %n = arith.sitofp %rows64 : i64 to f64
  %k = arith.sitofp %columns64 : i64 to f64
  %nk = arith.mulf %n, %k : f64
  %one = arith.constant 1.0 : f64
  %zero64 = arith.constant 0.0 : f64
  %a64 = math.powf %t, %decay_rate : f64
  %b64 = arith.subf %one, %a64 : f64
  %a = arith.truncf %a64 : f64 to f32
  %b = arith.truncf %b64 : f64 to f32
  %e1 = arith.truncf %eps1 : f64 to f32
  %k32 = arith.truncf %k : f64 to f32
  %n32 = arith.truncf %n : f64 to f32

  // The means of squares, over columns and over rows.
  %zero = arith.constant 0.0 : f32
  %rEmpty = tensor.empty(%rows) : !R
  %cEmpty = tensor.empty(%columns) : !C
  %rStart = linalg.fill ins(%zero : f32) outs(%rEmpty : !R) -> !R
  %cStart = linalg.fill ins(%zero : f32) outs(%cEmpty : !C) -> !C
  %rSum = linalg.generic {indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]} ins(%g : !T) outs(%rStart : !R) {
    ^bb0(%gi: f32, %sum: f32):
      %square = arith.mulf %gi, %gi : f32
      %above = arith.addf %square, %e1 : f32
      %next = arith.addf %sum, %above : f32
      linalg.yield %next : f32
  } -> !R
  %cSum = linalg.generic {indexing_maps = [#e, #c], iterator_types = ["reduction", "parallel"]} ins(%g : !T) outs(%cStart : !C) {
    ^bb0(%gi: f32, %sum: f32):
      %square = arith.mulf %gi, %gi : f32
      %above = arith.addf %square, %e1 : f32
      %next = arith.addf %sum, %above : f32
      linalg.yield %next : f32
  } -> !C
  %r1 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%rSum : !R) outs(%r : !R) {
    ^bb0(%sum: f32, %ri: f32):
      %mean = arith.divf %sum, %k32 : f32
      %old = arith.mulf %b, %ri : f32
      %new = arith.mulf %a, %mean : f32
      %next = arith.addf %old, %new : f32
      linalg.yield %next : f32
  } -> !R
  %c2 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%cSum : !C) outs(%c : !C) {
    ^bb0(%sum: f32, %ci: f32):
      %mean = arith.divf %sum, %n32 : f32
      %old = arith.mulf %b, %ci : f32
      %new = arith.mulf %a, %mean : f32
      %next = arith.addf %old, %new : f32
      linalg.yield %next : f32
  } -> !C
  %start = arith.constant dense<0.0> : tensor<f64>
  %total = linalg.generic {indexing_maps = [#e, #s], iterator_types = ["reduction", "reduction"]} ins(%r1 : !R) outs(%start : tensor<f64>) {
    ^bb0(%ri: f32, %sum: f64):
      %wide = arith.extf %ri : f32 to f64
      %next = arith.addf %sum, %wide : f64
      linalg.yield %next : f64
  } -> tensor<f64>
  %sum64 = tensor.extract %total[] : tensor<f64>
  %mean64 = arith.divf %sum64, %n : f64
  %mean = arith.truncf %mean64 : f64 to f32

  // The update, and both root mean squares.
  %uEmpty = tensor.empty(%rows, %columns) : !T
  %u = linalg.generic {indexing_maps = [#e, #r, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g, %r1, %c2 : !T, !R, !C) outs(%uEmpty : !T) {
    ^bb0(%gi: f32, %ri: f32, %ci: f32, %unused: f32):
      // The quotient first: a product of two small means would vanish.
      %share = arith.divf %ri, %mean : f32
      %variance = arith.mulf %share, %ci : f32
      %deviation = math.sqrt %variance : f32
      %direction = arith.divf %gi, %deviation : f32
      linalg.yield %direction : f32
  } -> !T
  %squares:2 = linalg.generic {indexing_maps = [#e, #e, #s, #s], iterator_types = ["reduction", "reduction"]}
      ins(%p, %u : !T, !T) outs(%start, %start : tensor<f64>, tensor<f64>) {
    ^bb0(%pi: f32, %ui: f32, %sp: f64, %su: f64):
      %p64 = arith.extf %pi : f32 to f64
      %u64 = arith.extf %ui : f32 to f64
      %pp = arith.mulf %p64, %p64 : f64
      %uu = arith.mulf %u64, %u64 : f64
      %sp1 = arith.addf %sp, %pp : f64
      %su1 = arith.addf %su, %uu : f64
      linalg.yield %sp1, %su1 : f64, f64
  } -> (tensor<f64>, tensor<f64>)
  %pp = tensor.extract %squares#0[] : tensor<f64>
  %uu = tensor.extract %squares#1[] : tensor<f64>
  %pMean = arith.divf %pp, %nk : f64
  %uMean = arith.divf %uu, %nk : f64
  %pRMS = math.sqrt %pMean : f64
  %uRMS = math.sqrt %uMean : f64
  %over = arith.divf %uRMS, %clip : f64
  %divisor = arith.maximumf %one, %over : f64
  %relative = arith.maximumf %eps2, %pRMS : f64
  %rate = arith.mulf %lr, %relative : f64
  %size64 = arith.divf %rate, %divisor : f64
  %size = arith.truncf %size64 : f64 to f32
  %shrink = arith.mulf %lr, %decay : f64
  %keep64 = arith.subf %one, %shrink : f64
  %keep = arith.truncf %keep64 : f64 to f32
  %p1 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%u : !T) outs(%p : !T) {
    ^bb0(%ui: f32, %pi: f32):
      %kept = arith.mulf %keep, %pi : f32
      %change = arith.mulf %size, %ui : f32
      %next = arith.subf %kept, %change : f32
      linalg.yield %next : f32
  } -> !T
  return %p1, %r1, %c2 : !T, !R, !C
}
