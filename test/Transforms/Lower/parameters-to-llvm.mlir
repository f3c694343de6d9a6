// RUN: lowbit-opt %s --lowbit-parameters-to-llvm | FileCheck %s

// One global for each component, however often it is read; the manifest tells the loader what to write there.

// CHECK: module attributes {lowbit.parameters = [
// CHECK-SAME: {component = "codes", key = "w", symbol = @lowbit.parameter.0, type = memref<8x32xi8>}
// CHECK-SAME: {component = "extent", key = "w", symbol = @lowbit.parameter.1, type = index}
// CHECK-SAME: {component = "codes", key = "v", symbol = @lowbit.parameter.2, type = memref<8x32xi8>}
// CHECK-SAME: ]}
// CHECK-DAG: llvm.mlir.global external @lowbit.parameter.0() {{.*}}: !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
// CHECK-DAG: llvm.mlir.global external @lowbit.parameter.1() {{.*}}: i64
// CHECK-DAG: llvm.mlir.global external @lowbit.parameter.2()
// CHECK-NOT: lowbit.parameter_buffer
// CHECK-LABEL: func @load(
// CHECK: %[[A:.*]] = llvm.mlir.addressof @lowbit.parameter.0
// CHECK: %[[D:.*]] = llvm.load %[[A]]
// CHECK: %[[M:.*]] = builtin.unrealized_conversion_cast %[[D]] : {{.*}} to memref<8x32xi8>
// CHECK: llvm.mlir.addressof @lowbit.parameter.1
// CHECK: builtin.unrealized_conversion_cast %{{.*}} : i64 to index
// CHECK: return %[[M]],
func.func @load() -> (memref<8x32xi8>, index) {
  %0 = lowbit.parameter_buffer "w"["codes"] : memref<8x32xi8>
  %1 = lowbit.parameter_buffer "w"["extent"] : index
  return %0, %1 : memref<8x32xi8>, index
}

// CHECK-LABEL: func @again(
// CHECK: llvm.mlir.addressof @lowbit.parameter.0
// CHECK: llvm.mlir.addressof @lowbit.parameter.2
func.func @again() -> (memref<8x32xi8>, memref<8x32xi8>) {
  %0 = lowbit.parameter_buffer "w"["codes"] : memref<8x32xi8>
  %1 = lowbit.parameter_buffer "v"["codes"] : memref<8x32xi8>
  return %0, %1 : memref<8x32xi8>, memref<8x32xi8>
}
