//===- Passes.td - From encoded tensors to machine code ---*- tablegen -*-===//
//
// In the order of the road: notation to program, program to components, components to tiles, tiles to buffers.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_PASSES_TD
#define LOWBIT_TRANSFORMS_LOWER_PASSES_TD

include "lowbit/Transforms/Lower/VectorizeContractions.td"
include "lowbit/Transforms/Lower/VectorizeElementwise.td"
include "mlir/Pass/PassBase.td"

defvar Lowbit_TensorDialects = [
  "::lowbit::LowbitDialect", "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
  "::mlir::bufferization::BufferizationDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
  "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
];

//===----------------------------------------------------------------------===//
// Notation and program
//===----------------------------------------------------------------------===//

def Materialize : Pass<"lowbit-materialize", "::mlir::ModuleOp"> {
  let summary = "Make the decodes and encodes of the implicit notation explicit";
  let description = [{
    The first pass of every pipeline. An op that computes on encoded tensors reads them through `lowbit.decode` and writes
    them through `lowbit.encode`; afterwards encoded tensors are touched only by lowbit ops, calls and control flow, and
    upstream's rewrites are safe. What has no meaning on encoded tensors (`tensor.cast` between encodings, slices and
    reshapes that yield encoded tensors) is an error.

    ```mlir
    %y = linalg.matmul ins(%x, %w : tensor<1x64xf32>, tensor<64x8xf32, #w>) outs(%y0 : tensor<1x8xf32>) -> tensor<1x8xf32>
    // becomes
    %d = lowbit.decode %w : tensor<64x8xf32, #w>
    %y = linalg.matmul ins(%x, %d : tensor<1x64xf32>, tensor<64x8xf32>) outs(%y0 : tensor<1x8xf32>) -> tensor<1x8xf32>
    ```
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def VerifyExplicit : Pass<"lowbit-verify-explicit", "::mlir::ModuleOp"> {
  let summary = "Check that no op computes on encoded tensors implicitly";
  let description = [{
    Every op with an encoded operand or result is a lowbit op, a call, control flow, or asks only for a shape.
    Anything else is an error at that op.
  }];
}

def VerifyPlain : Pass<"lowbit-verify-plain", "::mlir::ModuleOp"> {
  let summary = "Check that no encoding is left";
  let description = [{
    Before bufferization, which would drop an encoding without a word: no type of a value, function or attribute has
    an encoding.
  }];
}

def Strip : Pass<"lowbit-strip", "::mlir::ModuleOp"> {
  let summary = "Give the full-precision program back";
  let description = [{
    Removes every encoding: types become plain, `decode`, `encode` and `convert` become their source. Works on the
    implicit notation and on the explicit program. A program that takes components apart (`assemble`, `disassemble`) has
    no full-precision form.
  }];
  let dependentDialects = ["::lowbit::LowbitDialect"];
}

//===----------------------------------------------------------------------===//
// Components and tiles
//===----------------------------------------------------------------------===//

def FuseElementwise : Pass<"lowbit-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Fuse elementwise ops into their only consumer";
  let description = [{
    Upstream's elementwise fusion without its reshape patterns, which would give a contraction the shape of what reads
    it, and its decode with it.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect"];
}

def Components : Pass<"lowbit-components", "::mlir::ModuleOp"> {
  let summary = "Replace encoded values by their stored components";
  let description = [{
    1:N, across functions, calls, loops and branches. `decode` and `encode` become `decode_region` and `encode_region` of
    the whole tensor, an encode with a statistics phase gets it first; `parameter` becomes the buffers of its components.
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def Distribute : Pass<"lowbit-distribute", "::mlir::func::FuncOp"> {
  let summary = "Distribute contractions over sums and parts";
  let description = [{
    A contraction with a decoded `sum` becomes a sum of contractions, one with a `part` a split of its rows, columns or
    reduction, through the encoding's `getPieces`; a sparse term contracts on its entries (`buildContraction`).
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def Tile : Pass<"lowbit-tile", "::mlir::func::FuncOp"> {
  let summary = "Tile to parallel loops and fuse decodes into them";
  let description = [{
    Contractions: a parallel loop over tiles of the result with the decode of the tile's weights inside. Encodes: a
    parallel loop over the encode's granularity, with the op that produces the values. Other ops: a parallel loop over an
    outer dimension where that pays. Tile sizes are first made legal for every encoding involved; a decode of a whole tensor
    that is left outside a loop is an error, unless its encoding has tiles no smaller.
  }];
  let options = [
    Option<"rows", "rows", "int64_t", /*default=*/"16", "Rows of decoded weights in a tile of a contraction">,
    Option<"tileElements", "tile-elements", "int64_t", /*default=*/"32768",
           "Decoded weights in a tile, at most: it is to stay in a cache next to the core">,
    Option<"parallelElements", "parallel-elements", "int64_t", /*default=*/"4096",
           "An op that is no contraction runs in parallel from this many elements on">
  ];
  let dependentDialects = Lowbit_TensorDialects;
}

def BuildTiles : Pass<"lowbit-build-tiles", "::mlir::func::FuncOp"> {
  let summary = "Replace region ops by the IR that their encodings build";
  let description = [{
    `decode_region` and `encode_region` become linalg on components, through `buildDecodeTile` and `buildEncodeTile`.
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

def EntryABI : Pass<"lowbit-entry-abi", "::mlir::ModuleOp"> {
  let summary = "Wrap entries in functions that take buffers and return nothing";
  let description = [{
    The body of an entry becomes private; a public function of the entry's name takes a buffer for each tensor and updates
    in place what `lowbit.updates` says. Fresh results become trailing buffers. The module gets the list of entries
    (`lowbit.entries`).
  }];
  let dependentDialects = Lowbit_TensorDialects;
}

def ExpandCopies : Pass<"lowbit-expand-copies", "::mlir::func::FuncOp"> {
  let summary = "Turn copies between buffers into linalg ops";
  let description = [{
    `memref.copy` of strided buffers would become a call into a run-time library; as linalg it becomes vector code or
    loops like everything else.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def ParametersToLLVM : Pass<"lowbit-parameters-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Turn parameter buffers into globals that the loader fills";
  let description = [{
    Each component of each parameter becomes a global descriptor, listed in the module's `lowbit.parameters`, and each
    `parameter_buffer` a load of it.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // LOWBIT_TRANSFORMS_LOWER_PASSES_TD
