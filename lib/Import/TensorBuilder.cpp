//===- TensorBuilder.cpp - Writing linalg by axes -------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace llvm;
using namespace mlir;

namespace lowbit {

Value constant(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

Location TensorBuilder::name(StringRef text) { return NameLoc::get(builder.getStringAttr(text)); }

Value TensorBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, name(("c" + Twine(value)).str()), value);
}

Value TensorBuilder::add(StringRef text, Value a, Value b) {
  return arith::AddIOp::create(builder, name(text), a, b);
}

Value TensorBuilder::subtract(StringRef text, Value a, Value b) {
  return arith::SubIOp::create(builder, name(text), a, b);
}

Value TensorBuilder::dim(StringRef text, Value tensor, int64_t axis) {
  return tensor::DimOp::create(builder, name(text), tensor, index(axis));
}

Value TensorBuilder::empty(Sizes sizes) {
  return tensor::EmptyOp::create(builder, name("empty"), sizes, builder.getF32Type());
}

Value TensorBuilder::fill(StringRef text, double value, Value dest) {
  Value scalar = arith::ConstantOp::create(builder, name("value"), builder.getF32FloatAttr(value));
  return linalg::FillOp::create(builder, name(text), scalar, dest).getResult(0);
}

Value TensorBuilder::generic(StringRef text, unsigned loops, ArrayRef<Access> inputs, Access output,
                             Body body) {
  SmallVector<AffineMap> maps;
  SmallVector<Value> tensors;
  auto addMap = [&](const Access &access) {
    SmallVector<AffineExpr> axes;
    for (unsigned loop : access.loops)
      axes.push_back(builder.getAffineDimExpr(loop));
    maps.push_back(AffineMap::get(loops, 0, axes, builder.getContext()));
  };
  for (const Access &input : inputs) {
    addMap(input);
    tensors.push_back(input.tensor);
  }
  addMap(output);
  SmallVector<utils::IteratorType> iterators(loops, utils::IteratorType::reduction);
  for (unsigned loop : output.loops)
    iterators[loop] = utils::IteratorType::parallel;
  auto op = linalg::GenericOp::create(
      builder, name(text), output.tensor.getType(), tensors, output.tensor, maps, iterators,
      [&](OpBuilder &nested, Location, ValueRange elements) {
        ImplicitLocOpBuilder inner(UnknownLoc::get(nested.getContext()), nested);
        linalg::YieldOp::create(inner, body(inner, elements));
      });
  return op.getResult(0);
}

Value TensorBuilder::elementwise(StringRef text, ArrayRef<Access> inputs, Value dest, Body body) {
  unsigned rank = cast<RankedTensorType>(dest.getType()).getRank();
  return generic(text, rank, inputs, {dest, to_vector(seq(rank))}, body);
}

Value TensorBuilder::contraction(StringRef text, unsigned loops, Access a, Access b, Access init) {
  return generic(text, loops, {a, b}, init, [](ImplicitLocOpBuilder &inner, ValueRange e) -> Value {
    Value product = arith::MulFOp::create(inner, e[0], e[1]);
    return arith::AddFOp::create(inner, e[2], product);
  });
}

Value TensorBuilder::matmul(StringRef text, Value x, Value weight, Value init) {
  return linalg::MatmulTransposeBOp::create(builder, name(text), ValueRange{x, weight},
                                            ValueRange{init})
      .getResult(0);
}

Value TensorBuilder::slice(StringRef text, Value tensor, Sizes offsets, Sizes sizes,
                           ArrayRef<int64_t> dropped) {
  SmallVector<OpFoldResult> strides(offsets.size(), size(1));
  SmallVector<int64_t> shape;
  for (auto [axis, extent] : enumerate(sizes))
    if (!is_contained(dropped, int64_t(axis)))
      shape.push_back(getConstantIntValue(extent).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  return tensor::ExtractSliceOp::create(builder, name(text), type, tensor, offsets, sizes, strides);
}

Value TensorBuilder::insert(StringRef text, Value tensor, Value dest, Sizes offsets, Sizes sizes) {
  SmallVector<OpFoldResult> strides(offsets.size(), size(1));
  return tensor::InsertSliceOp::create(builder, name(text), tensor, dest, offsets, sizes, strides);
}

/// Axis i on its own, but `count` axes from `axis` on together.
static SmallVector<ReassociationIndices> getReassociation(int64_t rank, int64_t axis,
                                                          int64_t count) {
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < rank; i += i == axis ? count : 1)
    groups.push_back(to_vector<2>(seq(i, i + (i == axis ? count : 1))));
  return groups;
}

Value TensorBuilder::split(StringRef text, Value tensor, int64_t axis, Sizes sizes) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape;
  for (OpFoldResult extent : sizes)
    shape.push_back(getConstantIntValue(extent).value_or(ShapedType::kDynamic));
  int64_t count = sizes.size() - type.getRank() + 1;
  return tensor::ExpandShapeOp::create(builder, name(text),
                                       RankedTensorType::get(shape, type.getElementType()), tensor,
                                       getReassociation(shape.size(), axis, count), sizes);
}

Value TensorBuilder::merge(StringRef text, Value tensor, int64_t axis, int64_t count) {
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  return tensor::CollapseShapeOp::create(builder, name(text), tensor,
                                         getReassociation(rank, axis, count));
}

} // namespace lowbit
