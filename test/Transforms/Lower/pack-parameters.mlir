// RUN: lowbit-opt %s --lowbit-pack-parameters | FileCheck %s

#q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
#tiled = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#planes = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#int8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>

// CHECK-DAG: #[[$Q:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
// CHECK-DAG: #[[$TILED:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// One entry for each pair of types. A parameter that is read as it is stored, too, stays beside.
// CHECK-LABEL: func @pack(
// CHECK-DAG:   %[[A:.*]] = lowbit.parameter "a" packed by @[[$SQUARE:.*]] from tensor<64x64xf32, #[[$Q]]> : tensor<64x64xf32, #[[$TILED]]>
// CHECK-DAG:   %[[B:.*]] = lowbit.parameter "b" packed by @[[$SQUARE]] from tensor<64x64xf32, #[[$Q]]> : tensor<64x64xf32, #[[$TILED]]>
// CHECK-DAG:   %[[C:.*]] = lowbit.parameter "c" packed by @[[$LONG:.*]] from tensor<96x64xf32, #[[$Q]]> : tensor<96x64xf32, #[[$TILED]]>
// CHECK-DAG:   %[[STORED:.*]] = lowbit.parameter "b" : tensor<64x64xf32, #[[$Q]]>
// CHECK-NOT:   lowbit.convert
// CHECK:       return %[[A]], %[[B]], %[[C]], %[[STORED]]
func.func @pack() -> (tensor<64x64xf32, #tiled>, tensor<64x64xf32, #tiled>, tensor<96x64xf32, #tiled>, tensor<64x64xf32, #q4_0>) {
  %a = lowbit.parameter "a" : tensor<64x64xf32, #q4_0>
  %b = lowbit.parameter "b" : tensor<64x64xf32, #q4_0>
  %c = lowbit.parameter "c" : tensor<96x64xf32, #q4_0>
  %ta = lowbit.convert %a : tensor<64x64xf32, #q4_0> to tensor<64x64xf32, #tiled>
  %tb = lowbit.convert %b : tensor<64x64xf32, #q4_0> to tensor<64x64xf32, #tiled>
  %tc = lowbit.convert %c : tensor<96x64xf32, #q4_0> to tensor<96x64xf32, #tiled>
  return %ta, %tb, %tc, %b : tensor<64x64xf32, #tiled>, tensor<64x64xf32, #tiled>, tensor<96x64xf32, #tiled>, tensor<64x64xf32, #q4_0>
}

// Of a combinator the terms that are in another layout are packed; the entry takes all of it, to find them.
// CHECK-LABEL: func @terms(
// CHECK:       lowbit.parameter "d" packed by @[[$TERMS:.*]] from tensor<64x64xf32, #[[$SUM:.*]]> : tensor<64x64xf32, #{{.*}}>
func.func @terms() -> tensor<64x64xf32, #lowbit.sum<#lowbit.sparse<f16, density = 0.1>, #tiled>> {
  %w = lowbit.parameter "d" : tensor<64x64xf32, #lowbit.sum<#lowbit.sparse<f16, density = 0.1>, #planes>>
  %t = lowbit.convert %w : tensor<64x64xf32, #lowbit.sum<#lowbit.sparse<f16, density = 0.1>, #planes>>
                        to tensor<64x64xf32, #lowbit.sum<#lowbit.sparse<f16, density = 0.1>, #tiled>>
  return %t : tensor<64x64xf32, #lowbit.sum<#lowbit.sparse<f16, density = 0.1>, #tiled>>
}

// What rounds, and what is no parameter, is part of the program.
// CHECK-LABEL: func @stay(
// CHECK-COUNT-2: lowbit.convert
// CHECK:       return
// CHECK:       func.func @[[$SQUARE]](%[[GIVEN:.*]]: tensor<64x64xf32, #[[$Q]]>) -> tensor<64x64xf32, #[[$TILED]]> attributes {lowbit.entry}
// CHECK-NEXT:    lowbit.convert %[[GIVEN]] : tensor<64x64xf32, #[[$Q]]> to tensor<64x64xf32, #[[$TILED]]>
// CHECK:       func.func @[[$LONG]](
// CHECK:       func.func @[[$TERMS]](%[[GIVEN:.*]]: tensor<64x64xf32, #[[$SUM]]>) -> tensor<64x64xf32, #[[$TILED]]> attributes {lowbit.entry}
// CHECK-NEXT:    %[[PARTS:.*]]:5 = lowbit.disassemble %[[GIVEN]]
// CHECK-NEXT:    %[[LEAF:.*]] = lowbit.assemble %[[PARTS]]#3, %[[PARTS]]#4 : {{.*}} to tensor<64x64xf32, #{{.*}}>
// CHECK-NEXT:    %[[PACKED:.*]] = lowbit.convert %[[LEAF]] : tensor<64x64xf32, #{{.*}}> to tensor<64x64xf32, #[[$TILED]]>
// CHECK-NEXT:    return %[[PACKED]]
// CHECK-NOT:   func.func
func.func @stay(%x: tensor<64x64xf32, #q4_0>) -> (tensor<64x64xf32, #tiled>, tensor<64x64xf32, #int8>) {
  %a = lowbit.parameter "a" : tensor<64x64xf32, #q4_0>
  %t = lowbit.convert %x : tensor<64x64xf32, #q4_0> to tensor<64x64xf32, #tiled>
  %r = lowbit.convert %a : tensor<64x64xf32, #q4_0> to tensor<64x64xf32, #int8>
  return %t, %r : tensor<64x64xf32, #tiled>, tensor<64x64xf32, #int8>
}
