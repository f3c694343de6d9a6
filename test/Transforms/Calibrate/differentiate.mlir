// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(lowbit-differentiate,canonicalize,cse)' | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
// CHECK-DAG:   #[[$X:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG:   #[[$W:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG:   #[[$Y:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>

// What a sum begins with gets the cotangent as it is. The product itself is not computed again: nothing needs it.
// CHECK-LABEL: func.func @product_vjp(
// CHECK-SAME:    %[[X0:[^:]*]]: tensor<?x8xf32>, %[[W0:[^:]*]]: tensor<4x8xf32>, %{{[^:]*}}: tensor<?x4xf32>, %[[C:[^:]*]]: tensor<?x4xf32>)
// CHECK-NOT:     linalg.matmul
// CHECK:         %[[ZX:.*]] = linalg.fill
// CHECK:         %[[DX:.*]] = linalg.generic {indexing_maps = [#[[$W]], #[[$Y]], #[[$X]]], iterator_types = ["parallel", "reduction", "parallel"]}
// CHECK-SAME:      ins(%[[W0]], %[[C]] : {{.*}}) outs(%[[ZX]] :
// CHECK:         ^bb0(%[[A:.*]]: f32, %[[G:.*]]: f32, %[[S:.*]]: f32):
// CHECK-NEXT:      %[[P:.*]] = arith.mulf %[[G]], %[[A]]
// CHECK-NEXT:      %[[T:.*]] = arith.addf %[[S]], %[[P]]
// CHECK-NEXT:      linalg.yield %[[T]]
// CHECK:         %[[DW:.*]] = linalg.generic {indexing_maps = [#[[$X]], #[[$Y]], #[[$W]]], iterator_types = ["reduction", "parallel", "parallel"]}
// CHECK-SAME:      ins(%[[X0]], %[[C]] :
// CHECK:         return %[[DX]], %[[DW]], %[[C]]
func.func @product(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<?x8xf32>, tensor<4x8xf32>) outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// -----

// Storage for each result, as entries have it; what is updated gets no cotangent.
// CHECK-LABEL: func.func @entry_vjp(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<8xf32> {lowbit.name = "x"}, %{{[^:]*}}: tensor<8xi64>, %{{[^:]*}}: tensor<8xf32>, %[[C:[^:]*]]: tensor<8xf32>, %{{[^:]*}}: tensor<8xf32>)
// CHECK-SAME:    -> tensor<8xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 4>}
// CHECK:         ins(%[[X]], %[[C]] :
// CHECK:           %[[COS:.*]] = math.cos
// CHECK-NEXT:      arith.mulf %{{.*}}, %[[COS]]
#e = affine_map<(i) -> (i)>
func.func @entry(%x: tensor<8xf32> {lowbit.name = "x"}, %n: tensor<8xi64>, %out: tensor<8xf32>) -> (tensor<8xf32> {lowbit.name = "y"})
    attributes {lowbit.entry, lowbit.updates = array<i64: 2>} {
  %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%out : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %y = math.sin %a : f32
      linalg.yield %y : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// The second use's cotangent is added to the first one's.
// A gain is the same for all rows: its cotangent is their sum.
// CHECK-LABEL: func.func @gain_vjp(
// CHECK:         %[[FIRST:.*]] = linalg.generic {{.*}}["parallel", "parallel"]}
// CHECK:         linalg.generic {{.*}}["reduction", "parallel"]} {{.*}} outs(%{{.*}} : tensor<8xf32>)
// CHECK:         %[[BOTH:.*]] = linalg.generic {{.*}} outs(%[[FIRST]] :
// An exponential that is infinite, where nothing depends on it, makes no NaN.
// CHECK:           %[[E:.*]] = math.exp
// CHECK:           %[[G:.*]] = arith.negf
// CHECK:           %[[NONE:.*]] = arith.cmpf oeq, %[[G]], %[[ZERO:.*]] :
// CHECK:           %[[P:.*]] = arith.mulf %[[G]], %[[E]]
// CHECK:           %[[D:.*]] = arith.select %[[NONE]], %[[ZERO]], %[[P]]
// CHECK:           arith.addf %{{.*}}, %[[D]]
// The storage of the result is overwritten: zeros.
// CHECK:         %[[O:.*]] = linalg.fill ins(%[[ZERO]] : f32) outs(%{{.*}} : tensor<?x8xf32>)
// CHECK:         return %[[BOTH]], %{{.*}}, %[[O]]
#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
func.func @gain(%x: tensor<?x8xf32>, %g: tensor<8xf32>, %o: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %r = linalg.generic {indexing_maps = [#e, #c, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %g, %x : tensor<?x8xf32>, tensor<8xf32>, tensor<?x8xf32>) outs(%o : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %z: f32):
      %p = arith.mulf %a, %b : f32
      %e = math.exp %c : f32
      %s = arith.subf %p, %e : f32
      linalg.yield %s : f32
  } -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// -----

// Elements that are the maximum share its cotangent; nothing of a constant beginning.
// CHECK-LABEL: func.func @largest_vjp(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x8xf32>, %{{[^:]*}}: index, %[[C:[^:]*]]: tensor<?xf32>)
// CHECK:         %[[MOST:.*]] = linalg.generic {{.*}} ins(%[[X]] :
// CHECK:           arith.maximumf
// CHECK:         %[[COUNT:.*]] = linalg.generic {{.*}}["parallel", "reduction"]} ins(%[[X]], %[[MOST]] :
// CHECK:           %[[IS:.*]] = arith.cmpf oeq, %{{.*}}, %{{.*}} :
// CHECK:           %[[ONE:.*]] = arith.select %[[IS]]
// CHECK:           arith.addf %{{.*}}, %[[ONE]]
// CHECK:         %[[D:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[C]], %[[MOST]], %[[COUNT]] :
// CHECK:         ^bb0(%[[A:.*]]: f32, %[[G:.*]]: f32, %[[M:.*]]: f32, %[[N:.*]]: f32, %{{.*}}: f32):
// CHECK:           %[[IS:.*]] = arith.cmpf oeq, %[[A]], %[[M]]
// CHECK:           %[[SHARE:.*]] = arith.divf %[[G]], %[[N]]
// CHECK:           arith.select %[[IS]], %[[SHARE]], %{{.*}}
// CHECK:         return %[[D]]
#e = affine_map<(m, k) -> (m, k)>
#r = affine_map<(m, k) -> (m)>
func.func @largest(%x: tensor<?x8xf32>, %rows: index) -> tensor<?xf32> {
  %least = arith.constant 0xFF800000 : f32
  %o = tensor.empty(%rows) : tensor<?xf32>
  %start = linalg.fill ins(%least : f32) outs(%o : tensor<?xf32>) -> tensor<?xf32>
  %r = linalg.generic {indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x8xf32>) outs(%start : tensor<?xf32>) {
    ^bb0(%a: f32, %m: f32):
      %p = arith.maximumf %m, %a : f32
      linalg.yield %p : f32
  } -> tensor<?xf32>
  return %r : tensor<?xf32>
}

// -----

// A difference of a sum: its sign.
// CHECK-LABEL: func.func @rest_vjp(
// CHECK-SAME:    %[[C:[^:]*]]: tensor<f32>) ->
// CHECK:         linalg.generic {{.*}}["parallel"]} ins(%[[C]] :
// CHECK:           arith.negf
// CHECK:         return %{{.*}}, %[[C]]
func.func @rest(%x: tensor<8xf32>, %s: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [affine_map<(k) -> (k)>, affine_map<(k) -> ()>], iterator_types = ["reduction"]} ins(%x : tensor<8xf32>) outs(%s : tensor<f32>) {
    ^bb0(%a: f32, %m: f32):
      %p = arith.subf %m, %a : f32
      linalg.yield %p : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

// Halves that are read apart: one whole, into which both go.
// CHECK-LABEL: func.func @halves_vjp(
// CHECK-SAME:    %{{[^:]*}}: tensor<8x2xf32>, %[[A:[^:]*]]: tensor<8xf32>, %[[B:[^:]*]]: tensor<4x2xf32>)
// CHECK:         %[[ZEROS:.*]] = linalg.fill
// CHECK:         %[[ONE:.*]] = tensor.insert_slice %[[B]] into %[[ZEROS]][2, 0]
// CHECK:         %[[PART:.*]] = tensor.extract_slice %[[ONE]][0, 0] [8, 1]
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[PART]], %[[A]] :
// CHECK:         %[[BOTH:.*]] = tensor.insert_slice %[[SUM]] into %[[ONE]][0, 0]
// CHECK:         return %[[BOTH]]
func.func @halves(%x: tensor<8x2xf32>) -> (tensor<8xf32>, tensor<4x2xf32>) {
  %a = tensor.extract_slice %x[0, 0] [8, 1] [1, 1] : tensor<8x2xf32> to tensor<8xf32>
  %b = tensor.extract_slice %x[2, 0] [4, 2] [1, 1] : tensor<8x2xf32> to tensor<4x2xf32>
  return %a, %b : tensor<8xf32>, tensor<4x2xf32>
}

// -----

// What is overwritten has no influence.
// CHECK-LABEL: func.func @overwrite_vjp(
// CHECK-SAME:    %{{[^:]*}}: tensor<4xf32>, %{{[^:]*}}: tensor<8xf32>, %[[AT:[^:]*]]: index, %[[C:[^:]*]]: tensor<8xf32>)
// CHECK:         %[[DX:.*]] = tensor.extract_slice %[[C]][%[[AT]]] [4] [1]
// CHECK:         %[[ZEROS:.*]] = linalg.fill
// CHECK:         %[[DY:.*]] = tensor.insert_slice %[[ZEROS]] into %[[C]][%[[AT]]]
// CHECK:         return %[[DX]], %[[DY]]
func.func @overwrite(%x: tensor<4xf32>, %y: tensor<8xf32>, %at: index) -> tensor<8xf32> {
  %r = tensor.insert_slice %x into %y[%at] [4] [1] : tensor<4xf32> into tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @reshapes_vjp(
// CHECK-SAME:    %[[C:[^:]*]]: tensor<?xf32>) ->
// CHECK:         %[[E:.*]] = tensor.expand_shape %[[C]] {{\[\[}}0, 1, 2]]
// CHECK:         %[[CAST:.*]] = tensor.cast %[[E]] : tensor<?x?x3xf32> to tensor<?x3x3xf32>
// CHECK:         %[[INNER:.*]] = tensor.extract_slice %[[CAST]][1, 0, 0] [%{{.*}}, 2, 3]
// CHECK:         tensor.collapse_shape %[[INNER]] {{\[\[}}0], [1, 2]]
func.func @reshapes(%x: tensor<?x6xf32>, %rows: index) -> tensor<?xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.expand_shape %x [[0], [1, 2]] output_shape [%rows, 2, 3] : tensor<?x6xf32> into tensor<?x2x3xf32>
  %p = tensor.pad %e low[1, 0, 0] high[0, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index):
      tensor.yield %zero : f32
  } : tensor<?x2x3xf32> to tensor<?x3x3xf32>
  %s = tensor.cast %p : tensor<?x3x3xf32> to tensor<?x?x3xf32>
  %c = tensor.collapse_shape %s [[0, 1, 2]] : tensor<?x?x3xf32> into tensor<?xf32>
  return %c : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @joined_vjp(
// CHECK-SAME:    %{{[^:]*}}: tensor<2x3xf32>, %[[Y:[^:]*]]: tensor<2x?xf32>, %[[C:[^:]*]]: tensor<2x?xf32>)
// CHECK:         %[[DX:.*]] = tensor.extract_slice %[[C]][0, 0] [2, 3]
// CHECK:         %[[N:.*]] = tensor.dim %[[Y]]
// CHECK:         %[[DY:.*]] = tensor.extract_slice %[[C]][0, 3] [2, %[[N]]]
// CHECK:         return %[[DX]], %[[DY]]
func.func @joined(%x: tensor<2x3xf32>, %y: tensor<2x?xf32>) -> tensor<2x?xf32> {
  %r = tensor.concat dim(1) %x, %y : (tensor<2x3xf32>, tensor<2x?xf32>) -> tensor<2x?xf32>
  return %r : tensor<2x?xf32>
}

// -----

// A result that does not depend on an argument gives it zeros.
// CHECK-LABEL: func.func @apart_vjp(
// CHECK-SAME:    %[[C:[^:]*]]: tensor<8xf32>) ->
// CHECK:         %[[ZEROS:.*]] = linalg.fill
// CHECK:         return %[[ZEROS]], %[[C]]
func.func @apart(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  return %y : tensor<8xf32>
}
