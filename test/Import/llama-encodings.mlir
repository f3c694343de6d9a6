// Weights keep the encodings of the file; the last layer has others than the first.
// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --weights Q8_0 --last Q4_1
// RUN: lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: lowbit-opt %t.mlir -o /dev/null

// Encoded weights are operands of plain linalg; layers of other types are other functions.
// CHECK-LABEL: func.func private @prefill_layer(
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %attn_q : tensor<?x64xf32>, tensor<64x64xf32, [[$Q8:#[^)]*]])
// CHECK-LABEL: func.func private @prefill_layer_1(
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %attn_q : tensor<?x64xf32>, tensor<64x64xf32, [[$Q4:#[^)]*]])

// CHECK-LABEL: func.func @prefill(
// The look-up slices the decoded table, so that no more than its rows need be decoded.
// CHECK:         %[[TABLE:.*]] = lowbit.parameter "token_embd.weight" : tensor<80x64xf32, [[$Q8]]
// CHECK:         %[[DECODED:.*]] = lowbit.decode %[[TABLE]]
// CHECK:         tensor.extract_slice %[[DECODED]][%{{.*}}, 0] [1, 64] [1, 1]
// CHECK:         lowbit.parameter "blk.0.attn_q.weight" : tensor<64x64xf32, [[$Q8]]
// CHECK:         call @prefill_layer(
// CHECK:         lowbit.parameter "blk.1.attn_q.weight" : tensor<64x64xf32, [[$Q4]]
// CHECK:         call @prefill_layer_1(
// The head is tied: the table again.
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %[[TABLE]] : tensor<?x64xf32>, tensor<80x64xf32, [[$Q8]])

// CHECK-LABEL: func.func @decode(
// CHECK:         call @decode_layer(
// CHECK:         call @decode_layer_1(
