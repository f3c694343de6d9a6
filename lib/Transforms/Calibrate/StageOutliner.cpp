//===- StageOutliner.cpp - A part of an entry as a function ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StageOutliner.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace lowbit;

SmallVector<Value> lowbit::getUsedValues(Operation *op) {
  SetVector<Value> above;
  getUsedValuesDefinedAbove(op->getRegions(), above);
  SmallVector<Value> values(op->getOperands());
  llvm::append_range(values, above);
  return values;
}

SetVector<Operation *> lowbit::getBackwardSlice(Block &block, ArrayRef<Operation *> roots,
                                                Value stop) {
  SetVector<Operation *> slice(roots.begin(), roots.end());
  for (size_t next = 0; next < slice.size(); ++next)
    for (Value value : getUsedValues(slice[next]))
      if (Operation *definition = value.getDefiningOp(); definition && value != stop)
        slice.insert(definition);
  return slice;
}

OutlinedStage lowbit::outlineStage(func::FuncOp entry, const Stage &stage, StringRef name) {
  Block &block = entry.front();
  SmallVector<Operation *> roots(stage.roots);
  if (stage.out && stage.out != stage.in)
    roots.push_back(stage.out.getDefiningOp());
  SetVector<Operation *> slice = getBackwardSlice(block, roots, stage.in);

  Builder attributes(entry.getContext());
  OutlinedStage outlined;
  IRMapping map;
  Block *body = new Block;
  auto addArgument = [&](Value value, const Twine &description) {
    map.map(value, body->addArgument(value.getType(), value.getLoc()));
    outlined.arguments.push_back(attributes.getStringAttr(description));
  };
  SetVector<Value> used;
  for (Operation *op : slice)
    used.insert_range(getUsedValues(op));
  if (stage.in)
    addArgument(stage.in, "value");
  for (BlockArgument argument : block.getArguments())
    if (used.contains(argument))
      addArgument(argument, "argument " + Twine(argument.getArgNumber()));
  for (Operation &op : block)
    if (auto parameter = dyn_cast<ParameterOp>(op); parameter && slice.contains(&op))
      addArgument(parameter, "parameter " + parameter.getKey());

  OpBuilder b(entry.getContext());
  b.setInsertionPointToEnd(body);
  for (Operation &op : block) {
    if (!slice.contains(&op) || isa<ParameterOp>(op))
      continue;
    Operation *clone = b.clone(op, map);
    auto tap = dyn_cast<ObserveOp>(clone);
    if (!tap)
      continue;
    std::string place = llvm::utostr(outlined.feeds.size());
    outlined.feeds.push_back(tap.getFeeds());
    tap.setFeedsAttr(attributes.getStrArrayAttr({place}));
  }
  SmallVector<Value> results;
  SmallVector<int64_t> updates;
  if (stage.out) {
    // Storage for the result, whose extents may be dynamic.
    updates.push_back(body->getNumArguments());
    outlined.arguments.push_back(attributes.getStringAttr("result"));
    body->addArgument(stage.out.getType(), stage.out.getLoc());
    results.push_back(map.lookup(stage.out));
  }
  func::ReturnOp::create(b, entry.getLoc(), results);

  b.setInsertionPoint(entry);
  auto type = b.getFunctionType(body->getArgumentTypes(), TypeRange(ValueRange(results)));
  outlined.function = func::FuncOp::create(b, entry.getLoc(), name, type);
  outlined.function.getBody().push_back(body);
  outlined.function->setAttr(LowbitDialect::kEntryAttrName, b.getUnitAttr());
  outlined.function->setAttr(LowbitDialect::kUpdatesAttrName, b.getDenseI64ArrayAttr(updates));
  return outlined;
}
