//===- ComponentSignatures.cpp - Arguments become several -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ComponentSignatures.h"

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitDialect.h"

using namespace mlir;
using namespace lowbit;

/// How many there are for an argument or result of a type.
static int64_t countComponents(Type type) {
  EncodingAttrInterface encoding = getEncoding(type);
  return encoding ? encoding.getComponents(cast<RankedTensorType>(type)).size() : 1;
}

LogicalResult lowbit::expandUpdates(func::FuncOp function) {
  auto updates = function->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  if (!updates)
    return success();
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (updates[i] >= 0 && !isa<RankedTensorType>(type))
      return function.emitError() << "result " << i << " of type " << type
                                  << " cannot update an argument: only a tensor has storage";
  SmallVector<int64_t> first, expanded;
  int64_t next = 0;
  for (Type type : function.getArgumentTypes()) {
    first.push_back(next);
    next += countComponents(type);
  }
  for (auto [type, argument] : llvm::zip(function.getResultTypes(), updates.asArrayRef()))
    for (int64_t i = 0, n = countComponents(type); i < n; ++i)
      expanded.push_back(argument < 0 ? -1 : first[argument] + i);
  function->setAttr(LowbitDialect::kUpdatesAttrName,
                    DenseI64ArrayAttr::get(function.getContext(), expanded));
  return success();
}

SmallVector<DictionaryAttr> lowbit::expandArgumentAttributes(func::FuncOp function) {
  SmallVector<DictionaryAttr> expanded;
  DictionaryAttr none = DictionaryAttr::get(function.getContext());
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    size_t end = expanded.size() + countComponents(type);
    NamedAttrList own(function.getArgAttrDict(i));
    if (getEncoding(type))
      own.erase(LowbitDialect::kActivationsAttrName); // of the whole weight, and read by now
    expanded.push_back(own.getDictionary(function.getContext()));
    expanded.resize(end, none);
  }
  return expanded;
}
