// What cannot be imported is refused: file, then key or tensor, then what to do. Nothing is written.
// RUN: rm -f %t.mlir

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set general.architecture=gemma3
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE0
// CASE0: lowbit-translate: error: {{.*}}.gguf: metadata 'general.architecture' is 'gemma3', which is not supported: give a model of the architecture 'llama'

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --without llama.embedding_length
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE1
// CASE1: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.embedding_length' is missing

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.attention.layer_norm_rms_epsilon=small
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE2
// CASE2: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.attention.layer_norm_rms_epsilon' is string, not a float

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.block_count=0
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE3
// CASE3: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.block_count' is 0: the file is damaged

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.block_count=3
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE4
// CASE4: lowbit-translate: error: {{.*}}.gguf: no tensor is named 'blk.2.attn_norm.weight'

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.block_count=1
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE5
// CASE5: lowbit-translate: error: {{.*}}.gguf: tensor 'blk.1.attn_norm.weight' has no place in a 'llama' model

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.attention.head_count_kv=3
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE6
// CASE6: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.attention.head_count_kv' is 3, which does not divide the 4 heads

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.attention.head_count=5 --set llama.attention.head_count_kv=5
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE7
// CASE7: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.attention.head_count' is 5, which does not divide the embedding length 64

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.attention.value_length=8
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE8
// CASE8: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.attention.value_length' is 8, but keys have length 16: only equal lengths are supported

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.dimension_count=7
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE9
// CASE9: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.rope.dimension_count' is 7 for heads of size 16: both must be even, and the first no larger

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.dimension_count=18
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE10
// CASE10: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.rope.dimension_count' is 18 for heads of size 16

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.freq_base=-1.0
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE11
// CASE11: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.rope.freq_base' is not a finite positive number

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.scaling.type=yarn
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE12
// CASE12: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.rope.scaling.type' asks for scaling of the rotary embedding, which is not supported

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.rope.scaling.factor=4.0
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE13
// CASE13: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.rope.scaling.factor' asks for scaling of the rotary embedding

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --tensor rope_freqs.weight=8
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE14
// CASE14: lowbit-translate: error: {{.*}}.gguf: tensor 'rope_freqs.weight' asks for scaling of the rotary embedding

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.expert_count=8
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE15
// CASE15: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.expert_count' asks for a mixture of experts, which is not supported

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --set llama.attention.sliding_window=16
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE16
// CASE16: lowbit-translate: error: {{.*}}.gguf: metadata 'llama.attention.sliding_window' asks for a sliding window, which is not supported

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --without output_norm.weight
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE17
// CASE17: lowbit-translate: error: {{.*}}.gguf: no tensor is named 'output_norm.weight'

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --tensor blk.1.ffn_up.weight=64,96
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE18
// CASE18: lowbit-translate: error: {{.*}}.gguf: tensor 'blk.1.ffn_up.weight' has shape [64, 96], but the metadata asks for [96, 64]

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --biases --tensor blk.0.attn_q.bias=32
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE19
// CASE19: lowbit-translate: error: {{.*}}.gguf: tensor 'blk.0.attn_q.bias' has shape [32], but the metadata asks for [64]

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf --tensor blk.0.attn_q_norm.weight=16
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE21
// CASE21: lowbit-translate: error: {{.*}}.gguf: tensor 'blk.0.attn_q_norm.weight' has no place in a 'llama' model

// RUN: %python %S/Inputs/make_tiny_llama.py %t.gguf
// RUN: not lowbit-translate --gguf-to-mlir %t.gguf --context 65 -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE22
// CASE22: lowbit-translate: error: {{.*}}.gguf: a context of 65 positions was asked for: the model takes 1 to 64

// RUN: not lowbit-translate --gguf-to-mlir %t.gguf --context 0 -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE23
// CASE23: lowbit-translate: error: {{.*}}.gguf: a context of 0 positions was asked for: the model takes 1 to 64

// RUN: not lowbit-translate --gguf-to-mlir %t.gguf --kv-cache int5 -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE24
// CASE24: lowbit-translate: error: {{.*}}.gguf: a key-value cache of 'int5': {{.*}}; give f32, f16, int8, int4, or an encoding such as 'int<8>, scale = f16 per [1, 1, 16]'

// RUN: not lowbit-translate --gguf-to-mlir %t.gguf --kv-cache 'int<8>, scale = f32 per tensor' -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE25
// CASE25: lowbit-translate: error: {{.*}}.gguf: a key-value cache of 'int<8>, scale = f32 per tensor': its codes and scales do not belong to single positions, which are written one after the other; give

// RUN: not lowbit-translate --gguf-to-mlir %t.gguf --kv-cache 'int<8>, scale = f32 rank1<min>' -o %t.mlir 2>&1 | FileCheck %s --check-prefix=CASE26
// CASE26: lowbit-translate: error: {{.*}}.gguf: a key-value cache of

// RUN: not lowbit-translate %t.gguf 2>&1 | FileCheck %s --check-prefix=WHICH
// WHICH: lowbit-translate: error: no translation was asked for: give --gguf-to-mlir

// RUN: not lowbit-translate --gguf-to-mlir %t.none -o %t.mlir 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: lowbit-translate: error: {{.*}}.none

// RUN: not ls %t.mlir
