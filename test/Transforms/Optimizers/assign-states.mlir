// RUN: lowbit-opt %s --lowbit-assign-states="assignments='[{names = \"small\", elements = 65, encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 8]>}, {names = \"{gradient,parameter}\"}, {nonnegative = true, encoding = #lowbit.quantized<uint<8>, scale = f32 per [1, 32]>}, {parameters = \"bias*\"}, {nonnegative = false, encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>}]' parameter=weight" | FileCheck %s
// RUN: lowbit-opt %s --lowbit-assign-states="assignments='[{names = \"m\", parameters = \"weight*\"}, {names = \"m\", encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>}]' parameter=weight.1" | FileCheck %s --check-prefix=WEIGHT
// RUN: lowbit-opt %s --lowbit-assign-states="assignments='[{names = \"small\", rows = 2}, {names = \"small\", rows = 1, encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>}]'" | FileCheck %s --check-prefix=ROWS

// CHECK-DAG: #[[$I8:.+]] = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
// CHECK-DAG: #[[$U8:.+]] = #lowbit.quantized<uint<8>, scale = f32 per [1, 32]>

// The first assignment that fits counts, one without an encoding too; a tensor of unknown size is large enough.
// CHECK-LABEL: func @step(
// CHECK-SAME:    %{{.*}}: tensor<1x?xf32> {lowbit.name = "gradient"}
// CHECK-SAME:    %[[P:.*]]: tensor<1x?xf32> {lowbit.name = "parameter"}
// CHECK-SAME:    %[[M:.*]]: tensor<1x?xf32, #[[$I8]]> {lowbit.name = "m"}
// CHECK-SAME:    %[[V:.*]]: tensor<1x?xf32, #[[$U8]]> {lowbit.name = "v", lowbit.nonnegative}
// CHECK-SAME:    -> (tensor<1x?xf32>, tensor<1x?xf32, #[[$I8]]>, tensor<1x?xf32, #[[$U8]]>)
// CHECK:       %[[R:.*]]:3 = linalg.generic {{.*}} outs(%[[P]], %[[M]], %[[V]] : tensor<1x?xf32>, tensor<1x?xf32, #[[$I8]]>, tensor<1x?xf32, #[[$U8]]>)
// CHECK:       return %[[R]]#0, %[[R]]#1, %[[R]]#2 : tensor<1x?xf32>, tensor<1x?xf32, #[[$I8]]>, tensor<1x?xf32, #[[$U8]]>

// WEIGHT-LABEL: func @step(
// WEIGHT-NOT:  #lowbit
#e = affine_map<(i, j) -> (i, j)>
func.func @step(%g: tensor<1x?xf32> {lowbit.name = "gradient"}, %p: tensor<1x?xf32> {lowbit.name = "parameter"},
                %m: tensor<1x?xf32> {lowbit.name = "m"}, %v: tensor<1x?xf32> {lowbit.name = "v", lowbit.nonnegative})
    -> (tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>) attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>} {
  %0:3 = linalg.generic {indexing_maps = [#e, #e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<1x?xf32>) outs(%p, %m, %v : tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>) {
    ^bb0(%x: f32, %w: f32, %m0: f32, %v0: f32):
      %m1 = arith.addf %m0, %x : f32
      %x2 = arith.mulf %x, %x : f32
      %v1 = arith.addf %v0, %x2 : f32
      %w1 = arith.subf %w, %m1 : f32
      linalg.yield %w1, %m1, %v1 : f32, f32, f32
  } -> (tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>)
  return %0#0, %0#1, %0#2 : tensor<1x?xf32>, tensor<1x?xf32>, tensor<1x?xf32>
}

// Too small for the first assignment; of one row.
// ROWS:        #[[$ROWS:.+]] = #lowbit.quantized
// ROWS-LABEL:  func @size(
// ROWS-SAME:     tensor<1x64xf32, #[[$ROWS]]>
// CHECK-LABEL: func @size(
// CHECK-SAME:    tensor<1x64xf32, #[[$I8]]>
// An argument without a name is none of the rule's.
// CHECK-SAME:    %{{.*}}: tensor<1x64xf32>)
func.func @size(%m: tensor<1x64xf32> {lowbit.name = "small"}, %other: tensor<1x64xf32>) {
  return
}

// What is computed in a branch, in place of a state or not at all; a call takes plain values.
// CHECK-LABEL: func @branch(
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<1x64xf32, #[[$I8]]> {lowbit.name = "m"}
// CHECK-SAME:    -> (tensor<1x64xf32, #[[$I8]]>, tensor<1x64xf32>)
// CHECK:       %[[N:.*]] = scf.if %{{.*}} -> (tensor<1x64xf32, #[[$I8]]>) {
// CHECK:         %[[D:.*]] = lowbit.decode %[[M]]
// CHECK:         %[[T:.*]] = func.call @twice(%[[D]]) : (tensor<1x64xf32>) -> tensor<1x64xf32>
// CHECK:         %[[C:.*]] = linalg.copy ins(%[[T]] : tensor<1x64xf32>) outs(%[[M]] : tensor<1x64xf32, #[[$I8]]>)
// CHECK:         scf.yield %[[C]]
// CHECK:       } else {
// CHECK:         scf.yield %[[M]]
// CHECK:       %[[E:.*]] = lowbit.decode %[[N]]
// CHECK:       call @twice(%[[E]])
func.func @branch(%due: i1, %m: tensor<1x64xf32> {lowbit.name = "m"}) -> (tensor<1x64xf32>, tensor<1x64xf32>) {
  %new = scf.if %due -> tensor<1x64xf32> {
    %twice = func.call @twice(%m) : (tensor<1x64xf32>) -> tensor<1x64xf32>
    %copy = linalg.copy ins(%twice : tensor<1x64xf32>) outs(%m : tensor<1x64xf32>) -> tensor<1x64xf32>
    scf.yield %copy : tensor<1x64xf32>
  } else {
    scf.yield %m : tensor<1x64xf32>
  }
  %plain = func.call @twice(%new) : (tensor<1x64xf32>) -> tensor<1x64xf32>
  return %new, %plain : tensor<1x64xf32>, tensor<1x64xf32>
}
func.func private @twice(%x: tensor<1x64xf32>) -> tensor<1x64xf32>
