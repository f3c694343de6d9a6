// Muon: momentum, made orthogonal by five Newton-Schulz iterations. Jordan et al., "Muon: An optimizer for hidden layers in neural
// networks", 2024; in f32. For matrices: what it has no use for (embeddings, gains, biases) takes another rule.
//
//   m <- beta m + (1 - beta) g
//   u <- beta m + (1 - beta) g                     Nesterov's
//   X <- u / (|u| + 1e-7)
//   5 times: A = X X^T,  X <- a X + (b A + c A^2) X        a, b, c = 3.4445, -4.7750, 2.0315
//   p <- (1 - lr decay) p - lr sqrt(max(1, rows / columns)) X

#e = affine_map<(i, j) -> (i, j)>
#s = affine_map<(i, j) -> ()>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
!T = tensor<?x?xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter"}, %m: !T {lowbit.name = "m"},
                %lr: f64 {lowbit.name = "lr", lowbit.default = 0.02},
                %beta: f64 {lowbit.name = "beta", lowbit.default = 0.95},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0}) -> (!T, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %one = arith.constant 1.0 : f64
  %rest = arith.subf %one, %beta : f64
  %b = arith.truncf %beta : f64 to f32
  %a = arith.truncf %rest : f64 to f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %rows = tensor.dim %g, %c0 : !T
  %columns = tensor.dim %g, %c1 : !T
  %uEmpty = tensor.empty(%rows, %columns) : !T
  %0:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : !T) outs(%m, %uEmpty : !T, !T) {
    ^bb0(%gi: f32, %mi: f32, %unused: f32):
      %m0 = arith.mulf %b, %mi : f32
      %m1 = arith.mulf %a, %gi : f32
      %m2 = arith.addf %m0, %m1 : f32
      %u0 = arith.mulf %b, %m2 : f32
      %u1 = arith.addf %u0, %m1 : f32
      linalg.yield %m2, %u1 : f32, f32
  } -> (!T, !T)
  %start = arith.constant dense<0.0> : tensor<f64>
  %squares = linalg.generic {indexing_maps = [#e, #s], iterator_types = ["reduction", "reduction"]}
      ins(%0#1 : !T) outs(%start : tensor<f64>) {
    ^bb0(%ui: f32, %sum: f64):
      %wide = arith.extf %ui : f32 to f64
      %square = arith.mulf %wide, %wide : f64
      %next = arith.addf %sum, %square : f64
      linalg.yield %next : f64
  } -> tensor<f64>
  %sum = tensor.extract %squares[] : tensor<f64>
  %norm = math.sqrt %sum : f64
  %tiny = arith.constant 1.0e-7 : f64
  %above = arith.addf %norm, %tiny : f64
  %inverse64 = arith.divf %one, %above : f64
  %inverse = arith.truncf %inverse64 : f64 to f32
  %xEmpty = tensor.empty(%rows, %columns) : !T
  %x0 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%0#1 : !T) outs(%xEmpty : !T) {
    ^bb0(%ui: f32, %unused: f32):
      %scaled = arith.mulf %inverse, %ui : f32
      linalg.yield %scaled : f32
  } -> !T

  %zero = arith.constant 0.0 : f32
  %ka = arith.constant 3.4445 : f32
  %kb = arith.constant -4.7750 : f32
  %kc = arith.constant 2.0315 : f32
  %x = scf.for %i = %c0 to %c5 step %c1 iter_args(%xi = %x0) -> (!T) {
    %aEmpty = tensor.empty(%rows, %rows) : !T
    %aStart = linalg.fill ins(%zero : f32) outs(%aEmpty : !T) -> !T
    %A = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%xi, %xi : !T, !T) outs(%aStart : !T) -> !T
    %aaEmpty = tensor.empty(%rows, %rows) : !T
    %aaStart = linalg.fill ins(%zero : f32) outs(%aaEmpty : !T) -> !T
    %AA = linalg.matmul ins(%A, %A : !T, !T) outs(%aaStart : !T) -> !T
    %bEmpty = tensor.empty(%rows, %rows) : !T
    %B = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
        ins(%A, %AA : !T, !T) outs(%bEmpty : !T) {
      ^bb0(%ai: f32, %aai: f32, %unused: f32):
        %first = arith.mulf %kb, %ai : f32
        %second = arith.mulf %kc, %aai : f32
        %both = arith.addf %first, %second : f32
        linalg.yield %both : f32
    } -> !T
    %bxEmpty = tensor.empty(%rows, %columns) : !T
    %bxStart = linalg.fill ins(%zero : f32) outs(%bxEmpty : !T) -> !T
    %BX = linalg.matmul ins(%B, %xi : !T, !T) outs(%bxStart : !T) -> !T
    %next = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
        ins(%BX : !T) outs(%xi : !T) {
      ^bb0(%bxi: f32, %old: f32):
        %kept = arith.mulf %ka, %old : f32
        %new = arith.addf %kept, %bxi : f32
        linalg.yield %new : f32
    } -> !T
    scf.yield %next : !T
  }

  %rows64 = arith.index_cast %rows : index to i64
  %columns64 = arith.index_cast %columns : index to i64
  %n = arith.sitofp %rows64 : i64 to f64
  %k = arith.sitofp %columns64 : i64 to f64
  %aspect = arith.divf %n, %k : f64
  %atLeastOne = arith.maximumf %one, %aspect : f64
  %scale = math.sqrt %atLeastOne : f64
  %size64 = arith.mulf %lr, %scale : f64
  %size = arith.truncf %size64 : f64 to f32
  %shrink = arith.mulf %lr, %decay : f64
  %keep64 = arith.subf %one, %shrink : f64
  %keep = arith.truncf %keep64 : f64 to f32
  %p1 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%x : !T) outs(%p : !T) {
    ^bb0(%xi: f32, %pi: f32):
      %kept = arith.mulf %keep, %pi : f32
      %change = arith.mulf %size, %xi : f32
      %next = arith.subf %kept, %change : f32
      linalg.yield %next : f32
  } -> !T
  return %p1, %0#0 : !T, !T
}
