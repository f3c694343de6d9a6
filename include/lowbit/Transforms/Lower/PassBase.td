//===- PassBase.td - What definitions of passes share ------*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_LOWER_PASSBASE
#define LOWBIT_TRANSFORMS_LOWER_PASSBASE

include "mlir/Pass/PassBase.td"

defvar Lowbit_TensorDialects = [
  "::lowbit::LowbitDialect", "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
  "::mlir::bufferization::BufferizationDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
  "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
];

defvar Lowbit_FailOnFallback =
  Option<"failOnFallback", "fail-on-fallback", "bool", /*default=*/"false", "What would be a remark of a miss is an error">;

#endif // LOWBIT_TRANSFORMS_LOWER_PASSBASE
