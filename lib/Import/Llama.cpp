//===- Llama.cpp - Programs of the llama family ---------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Import/Llama.h"

#include "LlamaForward.h"
#include "LlamaModel.h"

#include "lowbit/IR/LowbitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace llvm;
using namespace mlir;

Expected<OwningOpRef<ModuleOp>> lowbit::importLlama(const Archive &archive,
                                                    const LlamaImportOptions &options,
                                                    MLIRContext *context) {
  context->loadDialect<LowbitDialect, arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                       math::MathDialect, scf::SCFDialect, tensor::TensorDialect>();
  Expected<LlamaModel> model = LlamaModel::read(archive, options, context);
  if (!model)
    return model.takeError();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
  LlamaForward(*model, *module, ShapedType::kDynamic).emit("prefill");
  LlamaForward(*model, *module, 1).emit("decode");
  return module;
}
