//===- Buffers.td - Tiles to buffers that a caller knows ---*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_LOWER_BUFFERS
#define LOWBIT_TRANSFORMS_LOWER_BUFFERS

include "lowbit/Transforms/Lower/PassBase.td"

def EntryABI : Pass<"lowbit-entry-abi", "::mlir::ModuleOp"> {
  let summary = "Wrap entries in functions that take buffers and return nothing";
  let description = [{
    The body of an entry becomes private; a public function of the entry's name takes a buffer for each tensor and updates
    in place what `lowbit.updates` says. Fresh results become trailing buffers. A result that may lie in the storage that
    another one updates is copied first. The module gets the list of entries
    (`lowbit.entries`).

    ```mlir
    // lowbit-opt --lowbit-entry-abi
    func.func @step(%state: tensor<8xf32>, %x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
        attributes {lowbit.entry, lowbit.updates = array<i64: 0, -1>} {
      return %x, %state : tensor<8xf32>, tensor<8xf32>
    }
    ```
    becomes
    ```mlir
    module attributes {lowbit.entries = [
        {name = "step", arguments = [memref<8xf32>, memref<8xf32>, memref<8xf32>], outputs = 1 : i64} ]} {
      func.func @step(%state: memref<8xf32>, %x: memref<8xf32>, %out: memref<8xf32>) attributes {llvm.emit_c_interface} {
        %0 = bufferization.to_tensor %state restrict writable : memref<8xf32> to tensor<8xf32>
        %1 = bufferization.to_tensor %x restrict : memref<8xf32> to tensor<8xf32>
        %2:2 = call @step.body(%0, %1) : (tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
        %3 = bufferization.alloc_tensor() copy(%2#1) : tensor<8xf32> // it is the old state
      bufferization.materialize_in_destination %2#0 in restrict writable %state : (tensor<8xf32>, memref<8xf32>) -> ()
        bufferization.materialize_in_destination %3 in restrict writable %out : (tensor<8xf32>, memref<8xf32>) -> ()
        return
      }
      func.func private @step.body(%state: tensor<8xf32>, %x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
        return %x, %state : tensor<8xf32>, tensor<8xf32>
      }
    }
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def BoundBuffers : Pass<"lowbit-bound-buffers", "::mlir::func::FuncOp"> {
  let summary = "Give buffers of ragged tiles the size of the largest one";
  let description = [{
    A buffer in a loop whose sizes are known only at run time, but not their bounds, becomes a view of one with the largest
    size: that can lie on the stack, outside of the loop. Larger ones than `bytes` stay.

    ```mlir
    // lowbit-opt --lowbit-bound-buffers
    #rest = affine_map<(i)[n] -> (-i + n, 128)>
    func.func private @use(memref<?x64xf32>)
    func.func @tiles(%n: index) {
      %c0 = arith.constant 0 : index
      %c128 = arith.constant 128 : index
      scf.for %i = %c0 to %n step %c128 {
        %size = affine.min #rest(%i)[%n]
        %tile = memref.alloc(%size) {alignment = 64 : i64} : memref<?x64xf32>
        func.call @use(%tile) : (memref<?x64xf32>) -> ()
      }
      return
    }
    ```
    becomes
    ```mlir
    #rest = affine_map<(i)[n] -> (-i + n, 128)>
    func.func private @use(memref<?x64xf32>)
    func.func @tiles(%n: index) {
      %c0 = arith.constant 0 : index
      %c128 = arith.constant 128 : index
      scf.for %i = %c0 to %n step %c128 {
        %size = affine.min #rest(%i)[%n]
        %largest = memref.alloc() {alignment = 64 : i64} : memref<32768xi8>
        %none = arith.constant 0 : index
        %tile = memref.view %largest[%none][%size] : memref<32768xi8> to memref<?x64xf32>
        func.call @use(%tile) : (memref<?x64xf32>) -> ()
      }
      return
    }
    ```
  }];
  let options = [
    Option<"bytes", "bytes", "int64_t", /*default=*/"262144", "Of the largest buffer that is made so">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def ExpandCopies : Pass<"lowbit-expand-copies", "::mlir::func::FuncOp"> {
  let summary = "Turn copies between buffers into linalg ops";
  let description = [{
    `memref.copy` of strided buffers would become a call into a run-time library; as linalg it becomes vector code or
    loops like everything else.

    ```mlir
    // lowbit-opt --lowbit-expand-copies
    func.func @copy(%row: memref<64xf32, strided<[2]>>, %to: memref<64xf32>) {
      memref.copy %row, %to : memref<64xf32, strided<[2]>> to memref<64xf32>
      return
    }
    ```
    becomes
    ```mlir
    #id = affine_map<(i) -> (i)>
    func.func @copy(%row: memref<64xf32, strided<[2]>>, %to: memref<64xf32>) {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%row : memref<64xf32, strided<[2]>>) outs(%to : memref<64xf32>) {
        ^bb0(%in: f32, %out: f32):
          linalg.yield %in : f32
      }
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def ParametersToLLVM : Pass<"lowbit-parameters-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Turn parameter buffers into globals that the loader fills";
  let description = [{
    Each component of each parameter becomes a global descriptor, listed in the module's `lowbit.parameters`, and each
    `parameter_buffer` a load of it.

    ```mlir
    // lowbit-opt --lowbit-parameters-to-llvm
    func.func @norm() -> memref<8xf32> {
      %m = lowbit.parameter_buffer "output_norm.weight"["values"] : memref<8xf32>
      return %m : memref<8xf32>
    }
    ```
    becomes
    ```mlir
    module attributes {lowbit.parameters = [
        {key = "output_norm.weight", component = "values", type = memref<8xf32>, symbol = @lowbit.parameter.0} ]} {
      llvm.mlir.global external @lowbit.parameter.0() : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> {
        %zero = llvm.mlir.zero : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
        llvm.return %zero : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
      }
      func.func @norm() -> memref<8xf32> {
        %0 = llvm.mlir.addressof @lowbit.parameter.0 : !llvm.ptr
        %1 = llvm.load %0 : !llvm.ptr -> !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
        %m = builtin.unrealized_conversion_cast %1
          : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> to memref<8xf32>
        return %m : memref<8xf32>
      }
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def PrefetchLoads : Pass<"lowbit-prefetch-loads", "::mlir::func::FuncOp"> {
  let summary = "Prefetch what vector loads from large buffers read later";
  let description = [{
    A vector load in a loop, from an argument or a parameter of at least `least` bytes, or of a size that is not known, gets a prefetch `distance` bytes further on. Of buffers that a
    caller hands in, such as key-value caches, each part is read in one stream, but the parts are short, and where one ends the hardware's own
    prefetch starts anew. After vectorization; contractions on inner tiles have prefetches already (lowbit-emit-contractions).

    ```mlir
    // lowbit-opt --lowbit-prefetch-loads=distance=512
    func.func @sum(%x: memref<1024x1024xf32>, %row: index) -> vector<16xf32> {
      %c0 = arith.constant 0 : index
      %c16 = arith.constant 16 : index
      %c1024 = arith.constant 1024 : index
      %zero = arith.constant dense<0.0> : vector<16xf32>
      %sum = scf.for %i = %c0 to %c1024 step %c16 iter_args(%s = %zero) -> vector<16xf32> {
        %v = vector.load %x[%row, %i] : memref<1024x1024xf32>, vector<16xf32>
        %next = arith.addf %s, %v : vector<16xf32>
        scf.yield %next : vector<16xf32>
      }
      return %sum : vector<16xf32>
    }
    ```
    becomes
    ```mlir
    func.func @sum(%x: memref<1024x1024xf32>, %row: index) -> vector<16xf32> {
      %c0 = arith.constant 0 : index
      %c16 = arith.constant 16 : index
      %c1024 = arith.constant 1024 : index
      %zero = arith.constant dense<0.0> : vector<16xf32>
      %sum = scf.for %i = %c0 to %c1024 step %c16 iter_args(%s = %zero) -> vector<16xf32> {
        %c128 = arith.constant 128 : index
        %ahead = arith.addi %i, %c128 : index
        memref.prefetch %x[%row, %ahead], read, locality<3>, data : memref<1024x1024xf32>
        %v = vector.load %x[%row, %i] : memref<1024x1024xf32>, vector<16xf32>
        %next = arith.addf %s, %v : vector<16xf32>
        scf.yield %next : vector<16xf32>
      }
      return %sum : vector<16xf32>
    }
    ```
  }];
  let options = [
    Option<"distance", "distance", "int64_t", /*default=*/"2048", "Bytes ahead; 0: no prefetch">,
    Option<"locality", "locality", "unsigned", /*default=*/"3", "3: into all caches, 2: all but the first">,
    Option<"least", "least", "int64_t", /*default=*/"1048576", "Bytes of a buffer from which on its loads are prefetched">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_BUFFERS
