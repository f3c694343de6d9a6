// Wrong command lines: one message each, and no output.

// RUN: rm -rf %t && mkdir %t
// RUN: not lowbit-run %s --entry mian --output %t/y.npy 2>&1 | FileCheck --check-prefix=ENTRY %s
// ENTRY: lowbit-run: error: the module has no entry 'mian': it has 'main'

// RUN: not lowbit-run %s --input 1:f32 --output %t/y.npy 2>&1 | FileCheck --check-prefix=COUNT %s
// COUNT: error: entry 'main' takes 2 inputs, not 1: f32 [2], f32

// RUN: not lowbit-run %s --input 1:3xf32 --input 1:f32 --output %t/y.npy 2>&1 | FileCheck --check-prefix=SHAPE %s
// SHAPE: error: input 0 of entry 'main' is f32 [2], not f32 [3]

// RUN: not lowbit-run %s --input 1:2xf16 --input 1:f32 --output %t/y.npy 2>&1 | FileCheck --check-prefix=TYPE %s
// TYPE: error: input 0 of entry 'main' is f32 [2], not f16 [2]

// RUN: not lowbit-run %s --input 1:2xf32 --input x:f32 --output %t/y.npy 2>&1 | FileCheck --check-prefix=VALUE %s
// VALUE: error: 'x:f32': 'x' is not a value of type f32

// RUN: not lowbit-run %s --input %t/none.npy --input 1:f32 --output %t/y.npy 2>&1 | FileCheck --check-prefix=FILE %s
// FILE: error: {{.*}}none.npy

// RUN: not lowbit-run %s --input 1:2xf32 --input 1:f32 --output %t/y.npy --output %t/z.npy 2>&1 | FileCheck --check-prefix=OUTPUTS %s
// OUTPUTS: error: entry 'main' has 1 results, 2 files are given for them

// RUN: not lowbit-run %s --pipeline gpu 2>&1 | FileCheck --check-prefix=PIPELINE %s
// PIPELINE: error: 'gpu' is no pipeline: give cpu, reference, none, options as 'cpu{rows=32}', or passes as 'builtin.module(canonicalize)'

// RUN: not lowbit-run %t/none.mlir 2>&1 | FileCheck --check-prefix=MODULE %s
// MODULE: error: {{.*}}none.mlir: cannot be read: No such file or directory

// RUN: not lowbit-run %s --parameters %s 2>&1 | FileCheck --check-prefix=ARCHIVE %s
// ARCHIVE: error: {{.*}}run-invalid.mlir: byte 0:

// RUN: echo "func.func @main(" | not lowbit-run - 2>&1 | FileCheck --check-prefix=PARSE %s
// PARSE: error: -:{{[0-9]+:[0-9]+}}: expected

// RUN: not lowbit-run %s --input 1:2xf32 --input 1:f32 --output %t/no/y.npy 2>&1 | FileCheck --check-prefix=FOLDER %s
// FOLDER: error: {{.*}}y.npy: cannot write: No such file or directory: check that the folder exists

// RUN: ls %t | count 0

func.func @main(%x: tensor<2xf32>, %y: f32) -> tensor<2xf32> attributes {lowbit.entry} {
  %e = tensor.empty() : tensor<2xf32>
  %sum = linalg.add ins(%x, %x : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  return %sum : tensor<2xf32>
}
