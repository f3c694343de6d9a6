//===- PackParameters.cpp - Conversions when parameters are loaded --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Leaves.h"
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
  /// The entry that takes a stored tensor and gives its leaves that are in other layouts.
  func::FuncOp createEntry(Location loc, RankedTensorType from, RankedTensorType to,
                           unsigned number) {
    SmallVector<Leaf> before, after;
    for (auto [old, changed] : llvm::zip_equal(getLeaves(from), getLeaves(to)))
      if (old.type != changed.type) {
        before.push_back(old);
        after.push_back(changed);
      }
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    SmallVector<Type> results(llvm::map_range(after, [](const Leaf &leaf) { return leaf.type; }));
    auto entry = func::FuncOp::create(b, loc, "lowbit.pack." + std::to_string(number),
                                      b.getFunctionType(from, results));
    entry->setAttr(LowbitDialect::kEntryAttrName, b.getUnitAttr());
    b.setInsertionPointToStart(entry.addEntryBlock());
    Value stored = entry.getArgument(0);
    SmallVector<Value> packed;
    if (before.front().type == from) {
      packed.push_back(ConvertOp::create(b, loc, to, stored));
    } else {
      SmallVector<Type> types;
      for (const EncodingComponent &component : getEncoding(from).getComponents(from))
        types.push_back(component.type);
      ValueRange components = DisassembleOp::create(b, loc, types, stored).getResults();
      for (auto [old, changed] : llvm::zip_equal(before, after)) {
        Value leaf = AssembleOp::create(b, loc, old.type, components.slice(old.first, old.count));
        packed.push_back(ConvertOp::create(b, loc, changed.type, leaf));
      }
    }
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
      if (parameter && from != to && !parameter.getStored() &&
          isSameTerm(from.getEncoding(), to.getEncoding()))
        conversions.push_back(op);
    });
    for (ConvertOp op : conversions) {
      auto parameter = op.getSource().getDefiningOp<ParameterOp>();
      auto from = cast<RankedTensorType>(parameter.getType()),
           to = cast<RankedTensorType>(op.getType());
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
