//===- Patterns.h - The lowering's patterns ---------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TRANSFORMS_LOWER_PATTERNS_H
#define LOWBIT_TRANSFORMS_LOWER_PATTERNS_H

namespace mlir {
class ConversionTarget;
class RewritePatternSet;
class TypeConverter;
} // namespace mlir

namespace lowbit {

/// `tensor.extract_slice` of a decode becomes a decode of that region, where the encoding allows
/// the tile.
void populateFoldSliceOfDecodePatterns(mlir::RewritePatternSet &patterns);

/// A contraction reads the input of a `linalg.transpose` instead of its result.
void populateFoldTransposePatterns(mlir::RewritePatternSet &patterns);

/// A decode of codes whose planes end `bits` below their top reads the planes above that alone.
void populateTakePrefixPatterns(mlir::RewritePatternSet &patterns, unsigned bits);

/// Encoded values become their components, 1:N; `converter` gets the conversion of encoded types.
void populateComponentsPatterns(mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns,
                                mlir::ConversionTarget &target);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_LOWER_PATTERNS_H
