// A model in f32 with grouped queries, biases and a head of its own.
// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --biases --head
// RUN: lowbit-translate --gguf-to-mlir %t.gguf --context 32 -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// What is printed can be read again, and every run prints the same.
// RUN: lowbit-opt %t.mlir -o /dev/null
// RUN: lowbit-translate --gguf-to-mlir %t.gguf --context 32 | diff %t.mlir -

// One function for both layers; the caches are arguments and results.
// CHECK-LABEL: func.func private @prefill_layer(
// CHECK-SAME:    %x: tensor<?x64xf32>, %cosine: tensor<?x8xf32>, %sine: tensor<?x8xf32>, %position: index,
// CHECK-SAME:    %attn_norm: tensor<64xf32>,
// CHECK-SAME:    %attn_q: tensor<64x64xf32>, %attn_q.bias: tensor<64xf32>,
// CHECK-SAME:    %attn_k: tensor<32x64xf32>, %attn_k.bias: tensor<32xf32>,
// CHECK-SAME:    %attn_v: tensor<32x64xf32>, %attn_v.bias: tensor<32xf32>,
// CHECK-SAME:    %attn_output: tensor<64x64xf32>, %attn_output.bias: tensor<64xf32>,
// CHECK-SAME:    %ffn_norm: tensor<64xf32>, %ffn_gate: tensor<96x64xf32>, %ffn_up: tensor<96x64xf32>, %ffn_down: tensor<64x96xf32>,
// CHECK-SAME:    %k_cache: tensor<2x32x16xf32>, %v_cache: tensor<2x32x16xf32>)
// CHECK-SAME:    -> (tensor<?x64xf32>, tensor<2x32x16xf32>, tensor<2x32x16xf32>)

// A bias is where the sum of a projection starts.
// CHECK:         %[[BIASES:.*]] = linalg.generic {{.*}} ins(%attn_q.bias : tensor<64xf32>)
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %attn_q : tensor<?x64xf32>, tensor<64x64xf32>) outs(%[[BIASES]] : tensor<?x64xf32>)
// New keys and values go into the caches; what is read afterwards are the positions so far.
// CHECK:         %[[K:.*]] = tensor.insert_slice %{{.*}} into %k_cache[0, %position, 0] [2, %[[ROWS:.*]], 16] [1, 1, 1]
// CHECK:         tensor.insert_slice %{{.*}} into %v_cache[0, %position, 0] [2, %[[ROWS]], 16] [1, 1, 1]
// CHECK:         %[[LENGTH:.*]] = arith.addi %position, %[[ROWS]]
// CHECK:         tensor.extract_slice %[[K]][0, 0, 0] [2, %[[LENGTH]], 16] [1, 1, 1]
// A row sees the positions up to its own.
// CHECK:         linalg.index 2
// CHECK-NEXT:    linalg.index 3
// CHECK-NEXT:    arith.addi %position
// CHECK-NEXT:    arith.cmpi sle
// CHECK:         arith.select
// CHECK:         arith.maximumf
// The residual, with the bias, is what the projection adds to.
// CHECK:         %[[RESIDUAL:.*]] = linalg.generic {{.*}} ins(%x, %attn_output.bias :
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %attn_output : {{.*}}) outs(%[[RESIDUAL]] :

// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    %tokens: tensor<?xi64>, %position: index,
// CHECK-SAME:    %k_0: tensor<2x32x16xf32>, %v_0: tensor<2x32x16xf32>, %k_1: tensor<2x32x16xf32>, %v_1: tensor<2x32x16xf32>,
// CHECK-SAME:    %logits: tensor<?x80xf32>)
// CHECK-SAME:    attributes {lowbit.entry, lowbit.updates = array<i64: 2, 3, 4, 5, 6>}
// CHECK:         scf.for
// CHECK:           %[[ID:.*]] = tensor.extract %tokens
// CHECK:           arith.maxsi
// CHECK:           %[[CLAMPED:.*]] = arith.minsi
// CHECK:           tensor.extract_slice %token_embd.weight[%[[CLAMPED]], 0] [1, 64] [1, 1]
// CHECK:         arith.constant dense<[1.000000e+00, 0.316227764, 1.000000e-01, 0.0316227749, 0.00999999977, 0.00316227763, 1.000000e-03, 3.16227757E-4]>
// CHECK:         %[[L0:.*]]:3 = {{.*}}call @prefill_layer(
// CHECK:         %[[L1:.*]]:3 = {{.*}}call @prefill_layer(%[[L0]]#0,
// As many of the last rows as there are rows of logits.
// CHECK:         %[[LAST:.*]] = tensor.dim %logits
// CHECK:         %[[SKIPPED:.*]] = arith.subi %{{.*}}, %[[LAST]]
// CHECK:         tensor.extract_slice %[[L1]]#0[%[[SKIPPED]], 0] [%[[LAST]], 64] [1, 1]
// CHECK:         %[[ZEROS:.*]] = linalg.fill {{.*}} outs(%logits :
// CHECK:         %[[Y:.*]] = linalg.matmul {{.*}} ins(%{{.*}}, %output.weight : {{.*}}) outs(%[[ZEROS]] :
// CHECK:         return %[[L0]]#1, %[[L0]]#2, %[[L1]]#1, %[[L1]]#2, %[[Y]]

// One token sees all positions: no mask.
// CHECK-LABEL: func.func private @decode_layer(
// CHECK-SAME:    %x: tensor<1x64xf32>
// CHECK-NOT:     arith.select
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %token: tensor<1xi64>, %position: index,
// CHECK-SAME:    %logits: tensor<1x80xf32>)
// CHECK-NOT:     scf.for
