//===- Differentiate.cpp - The vector-Jacobian product of a function ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorDerivatives.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "lowbit/Transforms/Calibrate/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

static bool isPlainFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType()) && !tensor.getEncoding();
}

/// Whether an op computes with the numbers of an operand: not where its payload overwrites them.
static bool readsValues(OpOperand &operand) {
  auto linalg = dyn_cast<linalg::LinalgOp>(operand.getOwner());
  return !linalg || !linalg.getMatchingBlockArgument(&operand).use_empty();
}

static DenseSet<Value> findActive(Block &block, ArrayRef<Value> wanted) {
  DenseSet<Value> active(wanted.begin(), wanted.end());
  for (Operation &op : block) {
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getRegions(), captured);
    bool isActive = llvm::any_of(captured, [&](Value value) { return active.contains(value); }) ||
                    llvm::any_of(op.getOpOperands(), [&](OpOperand &operand) {
                      return active.contains(operand.get()) && readsValues(operand);
                    });
    if (isActive)
      for (Value result : op.getResults())
        if (isa<FloatType>(getElementTypeOrSelf(result)))
          active.insert(result);
  }
  return active;
}

namespace {
struct DifferentiatePass : lowbit::impl::DifferentiateBase<DifferentiatePass> {
  using DifferentiateBase::DifferentiateBase;

  func::FuncOp findFunction() {
    for (auto candidate : getOperation().getOps<func::FuncOp>())
      if (!candidate.isExternal() && (function.empty() || candidate.getName() == function))
        return candidate;
    getOperation().emitError() << "has no function"
                               << (function.empty() ? std::string() : " '" + function + "'")
                               << " with a body that could be differentiated";
    return {};
  }

  /// The numbers that an option gives, or all that suit; each a plain tensor of floats.
  FailureOr<SmallVector<unsigned>> choose(func::FuncOp source, ArrayRef<int64_t> given,
                                          TypeRange types, StringRef what,
                                          ArrayRef<int64_t> except = {}) {
    SmallVector<unsigned> chosen;
    for (int64_t number : given) {
      if (number < 0 || number >= int64_t(types.size()) || !isPlainFloatTensor(types[number])) {
        source.emitError() << what << " " << number << " is no tensor of floats without encoding";
        return failure();
      }
      chosen.push_back(number);
    }
    for (auto [number, type] : llvm::enumerate(types))
      if (given.empty() && isPlainFloatTensor(type) && !llvm::is_contained(except, number))
        chosen.push_back(number);
    if (chosen.empty()) {
      source.emitError() << "has no " << what << " that is a tensor of floats without encoding";
      return failure();
    }
    return chosen;
  }

  void runOnOperation() override {
    func::FuncOp source = findFunction();
    if (!source)
      return signalPassFailure();
    std::string name = (source.getName() + "_vjp").str();
    if (!source.getBody().hasOneBlock()) {
      source.emitError("has several blocks: only a straight line can be differentiated");
      return signalPassFailure();
    }
    if (SymbolTable::lookupSymbolIn(getOperation(), name)) {
      source.emitError() << "cannot be differentiated: '" << name << "' is there already";
      return signalPassFailure();
    }
    auto updates = source->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
    FailureOr<SmallVector<unsigned>> wanted =
        choose(source, arguments, source.getArgumentTypes(), "argument",
               updates ? updates.asArrayRef() : ArrayRef<int64_t>());
    FailureOr<SmallVector<unsigned>> given =
        choose(source, results, source.getResultTypes(), "result");
    if (failed(wanted) || failed(given))
      return signalPassFailure();

    OpBuilder b(source);
    b.setInsertionPointAfter(source);
    auto derivative = cast<func::FuncOp>(b.clone(*source));
    derivative.setName(name);
    for (NamedAttribute attribute : source->getDiscardableAttrs())
      if (attribute.getName() != LowbitDialect::kEntryAttrName)
        derivative->removeDiscardableAttr(attribute.getName());
    if (failed(differentiate(derivative, *wanted, *given))) {
      derivative.erase();
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    if (failed(applyPatternsGreedily(derivative, std::move(patterns))))
      signalPassFailure();
  }

  /// In place: a copy of the function becomes its product.
  LogicalResult differentiate(func::FuncOp function, ArrayRef<unsigned> wanted,
                              ArrayRef<unsigned> given) {
    Block &block = function.front();
    auto terminator = cast<func::ReturnOp>(block.getTerminator());
    SmallVector<Value> roots;
    for (unsigned number : wanted)
      roots.push_back(block.getArgument(number));
    DenseSet<Value> active = findActive(block, roots);
    SmallVector<Operation *> line =
        llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });

    OpBuilder b(terminator);
    TensorCotangents cotangents(b, active);
    for (unsigned number : given) {
      Value result = terminator.getOperand(number);
      cotangents.add(result.getLoc(), result, block.addArgument(result.getType(), result.getLoc()));
    }
    for (Operation *op : llvm::reverse(line))
      if (failed(cotangents.differentiate(op)))
        return failure();
    SmallVector<Value> found;
    for (Value root : roots) {
      Value cotangent = cotangents.lookup(root);
      found.push_back(cotangent ? cotangent : buildZeros(b, root.getLoc(), root));
    }
    terminator.getOperandsMutable().assign(found);
    if (function->hasAttr(LowbitDialect::kEntryAttrName)) {
      SmallVector<int64_t> storage;
      for (Value root : roots) {
        storage.push_back(block.getNumArguments());
        block.addArgument(root.getType(), root.getLoc());
      }
      function->setAttr(LowbitDialect::kUpdatesAttrName, b.getDenseI64ArrayAttr(storage));
    }
    SmallVector<Attribute> attributes;
    if (ArrayAttr known = function.getArgAttrsAttr()) {
      llvm::append_range(attributes, known);
      attributes.resize(block.getNumArguments(), b.getDictionaryAttr({}));
      function.setArgAttrsAttr(b.getArrayAttr(attributes));
    }
    function.removeResAttrsAttr();
    function.setFunctionType(
        b.getFunctionType(block.getArgumentTypes(), TypeRange(ValueRange(found))));
    return success();
  }
};
} // namespace
