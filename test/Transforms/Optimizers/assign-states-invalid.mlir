// RUN: not lowbit-opt %s --lowbit-assign-states="assignments=m" 2>&1 | FileCheck %s --check-prefix=LIST
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[1]'" 2>&1 | FileCheck %s --check-prefix=DICTIONARY
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{name = \"m\"}]'" 2>&1 | FileCheck %s --check-prefix=FIELD
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{names = \"[\"}]'" 2>&1 | FileCheck %s --check-prefix=PATTERN
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{elements = -1}]'" 2>&1 | FileCheck %s --check-prefix=ELEMENTS
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{rows = 1.0}]'" 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{nonnegative = 2}]'" 2>&1 | FileCheck %s --check-prefix=NONNEGATIVE
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{encoding = 8}]'" 2>&1 | FileCheck %s --check-prefix=ENCODING
// RUN: not lowbit-opt %s --lowbit-assign-states="assignments='[{encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>}]'" 2>&1 | FileCheck %s --check-prefix=SHAPE

// LIST: error: assignments are a list of dictionaries, as [{names = "m",
// DICTIONARY: error: an assignment is a dictionary, not 1
// FIELD: error: unknown field 'name' of an assignment; known: names, parameters, nonnegative, elements, rows, encoding
// PATTERN: error: 'names' of an assignment: '[':
// ELEMENTS: error: 'elements' of an assignment is a number from 0 on, not -1
// ROWS: error: 'rows' of an assignment is a number from 0 on, not 1.000000e+00
// NONNEGATIVE: error: 'nonnegative' of an assignment is true or false, not 2
// ENCODING: error: 'encoding' of an assignment is no encoding: 8
// SHAPE: assign-states-invalid.mlir:[[#@LINE+1]]:{{.*}}: error: argument 0, "m", cannot be stored so:
func.func @step(%m: tensor<64xf32> {lowbit.name = "m"}) {
  return
}
