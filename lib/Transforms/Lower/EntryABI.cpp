//===- EntryABI.cpp - Entries take buffers and return nothing -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ArgumentOrigins.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace lowbit {
#define GEN_PASS_DEF_ENTRYABI
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

static Type bufferType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? Type(MemRefType::get(tensor.getShape(), tensor.getElementType())) : type;
}

/// The wrapper of one entry; its description for `lowbit.entries`, or null after an error.
static DictionaryAttr wrapEntry(func::FuncOp body, SymbolTable &symbols) {
  OpBuilder b(body);
  std::string name = body.getName().str();
  SmallVector<int64_t> updates(body.getNumResults(), -1);
  if (auto given = body->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName))
    updates.assign(given.asArrayRef().begin(), given.asArrayRef().end());
  SmallVector<Type> arguments = llvm::map_to_vector(body.getArgumentTypes(), bufferType);
  int64_t outputs = 0;
  for (auto [type, argument] : llvm::zip(body.getResultTypes(), updates)) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (argument >= 0 && (tensor || type.isIndex()))
      continue;
    if (!tensor || !tensor.hasStaticShape()) {
      body.emitError() << "result " << type << " of entry @" << name
                       << " has no storage: give it a static shape, or an "
                       << "argument to update in '" << LowbitDialect::kUpdatesAttrName << "'";
      return {};
    }
    arguments.push_back(bufferType(type));
    ++outputs;
  }
  // The body gives its name to the wrapper.
  if (failed(symbols.rename(body, name + ".body")))
    return {};
  body.setPrivate();
  auto wrapper = func::FuncOp::create(b, body.getLoc(), name, b.getFunctionType(arguments, {}));
  wrapper->setAttr("llvm.emit_c_interface", b.getUnitAttr());
  symbols.insert(wrapper);
  for (StringRef moved : {LowbitDialect::kEntryAttrName, LowbitDialect::kUpdatesAttrName})
    body->removeAttr(moved);

  b.setInsertionPointToStart(wrapper.addEntryBlock());
  Location loc = body.getLoc();
  SmallVector<Value> operands;
  for (auto [i, type] : llvm::enumerate(body.getArgumentTypes())) {
    Value argument = wrapper.getArgument(i);
    bool isUpdated = llvm::is_contained(updates, (int64_t)i);
    if (isa<RankedTensorType>(type))
      argument = bufferization::ToTensorOp::create(b, loc, type, argument, /*restrict=*/true,
                                                   /*writable=*/isUpdated);
    operands.push_back(argument);
  }
  auto call = func::CallOp::create(b, loc, body, operands);
  // A result that may lie in the storage of an argument that another result updates is saved
  // before the first store.
  SmallVector<Value> results(call.getResults());
  for (auto [i, result] : llvm::enumerate(results)) {
    auto tensor = dyn_cast<RankedTensorType>(result.getType());
    bool isElsewhere =
        tensor && llvm::any_of(argumentOriginsOf(body, i, symbols), [&](int64_t origin) {
          return origin != updates[i] && llvm::is_contained(updates, origin);
        });
    if (isElsewhere)
      result = bufferization::AllocTensorOp::create(b, loc, tensor, ValueRange(), /*copy=*/result);
  }
  unsigned nextOutput = body.getNumArguments();
  for (auto [result, argument] : llvm::zip(results, updates)) {
    // The extent of an encoded argument is a scalar among its components: an update keeps it.
    if (result.getType().isIndex())
      continue;
    Value buffer = wrapper.getArgument(argument >= 0 ? argument : nextOutput++);
    auto store = bufferization::MaterializeInDestinationOp::create(b, loc, result, buffer);
    store.setRestrict(true);
    store.setWritable(true);
  }
  func::ReturnOp::create(b, loc);
  SmallVector<Attribute> types =
      llvm::map_to_vector(arguments, [](Type t) -> Attribute { return TypeAttr::get(t); });
  return b.getDictionaryAttr({b.getNamedAttr("arguments", b.getArrayAttr(types)),
                              b.getNamedAttr("name", b.getStringAttr(name)),
                              b.getNamedAttr("outputs", b.getI64IntegerAttr(outputs))});
}

namespace {
struct EntryABIPass : lowbit::impl::EntryABIBase<EntryABIPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<Attribute> entries;
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      if (!function->hasAttr(LowbitDialect::kEntryAttrName)) {
        if (!function.isDeclaration())
          function.setPrivate();
        continue;
      }
      DictionaryAttr entry = wrapEntry(function, symbols);
      if (!entry)
        return signalPassFailure();
      entries.push_back(entry);
    }
    if (entries.empty()) {
      module.emitError() << "no function of the module is an entry: mark one with '"
                         << LowbitDialect::kEntryAttrName << "'";
      return signalPassFailure();
    }
    module->setAttr("lowbit.entries", ArrayAttr::get(&getContext(), entries));
  }
};
} // namespace
