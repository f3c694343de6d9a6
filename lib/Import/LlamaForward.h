//===- LlamaForward.h - Emits the forward pass of a llama -------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Axes: m tokens of this call, t positions in the cache, kv key and value heads, g query
// heads that share one of them, d elements of a head, i pairs of elements that are rotated.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IMPORT_LLAMAFORWARD_H
#define LOWBIT_LIB_IMPORT_LLAMAFORWARD_H

#include "LlamaModel.h"
#include "TensorBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace lowbit {

class LlamaForward {
public:
  /// `rows` is the number of tokens of a call: 1, or dynamic.
  LlamaForward(const LlamaModel &model, mlir::ModuleOp module, int64_t rows);

  /// Appends the entry `name`, after one private function for each kind of layer.
  void emit(llvm::StringRef name);

private:
  using Value = mlir::Value;

  mlir::func::FuncOp emitLayer(const LlamaLayer &layer, llvm::StringRef name);
  void emitEntry(llvm::StringRef name, llvm::ArrayRef<mlir::func::FuncOp> layerFunctions);
  /// A function whose arguments are named, with the builder in its body.
  mlir::func::FuncOp startFunction(llvm::StringRef name, mlir::FunctionType type,
                                   llvm::ArrayRef<std::string> arguments);
  /// `rows` from here on: the extent of axis 0 of `tensor`, unless it is static.
  void setRows(Value tensor);

  Value parameter(const LlamaParameter &parameter);
  /// The tokens' rows of the table, as slices of the decoded tensor: a lowering decodes no more.
  Value embed(Value tokens, Value table);
  void emitRotaryTables();

  /// x / sqrt(mean(x^2) + epsilon) * weight, in each row.
  Value norm(llvm::StringRef name, Value x, Value weight);
  /// x times the transposed weight, plus the bias, plus `init` if there is one.
  Value linear(llvm::StringRef name, Value x, Value init = {});
  /// x [m, heads * d] as [m, heads..., d], its pairs (2i, 2i+1) rotated.
  Value rotate(llvm::StringRef name, Value x, llvm::ArrayRef<int64_t> heads);
  /// The last axis of x times the Kronecker product of a rotation's factors.
  Value rotateLast(llvm::StringRef name, Value x, const LlamaModel::Rotation &rotation);
  /// x [m, kv, d] as the caches have it, [kv, m, d].
  Value headsFirst(llvm::StringRef name, Value x);
  /// x [kv, m, d] written into a cache from `position` on.
  Value append(llvm::StringRef name, Value x, Value cache);
  /// q [m, kv, g, d] against whole caches; the result is [m, kv * g * d].
  Value attend(Value q, Value keyCache, Value valueCache);
  Value feedForward(Value x);

  mlir::RankedTensorType rowsType(int64_t columns);
  Value weight(llvm::StringRef role) const;

  const LlamaModel &model;
  mlir::ModuleOp module;
  const int64_t staticRows;
  TensorBuilder t;

  // Of the function that is being written.
  mlir::OpFoldResult rows;
  Value position;
  Value cosine, sine;             // [m, i]
  llvm::StringMap<Value> weights; // by role
};

} // namespace lowbit

#endif // LOWBIT_LIB_IMPORT_LLAMAFORWARD_H
