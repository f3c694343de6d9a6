//===- Leaves.cpp - The terms that an encoding is made of -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Leaves.h"
#include "Combinators.h"
#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;
using namespace lowbit;

static void appendLeaves(SmallVectorImpl<Leaf> &all, RankedTensorType type, unsigned first) {
  unsigned end = first + componentCount(type);
  SmallVector<RankedTensorType> children = getEncoding(type).getChildren(type);
  if (children.empty()) {
    all.push_back({type, first, end - first});
    return;
  }
  // What a combinator stores itself comes before what its terms store.
  unsigned count = 0;
  for (RankedTensorType child : children)
    count += componentCount(child);
  first = end - count;
  for (RankedTensorType child : children) {
    appendLeaves(all, child, first);
    first += componentCount(child);
  }
}

SmallVector<Leaf> lowbit::getLeaves(RankedTensorType type) {
  SmallVector<Leaf> all;
  appendLeaves(all, type, 0);
  return all;
}

RankedTensorType lowbit::mapLeaves(RankedTensorType type,
                                   function_ref<RankedTensorType(RankedTensorType)> map) {
  EncodingAttrInterface encoding = getEncoding(type);
  SmallVector<RankedTensorType> children = encoding.getChildren(type);
  if (children.empty()) {
    RankedTensorType mapped = map(type);
    return mapped ? mapped : type;
  }
  SmallVector<Attribute> parameters;
  SmallVector<Type> types;
  encoding.walkImmediateSubElements([&](Attribute a) { parameters.push_back(a); },
                                    [&](Type t) { types.push_back(t); });
  auto child = children.begin();
  for (Attribute &parameter : parameters)
    if (isa<EncodingAttrInterface>(parameter) && child != children.end())
      parameter = mapLeaves(*child++, map).getEncoding();
  return type.cloneWithEncoding(encoding.replaceImmediateSubElements(parameters, types));
}

bool lowbit::isSameTerm(Attribute a, Attribute b) {
  AttrTypeReplacer plain;
  plain.addReplacement([](QuantizedAttr term) -> Attribute {
    return term.inLayout(PlanesLayoutAttr::get(term.getContext()));
  });
  return a && b && (a == b || plain.replace(a) == plain.replace(b));
}
