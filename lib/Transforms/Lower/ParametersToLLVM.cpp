//===- ParametersToLLVM.cpp - Globals that the loader fills ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace lowbit {
#define GEN_PASS_DEF_PARAMETERSTOLLVM
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct ParametersToLLVMPass : lowbit::impl::ParametersToLLVMBase<ParametersToLLVMPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    LLVMTypeConverter converter(&getContext());
    using Key = std::tuple<StringAttr, StringAttr, Type, Attribute, Attribute, Attribute>;
    llvm::MapVector<Key, LLVM::GlobalOp> globals;
    SmallVector<Attribute> manifest;
    OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
    module.walk([&](ParameterBufferOp op) {
      LLVM::GlobalOp &global = globals[{op.getKeyAttr(), op.getComponentAttr(), op.getType(),
                                        op.getEncodingAttr(), op.getShapeAttr(), op.getPackAttr()}];
      Type type = converter.convertType(op.getType());
      if (!global) {
        std::string name = "lowbit.parameter." + std::to_string(globals.size() - 1);
        global = LLVM::GlobalOp::create(atStart, op.getLoc(), type, /*isConstant=*/false,
                                        LLVM::Linkage::External, name, Attribute());
        // Zero until the loader writes it.
        OpBuilder init(&getContext());
        init.createBlock(&global.getInitializerRegion());
        LLVM::ReturnOp::create(init, op.getLoc(), LLVM::ZeroOp::create(init, op.getLoc(), type));
        NamedAttrList entry(
            {atStart.getNamedAttr("component", op.getComponentAttr()),
             atStart.getNamedAttr("key", op.getKeyAttr()),
             atStart.getNamedAttr("symbol", FlatSymbolRefAttr::get(&getContext(), name)),
             atStart.getNamedAttr("type", TypeAttr::get(op.getType()))});
        if (op.getEncodingAttr())
          entry.append("encoding", op.getEncodingAttr());
        if (op.getShapeAttr())
          entry.append("shape", op.getShapeAttr());
        if (op.getPackAttr()) {
          entry.append("pack", op.getPackAttr());
          entry.append("output", op.getOutputAttr());
        }
        manifest.push_back(entry.getDictionary(&getContext()));
      }
      OpBuilder b(op);
      Value address = LLVM::AddressOfOp::create(b, op.getLoc(), global);
      Value descriptor = LLVM::LoadOp::create(b, op.getLoc(), type, address);
      op.getResult().replaceAllUsesWith(
          UnrealizedConversionCastOp::create(b, op.getLoc(), op.getType(), descriptor)
              .getResult(0));
      op.erase();
    });
    module->setAttr("lowbit.parameters", ArrayAttr::get(&getContext(), manifest));
  }
};
} // namespace
