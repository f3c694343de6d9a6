//===- EmptyComponents.cpp - Storage that is to be encoded into -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmptyComponents.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace lowbit;

FailureOr<SmallVector<Value>> lowbit::emptyComponents(OpBuilder &b, Location loc,
                                                      RankedTensorType type,
                                                      ArrayRef<OpFoldResult> sizes) {
  EncodingAttrInterface encoding = getEncoding(type);
  TileBuilder t(b, loc);
  Box whole{SmallVector<OpFoldResult>(sizes.size(), b.getIndexAttr(0)), llvm::to_vector(sizes)};
  SmallVector<EncodingComponent> components = encoding.getComponents(type);
  SmallVector<Value> all;
  for (auto [i, component] : llvm::enumerate(components)) {
    auto tensor = dyn_cast<RankedTensorType>(component.type);
    if (!tensor && component.name == "extent") {
      all.push_back(t.value(sizes.back()));
    } else if (!tensor || component.role == ComponentRole::Structure) {
      return failure();
    } else if (tensor.hasStaticShape()) {
      all.push_back(t.empty(getAsIndexOpFoldResult(b.getContext(), tensor.getShape()),
                            tensor.getElementType()));
    } else {
      // The region of the whole gives extents that are dynamic in the type.
      Box box = encoding.getComponentRegion(b, loc, type, {}, i, whole);
      for (auto [axis, n] : llvm::enumerate(tensor.getShape()))
        if (!ShapedType::isDynamic(n))
          box.sizes[axis] = b.getIndexAttr(n);
      all.push_back(t.empty(box.sizes, tensor.getElementType()));
    }
  }
  return all;
}
