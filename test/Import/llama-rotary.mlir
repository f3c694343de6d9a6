// Half of each head is rotated, heads are larger than the width over their number, and there is a key head
// for each query head.
// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.dimension_count=8 --set llama.attention.key_length=24 \
// RUN:   --without llama.attention.head_count_kv --without llama.rope.freq_base
// RUN: lowbit-translate --gguf-to-mlir %t.gguf | FileCheck %s

// CHECK-LABEL: func.func private @decode_layer(
// CHECK-SAME:    %cosine: tensor<1x4xf32>
// CHECK-SAME:    %k_cache: tensor<4x64x24xf32>
// CHECK:         %[[PAIRS:.*]] = tensor.expand_shape %attn_q{{.*}} output_shape [1, 4, 1, 12, 2]
// CHECK:         tensor.extract_slice %[[PAIRS]][0, 0, 0, 0, 0] [1, 4, 1, 4, 1] [1, 1, 1, 1, 1] : tensor<1x4x1x12x2xf32> to tensor<1x4x1x4xf32>
// CHECK:         tensor.extract_slice %[[PAIRS]][0, 0, 0, 0, 1] [1, 4, 1, 4, 1] [1, 1, 1, 1, 1]
// The elements that are not rotated stay.
// CHECK:         tensor.insert_slice %{{.*}} into %[[PAIRS]][0, 0, 0, 0, 0] [1, 4, 1, 4, 1]
// CHECK-LABEL: func.func @decode(
// CHECK:         arith.constant dense<[1.000000e+00, 1.000000e-01, 0.00999999977, 1.000000e-03]> : tensor<4xf32>
