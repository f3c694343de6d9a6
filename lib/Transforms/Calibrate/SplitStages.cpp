//===- SplitStages.cpp - A deep program as a chain of functions -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StageOutliner.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace lowbit {
#define GEN_PASS_DEF_SPLITSTAGES
#include "lowbit/Transforms/Calibrate/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
/// After which op of the block the chain may be cut, and what passes there.
struct Cut {
  Operation *after;
  Value value;
};

/// Where single values pass in an entry's block.
class CutFinder {
public:
  CutFinder(Block &block, ArrayRef<Operation *> roots);
  /// One between two taps, where there is one.
  SmallVector<Cut> find();

private:
  struct Dependence {
    bool onArgument = false, onParameter = false;
  };

  bool isActivation(Value value) {
    Dependence d = dependence(value);
    return d.onArgument && d.onParameter;
  }
  Dependence dependence(Value value) {
    if (isa<BlockArgument>(value))
      return {true, false};
    return dependences.lookup(value.getDefiningOp());
  }

  SmallVector<Operation *> ops; // that matter, in order
  DenseMap<Operation *, Dependence> dependences;
  DenseMap<Value, unsigned> lastUses; // of activations
};
} // namespace

CutFinder::CutFinder(Block &block, ArrayRef<Operation *> roots) {
  SetVector<Operation *> needed = getBackwardSlice(block, roots);
  for (Operation &op : block) {
    if (!needed.contains(&op))
      continue;
    Dependence sum;
    sum.onParameter = isa<ParameterOp>(op);
    for (Value value : getUsedValues(&op)) {
      sum.onArgument |= dependence(value).onArgument;
      sum.onParameter |= dependence(value).onParameter;
    }
    dependences[&op] = sum;
    for (Value value : getUsedValues(&op))
      if (isActivation(value))
        lastUses[value] = ops.size();
    ops.push_back(&op);
  }
}

static bool hasSeveralUsers(Value value) {
  return llvm::count_if(value.getUsers(),
                        [](Operation *user) { return !isa<ObserveOp, tensor::DimOp>(user); }) > 1;
}

SmallVector<Cut> CutFinder::find() {
  SmallVector<Cut> cuts;
  SetVector<Value> live;
  SmallVector<unsigned> tapsBefore; // of each cut
  unsigned taps = 0;
  for (auto [place, op] : llvm::enumerate(ops)) {
    taps += isa<ObserveOp>(op);
    live.remove_if([&, place = place](Value value) { return lastUses.lookup(value) <= place; });
    for (Value result : op->getResults())
      if (isActivation(result) && lastUses.lookup(result) > place)
        live.insert(result);
    if (live.size() != 1 || (!cuts.empty() && cuts.back().value == live.front()))
      continue;
    auto type = dyn_cast<RankedTensorType>(live.front().getType());
    if (!type || !type.getElementType().isF32())
      continue;
    // Of cuts with no tap between them one stays: the last one, which leaves stages that are alike;
    // but rather where several ops go on (a residual stream) than between a norm and its product.
    bool isFork = hasSeveralUsers(live.front());
    if (!cuts.empty() && tapsBefore.back() == taps) {
      if (!isFork && hasSeveralUsers(cuts.back().value))
        continue;
      cuts.pop_back();
      tapsBefore.pop_back();
    }
    cuts.push_back({op, live.front()});
    tapsBefore.push_back(taps);
  }
  if (!cuts.empty() && tapsBefore.back() == taps)
    cuts.pop_back();
  return cuts;
}

static bool areEqual(func::FuncOp a, func::FuncOp b) {
  return a.getFunctionType() == b.getFunctionType() &&
         a->getAttr(LowbitDialect::kUpdatesAttrName) ==
             b->getAttr(LowbitDialect::kUpdatesAttrName) &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(),
                                                    OperationEquivalence::IgnoreLocations);
}

/// Taps and assertions between two cuts, and what passes at these.
static SmallVector<Stage> divide(ArrayRef<Operation *> roots, ArrayRef<Cut> cuts) {
  SmallVector<Stage> stages(cuts.size() + 1);
  for (auto [i, cut] : llvm::enumerate(cuts)) {
    stages[i].out = cut.value;
    stages[i + 1].in = cut.value;
  }
  for (Operation *root : roots) {
    unsigned stage = 0;
    while (stage < cuts.size() && cuts[stage].after->isBeforeInBlock(root))
      ++stage;
    stages[stage].roots.push_back(root);
  }
  return stages;
}

namespace {
struct SplitStagesPass : lowbit::impl::SplitStagesBase<SplitStagesPass> {
  using SplitStagesBase::SplitStagesBase;

  func::FuncOp findEntry() {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr(LowbitDialect::kEntryAttrName) &&
          (entry.empty() || function.getName() == entry))
        return function;
    getOperation().emitError() << "no entry"
                               << (entry.empty() ? std::string() : " is named '" + entry + "'")
                               << ": mark a function with '" << LowbitDialect::kEntryAttrName
                               << "'";
    return {};
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp whole = findEntry();
    if (!whole)
      return signalPassFailure();
    if (!whole.getBody().hasOneBlock()) {
      whole.emitError("has several blocks: only a straight line can be cut");
      return signalPassFailure();
    }
    SmallVector<Operation *> roots;
    WalkResult walk = whole.walk([&](Operation *op) {
      if (isa<func::CallOp>(op)) {
        op->emitError("is a call: inline it before stages are cut");
        return WalkResult::interrupt();
      }
      if (isa<ObserveOp>(op) && op->getBlock() != &whole.front()) {
        op->emitError("is in a region: only values of an entry's own block can be tapped");
        return WalkResult::interrupt();
      }
      if (isa<ObserveOp, cf::AssertOp>(op) && op->getBlock() == &whole.front())
        roots.push_back(op);
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return signalPassFailure();
    if (llvm::none_of(roots, llvm::IsaPred<ObserveOp>)) {
      whole.emitError("has no taps: lowbit-insert-observers places them at products with "
                      "parameters");
      return signalPassFailure();
    }

    Value result;
    if (output) {
      Operation *terminator = whole.front().getTerminator();
      result = terminator->getNumOperands() ? terminator->getOperands().back() : Value();
      if (!result || !result.getDefiningOp() || !isa<RankedTensorType>(result.getType())) {
        whole.emitError("has no output that it computes: its last result is to be a tensor");
        return signalPassFailure();
      }
    }

    Builder b(&getContext());
    SmallVector<func::FuncOp> functions;
    SmallVector<Attribute> descriptions;
    SmallVector<Operation *> needed(roots);
    if (result)
      needed.push_back(result.getDefiningOp());
    SmallVector<Cut> cuts = CutFinder(whole.front(), needed).find();
    SmallVector<Stage> stages = divide(roots, cuts);
    stages.back().out = result;
    for (const Stage &stage : stages) {
      std::string name = (whole.getName() + "_stage").str();
      if (!functions.empty())
        name += "_" + llvm::utostr(functions.size());
      OutlinedStage outlined = outlineStage(whole, stage, name);
      auto known = llvm::find_if(
          functions, [&](func::FuncOp other) { return areEqual(other, outlined.function); });
      if (known != functions.end()) {
        outlined.function.erase();
        outlined.function = *known;
      } else {
        functions.push_back(outlined.function);
      }
      descriptions.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("arguments", b.getArrayAttr(outlined.arguments)),
           b.getNamedAttr("feeds", b.getArrayAttr(outlined.feeds)),
           b.getNamedAttr("function", FlatSymbolRefAttr::get(outlined.function))}));
    }
    for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
      if (!llvm::is_contained(functions, dyn_cast<func::FuncOp>(op)))
        op.erase();
    module->setAttr("lowbit.stages", b.getArrayAttr(descriptions));
  }
};
} // namespace
