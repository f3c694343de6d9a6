//===- Distribute.cpp - Contractions over sums and parts ------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
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
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_DISTRIBUTE
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

/// `op` on the range of one piece along the axis that is cut, accumulating into `sum`.
static Value contractPart(TileBuilder &t, linalg::LinalgOp op, OpOperand &encoded, Value decoded,
                          Value sum, const Piece &piece, unsigned axis) {
  AffineExpr loop = op.getMatchingIndexingMap(&encoded).getResult(axis);
  auto boxOf = [&](OpOperand &operand, Value v) {
    Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, v);
    Box box{Ofrs(sizes.size(), t.index(0)), sizes};
    for (auto [i, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
      if (expr == loop) {
        box.offsets[i] = piece.place.offsets[axis];
        box.sizes[i] = piece.place.sizes[axis];
      }
    return box;
  };
  SmallVector<Value> operands;
  for (OpOperand *input : op.getDpsInputOperands())
    operands.push_back(input == &encoded ? decoded
                                         : t.slice(input->get(), boxOf(*input, input->get())));
  OpOperand &init = *op.getDpsInitOperand(0);
  Box place = boxOf(init, sum);
  operands.push_back(t.slice(sum, place));
  Value result = clone(t.b, op, operands.back().getType(), operands)->getResult(0);
  bool isReduction =
      !op.getMatchingIndexingMap(&init).isFunctionOfDim(cast<AffineDimExpr>(loop).getPosition());
  if (isReduction)
    return result;
  return t.insert(result, sum, place);
}

static Value contractPieces(TileBuilder &t, linalg::LinalgOp op, OpOperand &encoded,
                            DecodeRegionOp decode, const Pieces &pieces) {
  Value sum = op.getDpsInits()[0];
  for (const Piece &piece : pieces.list) {
    bool isSum = pieces.kind == Pieces::Sum;
    if (!isSum && isConstantIntValue(piece.place.sizes[pieces.axis], 0))
      continue;
    Box box = isSum ? decode.getTensorRegion()
                    : Box{Ofrs(piece.place.offsets.size(), t.index(0)), piece.place.sizes};
    Value decoded = DecodeRegionOp::create(
        t.b, t.loc, piece.type, decode.getComponents().slice(piece.first, piece.count), box);
    if (!isSum) {
      sum = contractPart(t, op, encoded, decoded, sum, piece, pieces.axis);
      continue;
    }
    SmallVector<Value> operands = llvm::to_vector(op->getOperands());
    operands[encoded.getOperandNumber()] = decoded;
    operands.back() = sum;
    sum = clone(t.b, op, sum.getType(), operands)->getResult(0);
  }
  return sum;
}

/// The contraction on the pieces of one decoded operand, or on its components; null: nothing to
/// distribute.
static Value distribute(linalg::LinalgOp op, const Reporter &report) {
  OpBuilder b(op);
  TileBuilder t(b, op.getLoc());
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto decode = input->get().getDefiningOp<DecodeRegionOp>();
    if (!decode)
      continue;
    // Only a decode of everything: pieces are given in coordinates of the whole.
    RankedTensorType whole = getDecodedType(decode);
    if (!whole)
      continue;
    EncodingAttrInterface encoding = getEncoding(whole);
    auto direct =
        encoding.buildContraction(b, op, input->getOperandNumber(), whole, decode.getComponents());
    if (succeeded(direct)) {
      report.passed(op, [&]() -> Facts {
        return {Fact("Op", op->getName().getStringRef()), Fact("Kind", "own form of the encoding"),
                Fact("Weights", textOf(encoding)),
                Fact("WeightBytes", bytesOf(decode.getComponents().getTypes()))};
      });
      return *direct;
    }
    Pieces pieces = encoding.getPieces(b, t.loc, whole, decode.getComponents());
    if (pieces.kind != Pieces::Leaf)
      return contractPieces(t, op, *input, decode, pieces);
  }
  return {};
}

namespace {
struct DistributePass : lowbit::impl::DistributeBase<DistributePass> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> work;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (linalg::isaContractionOpInterface(op))
        work.push_back(op);
    });
    while (!work.empty()) {
      linalg::LinalgOp op = work.pop_back_val();
      Operation *before = op->getPrevNode();
      Value result = distribute(op, Reporter{getArgumentName(), "contraction"});
      if (!result)
        continue;
      // The pieces may be combinators themselves.
      for (Operation *made = before ? before->getNextNode() : &op->getBlock()->front(); made != op;
           made = made->getNextNode())
        if (auto piece = dyn_cast<linalg::LinalgOp>(made);
            piece && linalg::isaContractionOpInterface(piece))
          work.push_back(piece);
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    }
  }
};
} // namespace
