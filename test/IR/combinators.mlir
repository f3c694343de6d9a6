// Every combinator is read, and printed in one form.
// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s
// RUN: lowbit-opt %s --emit-bytecode | lowbit-opt | FileCheck %s

#q = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#h = #lowbit.quantized<f16>
#v = #lowbit.quantized<int<8>, scale = f32 per [64]>

// CHECK-DAG: #[[Q:.*]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
// CHECK-DAG: #[[H:.*]] = #lowbit.quantized<f16>
// CHECK-DAG: #[[V:.*]] = #lowbit.quantized<int<8>, scale = f32 per [64]>

// CHECK-DAG: #[[NM:n_m.*]] = #lowbit.n_m<2, 4, #[[Q]]>
// CHECK-DAG: func private @n_m(tensor<?x64xf32, #[[NM]]>)
func.func private @n_m(tensor<?x64xf32, #lowbit.n_m<2, 4, #q>>)
// CHECK-DAG: #[[BLOCKS:block_sparse.*]] = #lowbit.block_sparse<[16, 32], density = 0.5, #[[Q]]>
// CHECK-DAG: func private @block_sparse(tensor<32x64xf32, #[[BLOCKS]]>)
func.func private @block_sparse(tensor<32x64xf32, #lowbit.block_sparse<[16, 32], density = 0.5, #q>>)
// CHECK-DAG: #[[LOW:low_rank.*]] = #lowbit.low_rank<rank = 16, #[[H]], #[[Q]]>
// CHECK-DAG: func private @low_rank(tensor<?x?xf32, #[[LOW]]>)
func.func private @low_rank(tensor<?x?xf32, #lowbit.low_rank<rank = 16, #h, #q>>)
// CHECK-DAG: #[[COLUMNS:outlier_columns.*]] = #lowbit.outlier_columns<density = 0.01, #[[Q]], #[[H]]>
// CHECK-DAG: func private @outlier_columns(tensor<?x?xf32, #[[COLUMNS]]>)
func.func private @outlier_columns(tensor<?x?xf32, #lowbit.outlier_columns<density = 0.01, #q, #h>>)
// CHECK-DAG: #[[ORDER:permuted.*]] = #lowbit.permuted<axis = 1, #[[Q]]>
// CHECK-DAG: func private @permuted(tensor<?x?xf32, #[[ORDER]]>)
func.func private @permuted(tensor<?x?xf32, #lowbit.permuted<axis = 1, #q>>)
// CHECK-DAG: func private @permuted_alone(tensor<?x?xf32, #[[ORDER]]>)
func.func private @permuted_alone(tensor<?x?xf32, #lowbit.permuted<axis = 1, block = 1, #q>>)
// CHECK-DAG: #[[GROUPS:permuted.*]] = #lowbit.permuted<axis = 1, block = 32, #[[Q]]>
// CHECK-DAG: func private @permuted_groups(tensor<?x64xf32, #[[GROUPS]]>)
func.func private @permuted_groups(tensor<?x64xf32, #lowbit.permuted<axis = 1, block = 32, #q>>)
// CHECK-DAG: #[[FLAT:flattened.*]] = #lowbit.flattened<#[[V]]>
// CHECK-DAG: func private @flattened(tensor<3x5x7xf32, #[[FLAT]]>, tensor<f32, #[[FLAT]]>)
func.func private @flattened(tensor<3x5x7xf32, #lowbit.flattened<#v>>, tensor<f32, #lowbit.flattened<#v>>)
// CHECK-DAG: #[[SPLIT:split.*]] = #lowbit.split<bf16, 8>
// CHECK-DAG: func private @split(tensor<?x?xf32, #[[SPLIT]]>)
func.func private @split(tensor<?x?xf32, #lowbit.split<bf16, 8>>)
// CHECK-DAG: #[[DEEP:sum.*]] = #lowbit.sum<#{{low_rank.*}}, #[[ORDER]], #{{sparse.*}}>
// CHECK-DAG: func private @nested(tensor<?x?xf32, #[[DEEP]]>)
func.func private @nested(tensor<?x?xf32, #lowbit.sum<#lowbit.low_rank<rank = 1, #h, #h>, #lowbit.permuted<axis = 1, #q>, #lowbit.sparse<f16, density = 0.01>>>)
