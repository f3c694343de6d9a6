// RUN: lowbit-opt %s --lowbit-fuse-attention=rows=32 --canonicalize --cse --split-input-file | FileCheck %s

// Grouped queries, masked by position, divided before the product: a parallel loop over heads and rows, a sequential one over the positions that the
// last row of a tile sees. Nothing has the size of all scores.

#hgmd = affine_map<(h, g, m, t, d) -> (h, g, m, d)>
#htd = affine_map<(h, g, m, t, d) -> (h, t, d)>
#hgmt = affine_map<(h, g, m, t, d) -> (h, g, m, t)>
#all = affine_map<(h, g, m, t) -> (h, g, m, t)>
#row = affine_map<(h, g, m, t) -> (h, g, m)>
#out = affine_map<(h, g, m, t, d) -> (m, h, g, d)>

// CHECK-DAG:   #[[$SEEN:.*]] = affine_map<()[s0, s1, s2, s3] -> (s3, s0 + s1 + s2)>
// CHECK-LABEL: func.func @masked
// CHECK-SAME:    %[[Q:[a-z0-9]*]]: tensor<2x3x?x64xf32>, %[[K:[a-z0-9]*]]: tensor<2x?x64xf32>, %[[V:[a-z0-9]*]]: tensor<2x?x64xf32>, %[[P:[a-z0-9]*]]: index
// CHECK-NOT:     tensor<2x3x?x?xf32>
// CHECK:         scf.forall (%[[H:[a-z0-9]*]], %[[G:[a-z0-9]*]], %[[M:[a-z0-9]*]]) = (0, 0, 0) to (2, 3, %{{.*}}) step (1, 1, 32)
// CHECK:           %[[ROWS:.*]] = affine.min
// CHECK:           %[[END:.*]] = affine.min #[[$SEEN]]()[%[[P]], %[[M]], %[[ROWS]], %{{.*}}]
// CHECK:           scf.for %[[T:[a-z0-9]*]] = %{{.*}} to %[[END]] step %c128 iter_args(
// CHECK:             %[[TIME:.*]] = affine.min
// CHECK-DAG:         tensor.extract_slice %[[Q]][%[[H]], %[[G]], %[[M]], 0] [1, 1, %[[ROWS]], 64]
// CHECK-DAG:         tensor.extract_slice %[[K]][%[[H]], %[[T]], 0] [1, %[[TIME]], 64]
// CHECK:             %[[I:.*]] = linalg.index 2
// CHECK:             arith.addi %[[I]], %[[M]]
// CHECK:             %[[J:.*]] = linalg.index 3
// CHECK:             arith.addi %[[J]], %[[T]]
// CHECK:             arith.cmpi sle
// CHECK:             arith.maximumf
// CHECK:             arith.maximumf
// CHECK:             math.exp
// CHECK:             math.exp
// CHECK:             tensor.extract_slice %[[V]][%[[H]], %[[T]], 0] [1, %[[TIME]], 64]
// CHECK:             scf.yield
// CHECK:           arith.divf
// CHECK:           tensor.parallel_insert_slice {{.*}}[%[[M]], %[[H]], %[[G]], 0] [%[[ROWS]], 1, 1, 64]
// CHECK-NOT:     tensor<2x3x?x?xf32>
func.func @masked(%q: tensor<2x3x?x64xf32>, %k: tensor<2x?x64xf32>, %v: tensor<2x?x64xf32>, %position: index) -> tensor<?x2x3x64xf32> {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %rows = tensor.dim %q, %c2 : tensor<2x3x?x64xf32>
  %length = tensor.dim %k, %c1 : tensor<2x?x64xf32>
  %e = tensor.empty(%rows, %length) : tensor<2x3x?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%e : tensor<2x3x?x?xf32>) -> tensor<2x3x?x?xf32>
  %s = linalg.generic {indexing_maps = [#hgmd, #htd, #hgmt], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<2x3x?x64xf32>, tensor<2x?x64xf32>) outs(%s0 : tensor<2x3x?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %x = arith.addf %c, %p : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?x?xf32>
  %seen = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<2x3x?x?xf32>) outs(%e : tensor<2x3x?x?xf32>) {
    ^bb0(%in: f32, %c: f32):
      %i = linalg.index 2 : index
      %t = linalg.index 3 : index
      %now = arith.addi %position, %i : index
      %visible = arith.cmpi sle, %t, %now : index
      %x = arith.select %visible, %in, %minus : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?x?xf32>
  %er = tensor.empty(%rows) : tensor<2x3x?xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<2x3x?xf32>) -> tensor<2x3x?xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%seen : tensor<2x3x?x?xf32>) outs(%h0 : tensor<2x3x?xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%seen, %highest : tensor<2x3x?x?xf32>, tensor<2x3x?xf32>) outs(%e : tensor<2x3x?x?xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?x?xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<2x3x?xf32>) -> tensor<2x3x?xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%mass : tensor<2x3x?x?xf32>) outs(%t0 : tensor<2x3x?xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?xf32>
  %p = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%mass, %total : tensor<2x3x?x?xf32>, tensor<2x3x?xf32>) outs(%e : tensor<2x3x?x?xf32>) {
    ^bb0(%in: f32, %under: f32, %c: f32):
      %x = arith.divf %in, %under : f32
      linalg.yield %x : f32
  } -> tensor<2x3x?x?xf32>
  %eo = tensor.empty(%rows) : tensor<?x2x3x64xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%eo : tensor<?x2x3x64xf32>) -> tensor<?x2x3x64xf32>
  %mixed = linalg.generic {indexing_maps = [#hgmt, #htd, #out], iterator_types = ["parallel", "parallel", "parallel", "reduction", "parallel"]}
      ins(%p, %v : tensor<2x3x?x?xf32>, tensor<2x?x64xf32>) outs(%o0 : tensor<?x2x3x64xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %x = arith.addf %c, %m : f32
      linalg.yield %x : f32
  } -> tensor<?x2x3x64xf32>
  return %mixed : tensor<?x2x3x64xf32>
}

// -----

// A single row of two heads: positions are shared out in four parts of whole blocks, and what they give is joined.

// CHECK-DAG:   #[[$START:.*]] = affine_map<()[s0, s1] -> (((s0 ceildiv 512) * s1) * 128)>
// CHECK-DAG:   #[[$STOP:.*]] = affine_map<()[s0, s1] -> (((s0 ceildiv 512) * (s1 + 1)) * 128, s0)>
// CHECK-LABEL: func.func @token
// CHECK-SAME:    %{{[a-z0-9]*}}: tensor<2x64xf32>, %{{[a-z0-9]*}}: tensor<2x?x64xf32>
// CHECK:         %[[P:.*]]:3 = scf.forall (%[[PART:[a-z0-9]*]], %[[H:[a-z0-9]*]]) in (4, 2)
// CHECK-SAME:      -> (tensor<4x2x64xf32>, tensor<4x2xf32>, tensor<4x2xf32>)
// CHECK:           %[[FROM:.*]] = affine.apply #[[$START]]()[%{{.*}}, %[[PART]]]
// CHECK:           %[[TO:.*]] = affine.min #[[$STOP]]()[%{{.*}}, %[[PART]]]
// CHECK:           scf.for %{{.*}} = %[[FROM]] to %[[TO]] step
// CHECK-COUNT-3:   tensor.parallel_insert_slice {{.*}}[%[[PART]], %[[H]]
// CHECK:         %[[TOP:.*]] = linalg.generic {{.*}} ins(%[[P]]#1 : tensor<4x2xf32>) outs(%{{.*}} : tensor<2xf32>)
// CHECK:           arith.maximumf
// CHECK:         %[[F:.*]] = linalg.generic {{.*}} ins(%[[TOP]] : tensor<2xf32>) outs(%[[P]]#1 : tensor<4x2xf32>)
// CHECK:           math.exp
// CHECK:         %[[TOTAL:.*]] = linalg.generic {{.*}} ins(%[[P]]#2, %[[F]]
// CHECK:         %[[SUMS:.*]] = linalg.generic {{.*}} ins(%[[P]]#0, %[[F]]
// CHECK:         linalg.generic {{.*}} ins(%[[SUMS]], %[[TOTAL]]
// CHECK:           arith.divf

#hd = affine_map<(h, t, d) -> (h, d)>
#htd = affine_map<(h, t, d) -> (h, t, d)>
#ht = affine_map<(h, t, d) -> (h, t)>
#all = affine_map<(h, t) -> (h, t)>
#row = affine_map<(h, t) -> (h)>

func.func @token(%q: tensor<2x64xf32>, %k: tensor<2x?x64xf32>, %v: tensor<2x?x64xf32>, %dest: tensor<2x64xf32>) -> tensor<2x64xf32> {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %c1 = arith.constant 1 : index
  %length = tensor.dim %k, %c1 : tensor<2x?x64xf32>
  %e = tensor.empty(%length) : tensor<2x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%e : tensor<2x?xf32>) -> tensor<2x?xf32>
  %s = linalg.generic {indexing_maps = [#hd, #htd, #ht], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<2x64xf32>, tensor<2x?x64xf32>) outs(%s0 : tensor<2x?xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %x = arith.addf %c, %p : f32
      linalg.yield %x : f32
  } -> tensor<2x?xf32>
  %er = tensor.empty() : tensor<2xf32>
  %h0 = linalg.fill ins(%minus : f32) outs(%er : tensor<2xf32>) -> tensor<2xf32>
  %highest = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<2x?xf32>) outs(%h0 : tensor<2xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.maximumf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<2xf32>
  %mass = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %highest : tensor<2x?xf32>, tensor<2xf32>) outs(%e : tensor<2x?xf32>) {
    ^bb0(%in: f32, %high: f32, %c: f32):
      %below = arith.subf %in, %high : f32
      %x = math.exp %below : f32
      linalg.yield %x : f32
  } -> tensor<2x?xf32>
  %t0 = linalg.fill ins(%zero : f32) outs(%er : tensor<2xf32>) -> tensor<2xf32>
  %total = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%mass : tensor<2x?xf32>) outs(%t0 : tensor<2xf32>) {
    ^bb0(%in: f32, %c: f32):
      %x = arith.addf %c, %in : f32
      linalg.yield %x : f32
  } -> tensor<2xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%dest : tensor<2x64xf32>) -> tensor<2x64xf32>
  %mixed = linalg.generic {indexing_maps = [#ht, #htd, #hd], iterator_types = ["parallel", "reduction", "parallel"]} ins(%mass, %v : tensor<2x?xf32>, tensor<2x?x64xf32>) outs(%o0 : tensor<2x64xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %x = arith.addf %c, %m : f32
      linalg.yield %x : f32
  } -> tensor<2x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%mixed, %total : tensor<2x64xf32>, tensor<2xf32>) outs(%dest : tensor<2x64xf32>) {
    ^bb0(%in: f32, %under: f32, %c: f32):
      %x = arith.divf %in, %under : f32
      linalg.yield %x : f32
  } -> tensor<2x64xf32>
  return %y : tensor<2x64xf32>
}
