// RUN: lowbit-opt %s --lowbit-key-draws | FileCheck %s

// CHECK-LABEL: func @step(
// CHECK-SAME: %{{[a-z0-9]+}}: tensor<?x?xf32> {lowbit.name = "gradient"}, %{{[a-z0-9]+}}: tensor<?x?xf32>,
// CHECK-SAME: %{{[a-z0-9]+}}: i64 {lowbit.draw_number, lowbit.name = "draw_number"},
// CHECK-SAME: %{{[a-z0-9]+}}: i64 {lowbit.draw_row, lowbit.name = "draw_row"},
// CHECK-SAME: %{{[a-z0-9]+}}: i64 {lowbit.draw_column, lowbit.name = "draw_column"})
func.func @step(%g: tensor<?x?xf32> {lowbit.name = "gradient"}, %p: tensor<?x?xf32>) -> tensor<?x?xf32> {
  return %p : tensor<?x?xf32>
}

// No rule.
// CHECK-LABEL: func @other(
// CHECK-SAME: %{{[a-z0-9]+}}: tensor<?x?xf32>)
func.func @other(%p: tensor<?x?xf32>) -> tensor<?x?xf32> {
  return %p : tensor<?x?xf32>
}
