//===- TensorDerivatives.cpp - The chain rule over reshapes and slices ----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorDerivatives.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lowbit;

Value lowbit::buildZeros(OpBuilder &b, Location loc, Value like) {
  Type element = getElementTypeOrSelf(like);
  Value zero = arith::ConstantOp::create(b, loc, element, b.getZeroAttr(element));
  Value empty = tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, like), element);
  return linalg::FillOp::create(b, loc, zero, empty).getResult(0);
}

static Value buildSum(OpBuilder &b, Location loc, Value x, Value y) {
  auto type = cast<RankedTensorType>(x.getType());
  AffineMap map = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(), utils::IteratorType::parallel);
  Value empty =
      tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, x), type.getElementType());
  return linalg::GenericOp::create(b, loc, empty.getType(), ValueRange{x, y}, empty,
                                   {map, map, map}, iterators,
                                   [](OpBuilder &b, Location loc, ValueRange e) {
                                     Value sum = arith::AddFOp::create(b, loc, e[0], e[1]);
                                     linalg::YieldOp::create(b, loc, sum);
                                   })
      .getResult(0);
}

void TensorCotangents::add(Location loc, Value value, Value cotangent) {
  if (!isActive(value))
    return;
  Value &sum = cotangents[value];
  sum = sum ? buildSum(b, loc, sum, cotangent) : cotangent;
}

LogicalResult TensorCotangents::differentiate(Operation *op) {
  if (llvm::none_of(op->getResults(), [&](Value result) { return lookup(result); }))
    return success();
  if (auto linalg = dyn_cast<linalg::LinalgOp>(op))
    return differentiateLinalg(linalg);
  if (op->getNumResults() == 1 && succeeded(differentiateReshape(op, lookup(op->getResult(0)))))
    return success();
  return op->emitOpError("has no derivative that is known: lowbit-differentiate goes back over "
                         "linalg, reshapes and slices of tensors");
}

LogicalResult TensorCotangents::differentiateLinalg(linalg::LinalgOp op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(*op))
    return differentiateGeneric(b, generic, op->getResults(), *this);
  // A copy is made general: the op itself stays what later passes know.
  IRRewriter rewriter(b);
  auto copy = cast<linalg::LinalgOp>(rewriter.clone(*op));
  FailureOr<linalg::GenericOp> generic = linalg::generalizeNamedOp(rewriter, copy);
  if (failed(generic)) {
    rewriter.eraseOp(copy);
    return op.emitOpError("has no form as a linalg.generic that could be differentiated");
  }
  LogicalResult result = differentiateGeneric(b, *generic, op->getResults(), *this);
  rewriter.eraseOp(*generic);
  return result;
}

/// Of what is put together along an axis, each piece's part.
static SmallVector<Value> takeApart(OpBuilder &b, tensor::ConcatOp op, Value cotangent) {
  Location loc = op.getLoc();
  unsigned axis = op.getDim();
  SmallVector<OpFoldResult> offsets(op.getResultType().getRank(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(offsets.size(), b.getIndexAttr(1));
  Value place = arith::ConstantIndexOp::create(b, loc, 0);
  SmallVector<Value> pieces;
  for (Value input : op.getInputs()) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, input);
    pieces.push_back(tensor::ExtractSliceOp::create(b, loc, cotangent, offsets, sizes, strides));
    Value extent = getValueOrCreateConstantIndexOp(b, loc, sizes[axis]);
    place = arith::AddIOp::create(b, loc, place, extent);
    offsets[axis] = place;
  }
  return pieces;
}

LogicalResult TensorCotangents::differentiateReshape(Operation *op, Value cotangent) {
  Location loc = op->getLoc();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](tensor::ExpandShapeOp shape) {
        add(loc, shape.getSrc(),
            tensor::CollapseShapeOp::create(b, loc, shape.getSrcType(), cotangent,
                                            shape.getReassociationIndices()));
        return success();
      })
      .Case([&](tensor::CollapseShapeOp shape) {
        add(loc, shape.getSrc(),
            tensor::ExpandShapeOp::create(b, loc, shape.getSrcType(), cotangent,
                                          shape.getReassociationIndices(),
                                          tensor::getMixedSizes(b, loc, shape.getSrc())));
        return success();
      })
      .Case([&](tensor::CastOp cast) {
        add(loc, cast.getSource(),
            tensor::CastOp::create(b, loc, cast.getSource().getType(), cotangent));
        return success();
      })
      .Case([&](tensor::ExtractSliceOp slice) {
        Value whole = lookup(slice.getSource());
        if (whole) {
          Value part = tensor::ExtractSliceOp::create(
              b, loc, slice.getResultType(), whole, slice.getMixedOffsets(), slice.getMixedSizes(),
              slice.getMixedStrides());
          cotangent = buildSum(b, loc, part, cotangent);
        } else {
          whole = buildZeros(b, loc, slice.getSource());
        }
        replace(slice.getSource(),
                tensor::InsertSliceOp::create(b, loc, cotangent, whole, slice.getMixedOffsets(),
                                              slice.getMixedSizes(), slice.getMixedStrides()));
        return success();
      })
      .Case([&](tensor::InsertSliceOp slice) {
        auto [offsets, sizes, strides] =
            std::tuple(slice.getMixedOffsets(), slice.getMixedSizes(), slice.getMixedStrides());
        if (isActive(slice.getSource()))
          add(loc, slice.getSource(),
              tensor::ExtractSliceOp::create(b, loc, slice.getSourceType(), cotangent, offsets,
                                             sizes, strides));
        if (isActive(slice.getDest()))
          add(loc, slice.getDest(),
              tensor::InsertSliceOp::create(b, loc, buildZeros(b, loc, slice.getSource()),
                                            cotangent, offsets, sizes, strides));
        return success();
      })
      .Case([&](tensor::PadOp pad) {
        if (!pad.getConstantPaddingValue())
          return LogicalResult(failure());
        SmallVector<OpFoldResult> strides(pad.getSourceType().getRank(), b.getIndexAttr(1));
        add(loc, pad.getSource(),
            tensor::ExtractSliceOp::create(
                b, loc, pad.getSourceType(), cotangent, pad.getMixedLowPad(),
                tensor::getMixedSizes(b, loc, pad.getSource()), strides));
        return LogicalResult(success());
      })
      .Case([&](tensor::ConcatOp concat) {
        for (auto [input, piece] :
             llvm::zip_equal(concat.getInputs(), takeApart(b, concat, cotangent)))
          add(loc, input, piece);
        return success();
      })
      .Default([](Operation *) { return failure(); });
}
