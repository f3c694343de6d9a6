// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-resolve-draws))' | FileCheck %s
// RUN: lowbit-opt %s --lowbit-explicit-pipeline --lowbit-tiling-pipeline | FileCheck %s --check-prefix=TILES

// CHECK-LABEL: func @none(
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i64
// CHECK: return %[[ZERO]]
func.func @none() -> i64 {
  %number, %row, %column = lowbit.draw_origin
  return %number : i64
}

#drawn = #lowbit.quantized<int<8>, scale = f32 per [1, 64], rounding = stochastic<3>>
#e = affine_map<(i, j) -> (i, j)>

// Arguments keep their marks though tensors before them become several.

// TILES-LABEL: func.func @encode(
// TILES-SAME: %[[NUMBER:[a-z0-9]+]]: i64 {lowbit.draw_number}, %[[ROW:[a-z0-9]+]]: i64 {lowbit.draw_row}, %[[COLUMN:[a-z0-9]+]]: i64 {lowbit.draw_column})
// TILES-NOT: lowbit.draw_origin
// TILES-DAG: arith.trunci %[[ROW]] : i64 to i32
// TILES-DAG: arith.trunci %[[COLUMN]] : i64 to i32
// TILES-DAG: arith.trunci %[[NUMBER]] : i64 to i32
func.func @encode(%x: tensor<4x64xf32>, %m: tensor<4x64xf32, #drawn>, %number: i64 {lowbit.draw_number},
                  %row: i64 {lowbit.draw_row}, %column: i64 {lowbit.draw_column}) -> tensor<4x64xf32, #drawn>
    attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x64xf32>) outs(%m : tensor<4x64xf32, #drawn>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      linalg.yield %s : f32
  } -> tensor<4x64xf32, #drawn>
  return %r : tensor<4x64xf32, #drawn>
}
