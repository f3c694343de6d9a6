//===- LowbitAttrs.h - Formats, scales, layouts, encodings ------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IR_LOWBITATTRS_H
#define LOWBIT_IR_LOWBITATTRS_H

#include "lowbit/IR/Encoding.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Numerics/BlockLayout.h"
#include "lowbit/Numerics/CheckpointLayout.h"
#include "lowbit/Numerics/Packing.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TensorEncoding.h"

#include "lowbit/IR/LowbitEnums.h.inc"
#include "lowbit/IR/LowbitInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "lowbit/IR/LowbitAttrs.h.inc"

namespace lowbit {

/// The lowbit encoding of a tensor type; null for any other type.
EncodingAttrInterface getEncoding(mlir::Type type);

/// The plain tensor type of the values that an encoded tensor denotes.
mlir::RankedTensorType getPlainType(mlir::RankedTensorType type);

/// Checks the encoding of `type` against its shape and element type.
llvm::LogicalResult verifyEncodedType(mlir::RankedTensorType type,
                                      llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Checks that a tensor of this shape can be stored: its byte count must fit an int64_t whatever
/// the encoding.
llvm::LogicalResult verifyElementCount(llvm::ArrayRef<int64_t> shape,
                                       llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// The term of the `bits` high bits of the codes of `term` (PrefixFormatAttr), whose components are
/// the last ones of `term`; null unless planes end there and the term has no integer zero point.
QuantizedAttr getPrefix(QuantizedAttr term, unsigned bits);
/// If `prefix` is such a term of `whole`, in whatever layout, the number of first components of
/// `whole` that it leaves out.
std::optional<unsigned> getDroppedPlanes(QuantizedAttr whole, QuantizedAttr prefix);

/// LayoutAttrInterface::verifyTerm of a layout that holds tensors of static shape: its reference's
/// check.
llvm::LogicalResult verifyStaticTerm(LayoutAttrInterface layout, QuantizedAttr term,
                                     llvm::ArrayRef<int64_t> shape,
                                     llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Bytes of all components of a tensor of static type, exactly; none if a component's extent is
/// only known at run time, or if no int64_t holds the number.
std::optional<int64_t> getStaticBytes(mlir::RankedTensorType type);

/// All of a tensor of `type`, in its own coordinates.
Box wholeBox(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type,
             mlir::ValueRange components);

/// IR: encodes all of the plain value `source` over the stored components `old`, in tiles or by the
/// encoding's own buildEncode; all components of the result, in order. Failure: read-only.
llvm::FailureOr<llvm::SmallVector<mlir::Value>> encodeWhole(mlir::OpBuilder &b, mlir::Location loc,
                                                            mlir::RankedTensorType type,
                                                            mlir::Value source,
                                                            mlir::ValueRange old);

/// Parses an encoding from the text of its attribute; errors go to the context's diagnostic
/// handler.
EncodingAttrInterface parseEncoding(llvm::StringRef text, mlir::MLIRContext *context);

} // namespace lowbit

#endif // LOWBIT_IR_LOWBITATTRS_H
