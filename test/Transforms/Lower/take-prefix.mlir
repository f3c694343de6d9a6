// RUN: lowbit-opt %s --lowbit-take-prefix=bits=4 --split-input-file | FileCheck %s
// RUN: lowbit-opt %s --lowbit-take-prefix=bits=4 --lowbit-components --split-input-file | FileCheck %s --check-prefix=COMPONENTS

#nested = #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes<2, 2, 4>>

// Codes whose planes end there: the high plane, and the scale, as they lie.
// CHECK-LABEL: @values
// CHECK: lowbit.convert %{{.*}} to tensor<8x64xf32, #[[HIGH:.*]]>
// CHECK: lowbit.decode %{{.*}} : tensor<8x64xf32, #[[HIGH]]>
// COMPONENTS-LABEL: @values
// COMPONENTS-SAME: (%{{.*}}: tensor<8x16xi8>, %{{.*}}: tensor<8x16xi8>, %[[HIGH:.*]]: tensor<8x32xi8>, %[[SCALE:.*]]: tensor<8x1xf32>)
// COMPONENTS-NEXT: lowbit.decode_region tensor<8x64xf32, #{{.*}}>(%[[HIGH]], %[[SCALE]]) [0, 0] [8, 64]
func.func @values(%w: tensor<8x64xf32, #nested>) -> tensor<8x64xf32> {
  %d = lowbit.decode %w : tensor<8x64xf32, #nested>
  return %d : tensor<8x64xf32>
}

// -----

#int4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#int8 = #lowbit.quantized<int<8>, scale = f16 per [1, 32]>
#zero = #lowbit.quantized<uint<8>, scale = f16 per [1, 32], zero = uint<8> per [1, 32], layout = planes<4, 4>>

// No code of so few bits, one plane of eight, an integer zero point: as they are.
// CHECK-LABEL: @others
// CHECK: lowbit.convert %{{.*}} to tensor<8x64xf32, #prefix4_codes>
// CHECK-NOT: lowbit.convert
func.func @others(%nested: tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<4, 4>>>,
    %a: tensor<8x64xf32, #int4>, %b: tensor<8x64xf32, #int8>, %c: tensor<8x64xf32, #zero>)
    -> (tensor<8x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>) {
  lowbit.decode %nested : tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<4, 4>>>
  %0 = lowbit.decode %a : tensor<8x64xf32, #int4>
  %1 = lowbit.decode %b : tensor<8x64xf32, #int8>
  %2 = lowbit.decode %c : tensor<8x64xf32, #zero>
  return %0, %1, %2 : tensor<8x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>
}

// -----

#minimum = #lowbit.quantized<uint<6>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = planes<2, 4>>

// An additive minimum stays with its scale; the length of an open row too.
// CHECK-LABEL: @minimum
// CHECK: lowbit.convert
// COMPONENTS-LABEL: @minimum
// COMPONENTS-SAME: (%{{.*}}: tensor<?x?xi8>, %[[HIGH:.*]]: tensor<?x?xi8>, %[[SCALE:.*]]: tensor<?x?xf16>, %[[MIN:.*]]: tensor<?x?xf16>, %[[EXTENT:.*]]: index)
// COMPONENTS: lowbit.decode_region tensor<?x?xf32, #{{.*}}>(%[[HIGH]], %[[SCALE]], %[[MIN]], %[[EXTENT]])
func.func @minimum(%w: tensor<?x?xf32, #minimum>) -> tensor<?x?xf32> {
  %d = lowbit.decode %w : tensor<?x?xf32, #minimum>
  return %d : tensor<?x?xf32>
}
