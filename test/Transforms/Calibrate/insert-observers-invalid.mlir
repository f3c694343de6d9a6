// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-insert-observers))' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-insert-observers{statistics=median}))' 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// NONE: insert-observers-invalid.mlir:[[#@LINE+2]]:{{.*}}: error: no statistics are asked for: give some, as statistics=moments
// UNKNOWN: insert-observers-invalid.mlir:[[#@LINE+1]]:{{.*}}: error: 'median' is not a statistic: give some of moments, squares, sums, magnitudes, maxima, minima and histogram
func.func @f() {
  return
}
