//===- LlamaAttention.cpp - Emits the attention of a llama ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LlamaForward.h"

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>
#include <limits>

using namespace llvm;
using namespace mlir;

namespace lowbit {

Value LlamaForward::rotate(StringRef name, Value x, ArrayRef<int64_t> heads) {
  SmallVector<OpFoldResult> sizes = {rows};
  for (int64_t count : heads)
    sizes.push_back(t.size(count));
  sizes.append({t.size(model.headSize / 2), t.size(2)});
  int64_t last = sizes.size() - 1;
  Value pairs = t.split("pairs", x, 1, sizes);

  SmallVector<OpFoldResult> evenOffsets(sizes.size(), t.size(0)), oddOffsets = evenOffsets,
                                                                  partSizes = sizes;
  oddOffsets[last] = t.size(1);
  partSizes[last] = t.size(1);
  partSizes[last - 1] = t.size(model.rotarySize / 2);
  Value even = t.slice("even", pairs, evenOffsets, partSizes, {last});
  Value odd = t.slice("odd", pairs, oddOffsets, partSizes, {last});

  SmallVector<unsigned> all = to_vector(seq<unsigned>(last));
  SmallVector<unsigned> rowAndPair = {0, unsigned(last) - 1};
  auto combine = [&](StringRef text, Value a, Value b, bool subtract) {
    TensorBuilder::Access inputs[] = {{a, all}, {cosine, rowAndPair}, {b, all}, {sine, rowAndPair}};
    return t.elementwise(text, inputs, t.empty(ArrayRef(partSizes).drop_back()),
                         [&](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
                           Value first = arith::MulFOp::create(b, e[0], e[1]);
                           Value second = arith::MulFOp::create(b, e[2], e[3]);
                           if (subtract)
                             return arith::SubFOp::create(b, first, second);
                           return arith::AddFOp::create(b, first, second);
                         });
  };
  Value newEven = combine("rotated_even", even, odd, /*subtract=*/true);
  Value newOdd = combine("rotated_odd", odd, even, /*subtract=*/false);
  // What is not rotated stays; where everything is, nothing of the old tensor is needed.
  Value dest = model.rotarySize == model.headSize ? t.empty(sizes) : pairs;
  dest = t.insert("with_even", newEven, dest, evenOffsets, partSizes);
  dest = t.insert("with_odd", newOdd, dest, oddOffsets, partSizes);
  return t.merge(name, dest, last - 1, 2);
}

Value LlamaForward::headsFirst(StringRef name, Value x) {
  return t.elementwise(name, {{x, {1, 0, 2}}},
                       t.empty({t.size(model.kvHeads), rows, t.size(model.headSize)}),
                       [](ImplicitLocOpBuilder &, ValueRange e) { return e[0]; });
}

Value LlamaForward::append(StringRef name, Value x, Value cache) {
  OpFoldResult zero = t.size(0);
  if (getEncoding(cache.getType()))
    return InsertOp::create(t.get(), t.name(name), x, cache,
                            ArrayRef<OpFoldResult>{zero, position, zero});
  return t.insert(name, x, cache, {zero, position, zero},
                  {t.size(model.kvHeads), rows, t.size(model.headSize)});
}

Value LlamaForward::attend(Value q, Value keyCache, Value valueCache) {
  OpFoldResult zero = t.size(0), kv = t.size(model.kvHeads),
               group = t.size(model.heads / model.kvHeads), headSize = t.size(model.headSize);
  Value count = ShapedType::isDynamic(staticRows) ? cast<Value>(rows) : t.index(staticRows);
  OpFoldResult length = t.add("length", position, count);
  auto soFar = [&](StringRef name, Value cache) {
    if (getEncoding(cache.getType()))
      cache = DecodeOp::create(t.get(), t.name(name), cache);
    return t.slice(name, cache, {zero, zero, zero}, {kv, length, headSize});
  };
  Value keys = soFar("keys", keyCache);
  Value values = soFar("values", valueCache);
  Value queries =
      t.elementwise("queries", {{q, {2, 0, 1, 3}}}, t.empty({kv, group, rows, headSize}),
                    [&](ImplicitLocOpBuilder &b, ValueRange e) {
                      Value scale = constant(b, 1 / std::sqrt(double(model.headSize)));
                      return arith::MulFOp::create(b, e[0], scale).getResult();
                    });

  // Loops: kv, g, m, t, d.
  enum { KV, G, M, T, D };
  const double minusInfinity = -std::numeric_limits<double>::infinity();
  Value scores = t.fill("zeros", 0, t.empty({kv, group, rows, length}));
  scores = t.contraction("scores", 5, {queries, {KV, G, M, D}}, {keys, {KV, T, D}},
                         {scores, {KV, G, M, T}});
  // A single row is the last position, which sees all of them.
  if (staticRows != 1)
    scores = t.elementwise(
        "visible", {{scores, {KV, G, M, T}}}, t.empty({kv, group, rows, length}),
        [&](ImplicitLocOpBuilder &b, ValueRange e) {
          Value row = linalg::IndexOp::create(b, M);
          Value time = linalg::IndexOp::create(b, T);
          Value now = arith::AddIOp::create(b, position, row);
          Value isVisible = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, time, now);
          return arith::SelectOp::create(b, isVisible, e[0], constant(b, minusInfinity))
              .getResult();
        });

  Value lowest = t.fill("lowest", minusInfinity, t.empty({kv, group, rows}));
  Value highest = t.generic("highest", 4, {{scores, {KV, G, M, T}}}, {lowest, {KV, G, M}},
                            [](ImplicitLocOpBuilder &b, ValueRange e) {
                              return arith::MaximumFOp::create(b, e[1], e[0]).getResult();
                            });
  Value mass =
      t.elementwise("mass", {{scores, {KV, G, M, T}}, {highest, {KV, G, M}}},
                    t.empty({kv, group, rows, length}), [](ImplicitLocOpBuilder &b, ValueRange e) {
                      Value below = arith::SubFOp::create(b, e[0], e[1]);
                      return math::ExpOp::create(b, below).getResult();
                    });
  Value zeros = t.fill("zeros", 0, t.empty({kv, group, rows}));
  Value total = t.generic("total", 4, {{mass, {KV, G, M, T}}}, {zeros, {KV, G, M}},
                          [](ImplicitLocOpBuilder &b, ValueRange e) {
                            return arith::AddFOp::create(b, e[1], e[0]).getResult();
                          });

  Value mixed = t.fill("zeros", 0, t.empty({rows, kv, group, headSize}));
  mixed = t.contraction("mixed", 5, {mass, {KV, G, M, T}}, {values, {KV, T, D}},
                        {mixed, {M, KV, G, D}});
  mixed = t.elementwise("normalized", {{mixed, {0, 1, 2, 3}}, {total, {1, 2, 0}}},
                        t.empty({rows, kv, group, headSize}),
                        [](ImplicitLocOpBuilder &b, ValueRange e) {
                          return arith::DivFOp::create(b, e[0], e[1]).getResult();
                        });
  return t.merge("attention", mixed, 1, 3);
}

} // namespace lowbit
