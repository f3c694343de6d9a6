//===- SplitOutliers.cpp - What is too large to be rounded ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SplitOutliers.h"
#include "lowbit/IR/LowbitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;

/// With 0 in place of each element that is an outlier, or that is none.
static Value pick(OpBuilder &b, Location loc, Value x, double threshold, bool outliers) {
  auto type = cast<RankedTensorType>(x.getType());
  Type element = type.getElementType();
  Value least = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, threshold));
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0));
  auto body = [&](OpBuilder &b, Location loc, ValueRange v) {
    Value size = math::AbsFOp::create(b, loc, v[0]);
    Value isOutlier = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGE, size, least);
    Value picked =
        arith::SelectOp::create(b, loc, isOutlier, outliers ? v[0] : zero, outliers ? zero : v[0]);
    linalg::YieldOp::create(b, loc, picked);
  };
  AffineMap all = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> side(type.getRank(), utils::IteratorType::parallel);
  Value empty = tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, x), element);
  return linalg::GenericOp::create(b, loc, type, x, empty, {all, all}, side, body).getResult(0);
}

/// The largest |x|, or NaN.
static Value findLargest(OpBuilder &b, Location loc, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  Type element = type.getElementType();
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0));
  Value none = tensor::EmptyOp::create(b, loc, ArrayRef<int64_t>(), element);
  none = linalg::FillOp::create(b, loc, zero, none).getResult(0);
  auto body = [&](OpBuilder &b, Location loc, ValueRange v) {
    Value size = math::AbsFOp::create(b, loc, v[0]);
    linalg::YieldOp::create(b, loc, arith::MaximumFOp::create(b, loc, v[1], size).getResult());
  };
  AffineMap all = b.getMultiDimIdentityMap(type.getRank());
  AffineMap scalar = AffineMap::get(type.getRank(), 0, b.getContext());
  SmallVector<utils::IteratorType> over(type.getRank(), utils::IteratorType::reduction);
  Value largest =
      linalg::GenericOp::create(b, loc, none.getType(), x, none, {all, scalar}, over, body)
          .getResult(0);
  return tensor::ExtractOp::create(b, loc, largest, ValueRange());
}

SplitActivations lowbit::splitOutliers(OpBuilder &b, Location loc, Value x, double threshold) {
  Value largest = findLargest(b, loc, x);
  Value least = arith::ConstantOp::create(b, loc, b.getFloatAttr(largest.getType(), threshold));
  Value any = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGE, largest, least);
  return {x, pick(b, loc, x, threshold, false), any, threshold};
}

void lowbit::addOutlierProduct(linalg::LinalgOp op, OpOperand &input,
                               const SplitActivations &split) {
  OpBuilder b(op.getContext());
  b.setInsertionPointAfter(op);
  Location loc = op.getLoc();
  Value result = op->getResult(0);
  auto yield = [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, result); };
  auto sum = scf::IfOp::create(b, loc, split.any, yield, yield);
  Operation *yielded = sum.thenBlock()->getTerminator();
  b.setInsertionPoint(yielded);
  Value outliers = pick(b, loc, split.whole, split.threshold, true);
  Operation *product = b.clone(*op);
  product->setOperand(input.getOperandNumber(), outliers);
  product->setOperand(op.getDpsInitOperand(0)->getOperandNumber(), result);
  product->setAttr(LowbitDialect::kActivationsAttrName, b.getStringAttr("f32"));
  yielded->setOperand(0, product->getResult(0));
  result.replaceUsesWithIf(sum.getResult(0), [&](OpOperand &use) {
    return use.getOwner() != product && !sum->isProperAncestor(use.getOwner());
  });
}
