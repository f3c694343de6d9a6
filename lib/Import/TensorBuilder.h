//===- TensorBuilder.h - Writing linalg by axes -----------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thin layer over the builders of linalg and tensor for code that writes whole
// programs: f32 tensors, ops named by their location (the names become SSA names when
// a module is printed with `printNameLocAsPrefix`).
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IMPORT_TENSORBUILDER_H
#define LOWBIT_LIB_IMPORT_TENSORBUILDER_H

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace lowbit {

/// An f32 constant, in the body of a generic.
mlir::Value constant(mlir::ImplicitLocOpBuilder &b, double value);

class TensorBuilder {
public:
  using Sizes = llvm::ArrayRef<mlir::OpFoldResult>;

  /// A tensor read or written by a generic, and which of the loops index its axes, in order.
  struct Access {
    mlir::Value tensor;
    llvm::SmallVector<unsigned> loops;
  };
  /// The value of an element. Block arguments: the elements of the inputs, then of the output.
  using Body = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>;

  explicit TensorBuilder(mlir::MLIRContext *context) : builder(context) {}

  mlir::OpBuilder &get() { return builder; }
  mlir::Location name(llvm::StringRef text);

  mlir::OpFoldResult size(int64_t value) { return builder.getIndexAttr(value); }
  mlir::Value index(int64_t value);
  /// `a + b` and `a - b` of indices.
  mlir::Value add(llvm::StringRef name, mlir::Value a, mlir::Value b);
  mlir::Value subtract(llvm::StringRef name, mlir::Value a, mlir::Value b);
  /// The extent of a dynamic axis.
  mlir::Value dim(llvm::StringRef name, mlir::Value tensor, int64_t axis);

  mlir::Value empty(Sizes sizes);
  /// Every element of `dest` set to `value`.
  mlir::Value fill(llvm::StringRef name, double value, mlir::Value dest);

  /// A generic over `loops` loops; those that do not index the output are reductions.
  mlir::Value generic(llvm::StringRef name, unsigned loops, llvm::ArrayRef<Access> inputs,
                      Access output, Body body);
  /// A generic with one loop for each axis of `dest`.
  mlir::Value elementwise(llvm::StringRef name, llvm::ArrayRef<Access> inputs, mlir::Value dest,
                          Body body);
  /// `init` plus the sum of the products of the elements of `a` and `b`.
  mlir::Value contraction(llvm::StringRef name, unsigned loops, Access a, Access b, Access init);
  /// `init[m, n] + x[m, k] * weight[n, k]`, summed over k.
  mlir::Value matmul(llvm::StringRef name, mlir::Value x, mlir::Value weight, mlir::Value init);

  /// The slice with unit strides, without the axes in `dropped`, whose size is 1.
  mlir::Value slice(llvm::StringRef name, mlir::Value tensor, Sizes offsets, Sizes sizes,
                    llvm::ArrayRef<int64_t> dropped = {});
  /// `dest` with that slice replaced; `tensor` may lack axes of size 1.
  mlir::Value insert(llvm::StringRef name, mlir::Value tensor, mlir::Value dest, Sizes offsets,
                     Sizes sizes);
  /// Axis `axis` split so that the whole tensor has `sizes`.
  mlir::Value split(llvm::StringRef name, mlir::Value tensor, int64_t axis, Sizes sizes);
  /// `count` axes from `axis` on made one.
  mlir::Value merge(llvm::StringRef name, mlir::Value tensor, int64_t axis, int64_t count);

private:
  mlir::OpBuilder builder;
};

} // namespace lowbit

#endif // LOWBIT_LIB_IMPORT_TENSORBUILDER_H
