// Shampoo, whose statistics L and R are kept as Cholesky factors C and D. Gupta, Koren and Singer, "Shampoo: Preconditioned Stochastic
// Tensor Optimization", 2018, with the inverse roots of Anil et al., "Scalable Second Order Optimization for Deep Learning", 2020, by
// Newton's iteration. Factors instead of statistics for few bits: Li, Ding, Toh and Zhou, "Memory-Efficient 4-bit Preconditioned
// Stochastic Optimization", 2024; without its error feedback. Intervals, grafting and codes: Wang, Zhou, Li and Huang, "4-bit Shampoo for
// Memory-Efficient Network Training", 2024.
//
//   every T1 steps:  L <- beta C C^T + (1 - beta) G G^T,  C <- cholesky(L + eps trace(L) I)
//                    R <- beta D D^T + (1 - beta) G^T G,  D <- cholesky(R + eps trace(R) I)
//   every T2 steps:  X <- (C C^T + eps |C C^T| I)^(-1/4),  Y <- (D D^T + eps |D D^T| I)^(-1/4)
//   U <- X G Y, or G while there are no roots
//   m <- momentum m + U |G| / (|U| + 1e-12)                                  norms are Frobenius'
//   p <- (1 - lr decay) p - lr m
//
// The diagonal of each of these matrices is a state of its own: it is stored in f32 where the rest is in few bits, as m is. For matrices of up to
// 4,096 rows and columns; other parameters take another rule.

#e = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i, 0)>
#j = affine_map<(i, j) -> (j, 0)>
#s = affine_map<(i, j) -> ()>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
!T = tensor<?x?xf32>
!D = tensor<?x1xf32>

func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter", lowbit.extents = array<i64: 2, 4096>},
                %c: !T {lowbit.name = "left", lowbit.axes = array<i64: 0, 0>},
                %cd: !D {lowbit.name = "left_diagonal", lowbit.nonnegative},
                %d: !T {lowbit.name = "right", lowbit.axes = array<i64: 1, 1>},
                %dd: !D {lowbit.name = "right_diagonal", lowbit.axes = array<i64: 1, 1>, lowbit.nonnegative},
                %x: !T {lowbit.name = "left_root", lowbit.axes = array<i64: 0, 0>},
                %xd: !D {lowbit.name = "left_root_diagonal", lowbit.nonnegative},
                %y: !T {lowbit.name = "right_root", lowbit.axes = array<i64: 1, 1>},
                %yd: !D {lowbit.name = "right_root_diagonal", lowbit.axes = array<i64: 1, 1>, lowbit.nonnegative},
                %m: !T {lowbit.name = "m"},
                %t: f64 {lowbit.name = "step"}, %lr: f64 {lowbit.name = "lr", lowbit.default = 1.0e-1},
                %momentum: f64 {lowbit.name = "momentum", lowbit.default = 0.9},
                %beta: f64 {lowbit.name = "beta", lowbit.default = 0.95},
                %eps64: f64 {lowbit.name = "eps", lowbit.default = 1.0e-6},
                %t1: f64 {lowbit.name = "factors_every", lowbit.default = 100.0},
                %t2: f64 {lowbit.name = "roots_every", lowbit.default = 500.0},
                %decay: f64 {lowbit.name = "decay", lowbit.default = 0.0})
    -> (!T, !T, !D, !T, !D, !T, !D, !T, !D, !T)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10>,
                lowbit.schemes = {int4 = [
                  {names = "{*_diagonal,m}"},
                  {names = "{left,right}*", elements = 4096, encoding = #lowbit.quantized<codebook<linear_square, 4>, scale = f32 per [1, 64]>}]}} {
  %one = arith.constant 1.0 : f64
  %none = arith.constant 0.0 : f64
  %zero = arith.constant 0 : index
  %first = arith.constant 1 : index
  %rows = tensor.dim %g, %zero : !T
  %columns = tensor.dim %g, %first : !T
  %eps = arith.truncf %eps64 : f64 to f32

  // Every T1 steps: the factors, L's and R's.
  %since1 = arith.remf %t, %t1 : f64
  %due1 = arith.cmpf oeq, %since1, %none : f64
  %factors:4 = scf.if %due1 -> (!T, !D, !T, !D) {
    %gtEmpty = tensor.empty(%columns, %rows) : !T
    %gt = linalg.transpose ins(%g : !T) outs(%gtEmpty : !T) permutation = [1, 0]
    %left = func.call @factor(%c, %cd, %g, %beta, %eps) : (!T, !D, !T, f64, f32) -> !T
    %right = func.call @factor(%d, %dd, %gt, %beta, %eps) : (!T, !D, !T, f64, f32) -> !T
    %leftParts:2 = func.call @split(%left) : (!T) -> (!T, !D)
    %rightParts:2 = func.call @split(%right) : (!T) -> (!T, !D)
    %c1 = linalg.copy ins(%leftParts#0 : !T) outs(%c : !T) -> !T
    %cd1 = linalg.copy ins(%leftParts#1 : !D) outs(%cd : !D) -> !D
    %d1 = linalg.copy ins(%rightParts#0 : !T) outs(%d : !T) -> !T
    %dd1 = linalg.copy ins(%rightParts#1 : !D) outs(%dd : !D) -> !D
    scf.yield %c1, %cd1, %d1, %dd1 : !T, !D, !T, !D
  } else {
    scf.yield %c, %cd, %d, %dd : !T, !D, !T, !D
  }

  // Every T2 steps: the inverse fourth roots of L and R, from the factors as they are stored.
  %since2 = arith.remf %t, %t2 : f64
  %due2 = arith.cmpf oeq, %since2, %none : f64
  %roots:4 = scf.if %due2 -> (!T, !D, !T, !D) {
    %cNow = func.call @join(%factors#0, %factors#1) : (!T, !D) -> !T
    %dNow = func.call @join(%factors#2, %factors#3) : (!T, !D) -> !T
    %l = func.call @gram(%cNow) : (!T) -> !T
    %r = func.call @gram(%dNow) : (!T) -> !T
    %left = func.call @inverse_root(%l, %eps) : (!T, f32) -> !T
    %right = func.call @inverse_root(%r, %eps) : (!T, f32) -> !T
    %leftParts:2 = func.call @split(%left) : (!T) -> (!T, !D)
    %rightParts:2 = func.call @split(%right) : (!T) -> (!T, !D)
    %x1 = linalg.copy ins(%leftParts#0 : !T) outs(%x : !T) -> !T
    %xd1 = linalg.copy ins(%leftParts#1 : !D) outs(%xd : !D) -> !D
    %y1 = linalg.copy ins(%rightParts#0 : !T) outs(%y : !T) -> !T
    %yd1 = linalg.copy ins(%rightParts#1 : !D) outs(%yd : !D) -> !D
    scf.yield %x1, %xd1, %y1, %yd1 : !T, !D, !T, !D
  } else {
    scf.yield %x, %xd, %y, %yd : !T, !D, !T, !D
  }

  // A root has a positive diagonal: zeros are none yet.
  %some = tensor.extract %roots#1[%zero, %zero] : !D
  %no = arith.constant 0.0 : f32
  %isReady = arith.cmpf ogt, %some, %no : f32
  %u = scf.if %isReady -> !T {
    %xNow = func.call @join(%roots#0, %roots#1) : (!T, !D) -> !T
    %yNow = func.call @join(%roots#2, %roots#3) : (!T, !D) -> !T
    %xg = func.call @product(%xNow, %g) : (!T, !T) -> !T
    %xgy = func.call @product(%xg, %yNow) : (!T, !T) -> !T
    scf.yield %xgy : !T
  } else {
    scf.yield %g : !T
  }
  %gNorm = func.call @norm(%g) : (!T) -> f64
  %uNorm = func.call @norm(%u) : (!T) -> f64
  %tiny = arith.constant 1.0e-12 : f64
  %above = arith.addf %uNorm, %tiny : f64
  %graft64 = arith.divf %gNorm, %above : f64
  %graft = arith.truncf %graft64 : f64 to f32
  %b = arith.truncf %momentum : f64 to f32
  %size = arith.truncf %lr : f64 to f32
  %shrink = arith.mulf %lr, %decay : f64
  %keep64 = arith.subf %one, %shrink : f64
  %keep = arith.truncf %keep64 : f64 to f32
  %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%u : !T) outs(%p, %m : !T, !T) {
    ^bb0(%ui: f32, %pi: f32, %mi: f32):
      %old = arith.mulf %b, %mi : f32
      %grafted = arith.mulf %graft, %ui : f32
      %m1 = arith.addf %old, %grafted : f32
      %kept = arith.mulf %keep, %pi : f32
      %change = arith.mulf %size, %m1 : f32
      %p1 = arith.subf %kept, %change : f32
      linalg.yield %p1, %m1 : f32, f32
  } -> (!T, !T)
  return %new#0, %factors#0, %factors#1, %factors#2, %factors#3, %roots#0, %roots#1, %roots#2, %roots#3, %new#1
      : !T, !T, !D, !T, !D, !T, !D, !T, !D, !T
}

// cholesky(beta C C^T + (1 - beta) G G^T)
func.func private @factor(%c: !T, %cd: !D, %g: !T, %beta: f64, %eps: f32) -> !T {
  %one = arith.constant 1.0 : f64
  %alpha = arith.subf %one, %beta : f64
  %b = arith.truncf %beta : f64 to f32
  %a = arith.truncf %alpha : f64 to f32
  %old = func.call @join(%c, %cd) : (!T, !D) -> !T
  %cc = func.call @gram(%old) : (!T) -> !T
  %gg = func.call @gram(%g) : (!T) -> !T
  %l = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%gg : !T) outs(%cc : !T) {
    ^bb0(%ggi: f32, %cci: f32):
      %kept = arith.mulf %b, %cci : f32
      %new = arith.mulf %a, %ggi : f32
      %sum = arith.addf %kept, %new : f32
      linalg.yield %sum : f32
  } -> !T
  %factor = func.call @cholesky(%l, %eps) : (!T, f32) -> !T
  return %factor : !T
}

// Of A + eps trace(A) I, column after column: c_j <- a_j / sqrt(a_jj) from the diagonal down, A <- A - c_j c_j^T.
func.func private @cholesky(%a: !T, %eps: f32) -> !T {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %a, %c0 : !T
  %zero = arith.constant 0.0 : f32
  %least = arith.constant 1.0e-30 : f32
  %trace = scf.for %j = %c0 to %n step %c1 iter_args(%sum = %zero) -> f32 {
    %ajj = tensor.extract %a[%j, %j] : !T
    %next = arith.addf %sum, %ajj : f32
    scf.yield %next : f32
  }
  %relative = arith.mulf %eps, %trace : f32
  %ridge = arith.maximumf %relative, %least : f32
  %empty = tensor.empty(%n, %n) : !T
  %start = linalg.fill ins(%zero : f32) outs(%empty : !T) -> !T
  %done:2 = scf.for %j = %c0 to %n step %c1 iter_args(%aj = %a, %c = %start) -> (!T, !T) {
    %ajj = tensor.extract %aj[%j, %j] : !T
    %rest = arith.maximumf %ajj, %zero : f32  // below only by rounding
    %pivot = arith.addf %rest, %ridge : f32
    %root = math.sqrt %pivot : f32
    %left = arith.subi %n, %j : index
    %column = tensor.extract_slice %aj[%j, %j] [%left, 1] [1, 1] : !T to !D
    %cEmpty = tensor.empty(%left) : !D
    %cj = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%column : !D) outs(%cEmpty : !D) {
      ^bb0(%aij: f32, %unused: f32):
        %i = linalg.index 0 : index
        %isPivot = arith.cmpi eq, %i, %c0 : index
        %quotient = arith.divf %aij, %root : f32
        %cij = arith.select %isPivot, %root, %quotient : f32
        linalg.yield %cij : f32
    } -> !D
    %trailing = tensor.extract_slice %aj[%j, %j] [%left, %left] [1, 1] : !T to !T
    %schur = linalg.generic {indexing_maps = [#i, #j, #e], iterator_types = ["parallel", "parallel"]}
        ins(%cj, %cj : !D, !D) outs(%trailing : !T) {
      ^bb0(%cij: f32, %ckj: f32, %aik: f32):
        %both = arith.mulf %cij, %ckj : f32
        %next = arith.subf %aik, %both : f32
        linalg.yield %next : f32
    } -> !T
    %ajNext = tensor.insert_slice %schur into %aj[%j, %j] [%left, %left] [1, 1] : !T into !T
    %cNext = tensor.insert_slice %cj into %c[%j, %j] [%left, 1] [1, 1] : !D into !T
    scf.yield %ajNext, %cNext : !T, !T
  }
  return %done#1 : !T
}

// (A + eps |A| I)^(-1/4) by the coupled Newton iteration (Higham, "Functions of Matrices", 2008, section 7.3):
//   z = 5 / (2 |A|),  M <- z (A + eps |A| I),  X <- z^(1/4) I
//   while M is not I: T = (5 I - M) / 4,  X <- X T,  M <- T^4 M
func.func private @inverse_root(%a: !T, %eps: f32) -> !T {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %a, %c0 : !T
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %quarter = arith.constant 0.25 : f32
  %five = arith.constant 5.0 : f32
  %half5 = arith.constant 2.5 : f32
  %least = arith.constant 1.0e-30 : f32
  %norm64 = func.call @norm(%a) : (!T) -> f64
  %norm32 = arith.truncf %norm64 : f64 to f32
  %norm = arith.maximumf %norm32, %least : f32
  %z = arith.divf %half5, %norm : f32
  %z2 = math.sqrt %z : f32
  %z4 = math.sqrt %z2 : f32
  %ridge = arith.mulf %half5, %eps : f32
  %empty = tensor.empty(%n, %n) : !T
  %m0 = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%a : !T) outs(%empty : !T) {
    ^bb0(%aij: f32, %unused: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %isDiagonal = arith.cmpi eq, %i, %j : index
      %add = arith.select %isDiagonal, %ridge, %zero : f32
      %scaled = arith.mulf %z, %aij : f32
      %sum = arith.addf %scaled, %add : f32
      linalg.yield %sum : f32
  } -> !T
  %x0 = linalg.generic {indexing_maps = [#e], iterator_types = ["parallel", "parallel"]} outs(%empty : !T) {
    ^bb0(%unused: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %isDiagonal = arith.cmpi eq, %i, %j : index
      %element = arith.select %isDiagonal, %z4, %zero : f32
      linalg.yield %element : f32
  } -> !T
  %done:3 = scf.while (%m = %m0, %x = %x0, %k = %c0) : (!T, !T, index) -> (!T, !T, index) {
    %start = arith.constant dense<0.0> : tensor<f32>
    %far = linalg.generic {indexing_maps = [#e, #s], iterator_types = ["reduction", "reduction"]} ins(%m : !T) outs(%start : tensor<f32>) {
      ^bb0(%mij: f32, %sofar: f32):
        %i = linalg.index 0 : index
        %j = linalg.index 1 : index
        %isDiagonal = arith.cmpi eq, %i, %j : index
        %identity = arith.select %isDiagonal, %one, %zero : f32
        %difference = arith.subf %mij, %identity : f32
        %size = math.absf %difference : f32
        %larger = arith.maximumf %sofar, %size : f32
        linalg.yield %larger : f32
    } -> tensor<f32>
    %distance = tensor.extract %far[] : tensor<f32>
    %near = arith.constant 1.0e-4 : f32
    %most = arith.constant 100 : index
    %isFar = arith.cmpf ogt, %distance, %near : f32
    %isAllowed = arith.cmpi ult, %k, %most : index
    %goesOn = arith.andi %isFar, %isAllowed : i1
    scf.condition(%goesOn) %m, %x, %k : !T, !T, index
  } do {
  ^bb0(%m: !T, %x: !T, %k: index):
    %tEmpty = tensor.empty(%n, %n) : !T
    %t = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%m : !T) outs(%tEmpty : !T) {
      ^bb0(%mij: f32, %unused: f32):
        %i = linalg.index 0 : index
        %j = linalg.index 1 : index
        %isDiagonal = arith.cmpi eq, %i, %j : index
        %element = arith.select %isDiagonal, %five, %zero : f32
        %difference = arith.subf %element, %mij : f32
        %tij = arith.mulf %quarter, %difference : f32
        linalg.yield %tij : f32
    } -> !T
    %xt = func.call @product(%x, %t) : (!T, !T) -> !T
    %tt = func.call @product(%t, %t) : (!T, !T) -> !T
    %tttt = func.call @product(%tt, %tt) : (!T, !T) -> !T
    %ttttm = func.call @product(%tttt, %m) : (!T, !T) -> !T
    %xNext = linalg.copy ins(%xt : !T) outs(%x : !T) -> !T
    %mNext = linalg.copy ins(%ttttm : !T) outs(%m : !T) -> !T
    %kNext = arith.addi %k, %c1 : index
    scf.yield %mNext, %xNext, %kNext : !T, !T, index
  }
  return %done#1 : !T
}

// A matrix as it is stored, without its diagonal and the diagonal, and back.
func.func private @split(%a: !T) -> (!T, !D) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %a, %c0 : !T
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%n, %n) : !T
  %others = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%a : !T) outs(%empty : !T) {
    ^bb0(%aij: f32, %unused: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %isDiagonal = arith.cmpi eq, %i, %j : index
      %element = arith.select %isDiagonal, %zero, %aij : f32
      linalg.yield %element : f32
  } -> !T
  %dEmpty = tensor.empty(%n) : !D
  %diagonal = linalg.generic {indexing_maps = [#e], iterator_types = ["parallel", "parallel"]} outs(%dEmpty : !D) {
    ^bb0(%unused: f32):
      %i = linalg.index 0 : index
      %element = tensor.extract %a[%i, %i] : !T
      linalg.yield %element : f32
  } -> !D
  return %others, %diagonal : !T, !D
}

func.func private @join(%others: !T, %diagonal: !D) -> !T {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %others, %c0 : !T
  %empty = tensor.empty(%n, %n) : !T
  %a = linalg.generic {indexing_maps = [#e, #i, #e], iterator_types = ["parallel", "parallel"]}
      ins(%others, %diagonal : !T, !D) outs(%empty : !T) {
    ^bb0(%other: f32, %own: f32, %unused: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %isDiagonal = arith.cmpi eq, %i, %j : index
      %element = arith.select %isDiagonal, %own, %other : f32
      linalg.yield %element : f32
  } -> !T
  return %a : !T
}

// A B
func.func private @product(%a: !T, %b: !T) -> !T {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %a, %c0 : !T
  %columns = tensor.dim %b, %c1 : !T
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%rows, %columns) : !T
  %start = linalg.fill ins(%zero : f32) outs(%empty : !T) -> !T
  %ab = linalg.matmul ins(%a, %b : !T, !T) outs(%start : !T) -> !T
  return %ab : !T
}

// A A^T
func.func private @gram(%a: !T) -> !T {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %a, %c0 : !T
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%n, %n) : !T
  %start = linalg.fill ins(%zero : f32) outs(%empty : !T) -> !T
  %aa = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %a : !T, !T) outs(%start : !T) -> !T
  return %aa : !T
}

func.func private @norm(%a: !T) -> f64 {
  %start = arith.constant dense<0.0> : tensor<f64>
  %squares = linalg.generic {indexing_maps = [#e, #s], iterator_types = ["reduction", "reduction"]} ins(%a : !T) outs(%start : tensor<f64>) {
    ^bb0(%aij: f32, %sum: f64):
      %wide = arith.extf %aij : f32 to f64
      %square = arith.mulf %wide, %wide : f64
      %next = arith.addf %sum, %square : f64
      linalg.yield %next : f64
  } -> tensor<f64>
  %sum = tensor.extract %squares[] : tensor<f64>
  %norm = math.sqrt %sum : f64
  return %norm : f64
}
