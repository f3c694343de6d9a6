//===- BlockLoops.cpp - Searches over the elements of a block -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <functional>

using namespace mlir;
using namespace lowbit;

SmallVector<Value> BlockElements::fold(TileBuilder &t, ValueRange initial,
                                       TileBuilder::Body body) const {
  Value one = t.constantIndex(1);
  // One loop for each axis from the outermost in; `place` fills up on the way.
  SmallVector<Value> place;
  std::function<SmallVector<Value>(TileBuilder &, ValueRange)> loop =
      [&](TileBuilder &t, ValueRange values) -> SmallVector<Value> {
    size_t axis = place.size();
    if (axis == begin.size()) {
      SmallVector<Value> arguments{tensor::ExtractOp::create(t.b, t.loc, tile, place)};
      llvm::append_range(arguments, values);
      return body(t, arguments);
    }
    auto op = scf::ForOp::create(t.b, t.loc, begin[axis], end[axis], one, values,
                                 [&](OpBuilder &nested, Location loc, Value i, ValueRange inner) {
                                   TileBuilder t(nested, loc);
                                   place.push_back(i);
                                   scf::YieldOp::create(nested, loc, loop(t, inner));
                                   place.pop_back();
                                 });
    return llvm::to_vector(ValueRange(op.getResults()));
  };
  return loop(t, initial);
}

Value BlockElements::count(TileBuilder &t) const {
  Value count = t.constantIndex(1);
  for (auto [from, to] : llvm::zip(begin, end)) {
    Value extent = arith::SubIOp::create(t.b, t.loc, to, from);
    count = arith::MulIOp::create(t.b, t.loc, count, extent);
  }
  return count;
}

Value lowbit::overGrid(TileBuilder &t, const BlockedView &view, Value tile, ValueRange gridInputs,
                       Type elementType,
                       function_ref<Value(TileBuilder &, const BlockElements &, ValueRange)> body) {
  SmallVector<OpFoldResult> viewSizes = tensor::getMixedSizes(t.b, t.loc, view.value), grid;
  for (int number : view.number)
    if (number >= 0)
      grid.push_back(viewSizes[number]);
  SmallVector<Value> sizes;
  for (OpFoldResult size : view.sizes)
    sizes.push_back(t.value(size));
  SmallVector<AffineMap> maps(gridInputs.size() + 1, t.b.getMultiDimIdentityMap(grid.size()));
  SmallVector<utils::IteratorType> iterators(grid.size(), utils::IteratorType::parallel);
  return t.generic(gridInputs, t.empty(grid, elementType), maps, iterators,
                   [&](TileBuilder &t, ValueRange arguments) -> SmallVector<Value> {
                     SmallVector<Value> begin, end;
                     unsigned gridDim = 0;
                     for (auto [axis, n] : llvm::enumerate(view.block)) {
                       if (n == kWhole) {
                         begin.push_back(t.constantIndex(0));
                         end.push_back(sizes[axis]);
                         continue;
                       }
                       Value number = linalg::IndexOp::create(t.b, t.loc, gridDim++);
                       Value from = arith::MulIOp::create(t.b, t.loc, number, t.constantIndex(n));
                       Value to = arith::AddIOp::create(t.b, t.loc, from, t.constantIndex(n));
                       begin.push_back(from);
                       end.push_back(arith::MinSIOp::create(t.b, t.loc, to, sizes[axis]));
                     }
                     return {body(t, BlockElements(tile, begin, end), arguments.drop_back())};
                   })[0];
}
