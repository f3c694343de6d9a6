//===- PackParameters.cpp - Conversions when parameters are loaded --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {
#define GEN_PASS_DEF_PACKPARAMETERS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct PackParametersPass : lowbit::impl::PackParametersBase<PackParametersPass> {
  /// The entry that converts from one type to another.
  func::FuncOp createEntry(Location loc, Type from, Type to, unsigned number) {
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    auto entry = func::FuncOp::create(b, loc, "lowbit.pack." + std::to_string(number),
                                      b.getFunctionType(from, to));
    entry->setAttr(LowbitDialect::kEntryAttrName, b.getUnitAttr());
    b.setInsertionPointToStart(entry.addEntryBlock());
    Value packed = ConvertOp::create(b, loc, to, entry.getArgument(0));
    func::ReturnOp::create(b, loc, packed);
    return entry;
  }

  void runOnOperation() override {
    llvm::MapVector<std::pair<Type, Type>, func::FuncOp> entries;
    SmallVector<ConvertOp> conversions;
    getOperation().walk([&](ConvertOp op) {
      auto parameter = op.getSource().getDefiningOp<ParameterOp>();
      auto from = cast<RankedTensorType>(op.getSource().getType()),
           to = cast<RankedTensorType>(op.getType());
      if (parameter && !parameter.getStored() &&
          isSameTerm(dyn_cast<QuantizedAttr>(from.getEncoding()),
                     dyn_cast<QuantizedAttr>(to.getEncoding())))
        conversions.push_back(op);
    });
    for (ConvertOp op : conversions) {
      auto parameter = op.getSource().getDefiningOp<ParameterOp>();
      Type from = parameter.getType(), to = op.getType();
      func::FuncOp &entry = entries[{from, to}];
      if (!entry)
        entry = createEntry(op.getLoc(), from, to, entries.size() - 1);
      OpBuilder b(op);
      auto packed = ParameterOp::create(b, op.getLoc(), to, parameter.getKeyAttr(),
                                        FlatSymbolRefAttr::get(entry), TypeAttr::get(from));
      packed->setDiscardableAttrs(parameter->getDiscardableAttrDictionary());
      op.replaceAllUsesWith(packed.getResult());
      op.erase();
      if (parameter->use_empty())
        parameter.erase();
    }
  }
};
} // namespace
