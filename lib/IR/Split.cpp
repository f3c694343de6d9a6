//===- Split.cpp - A bfloat16 and what it leaves --------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Split.h"

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace lowbit;

LogicalResult SplitAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  if (bits == 8 || bits == 16)
    return success();
  return emitError() << "what a bf16 leaves has 8 or 16 bits, not " << bits;
}

LogicalResult SplitAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                    function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType.isF32())
    return emitError() << "a split tensor denotes f32 values; its element type is " << elementType;
  if (shape.empty())
    return emitError() << "a split tensor has at least one axis";
  return verifyElementCount(shape, emitError);
}

SmallVector<EncodingComponent> SplitAttr::getComponents(RankedTensorType type) const {
  Builder b(getContext());
  auto of = [&](Type element) { return RankedTensorType::get(type.getShape(), element); };
  return {{"high", of(b.getBF16Type()), ComponentRole::Payload},
          {"low", of(b.getIntegerType(getBits())), ComponentRole::Payload}};
}

SmallVector<int64_t> SplitAttr::getTileMultiples(RankedTensorType type, TileUse) const {
  return SmallVector<int64_t>(type.getRank(), 1);
}

Box SplitAttr::getComponentRegion(OpBuilder &, Location, RankedTensorType, ValueRange, unsigned,
                                  const Box &region) const {
  return region;
}

//===----------------------------------------------------------------------===//
// IR: numerics::floatOfSplit and numerics::splitFloat
//===----------------------------------------------------------------------===//

Value SplitAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType,
                                 ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  return t.elementwise({t.slice(components[0], region), t.slice(components[1], region)},
                       b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         auto shift = [&](Value v, unsigned bits) -> Value {
                           return arith::ShLIOp::create(t.b, t.loc, v, t.i32(bits));
                         };
                         Value high = arith::BitcastOp::create(t.b, t.loc, i16, a[0]);
                         high = shift(arith::ExtUIOp::create(t.b, t.loc, i32, high), 16);
                         Value low =
                             shift(arith::ExtSIOp::create(t.b, t.loc, i32, a[1]), 16 - getBits());
                         Value all = arith::AddIOp::create(t.b, t.loc, high, low);
                         Value turned = arith::CmpIOp::create(
                             t.b, t.loc, arith::CmpIPredicate::slt,
                             arith::XOrIOp::create(t.b, t.loc, all, high), t.i32(0));
                         Value bits = arith::SelectOp::create(t.b, t.loc, turned, high, all);
                         return {arith::BitcastOp::create(t.b, t.loc, t.b.getF32Type(), bits)};
                       });
}

FailureOr<SmallVector<Value>> SplitAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                         RankedTensorType type, Value tile,
                                                         ValueRange components, const Box &) const {
  TileBuilder t(b, loc);
  unsigned dropped = 16 - getBits();
  Type i16 = b.getI16Type(), low = b.getIntegerType(getBits());
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  return t.generic(
      tile, components, {identity, identity, identity},
      SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::parallel),
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        auto add = [&](Value x, Value y) -> Value {
          return arith::AddIOp::create(t.b, t.loc, x, y);
        };
        auto mask = [&](Value x, uint32_t bits) -> Value {
          return arith::AndIOp::create(t.b, t.loc, x, t.i32(bits));
        };
        auto shift = [&](Value x, unsigned bits) -> Value {
          return arith::ShRUIOp::create(t.b, t.loc, x, t.i32(bits));
        };
        Value all = arith::BitcastOp::create(t.b, t.loc, t.b.getI32Type(), a[0]), number = all;
        if (dropped) {
          Value odd = mask(shift(all, dropped), 1);
          number = add(add(all, t.i32((1u << (dropped - 1)) - 1)), odd);
        }
        Value quiet = arith::OrIOp::create(t.b, t.loc, mask(all, 0xffff0000), t.i32(0x400000));
        Value isNaN = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::UNO, a[0], a[0]);
        number = arith::SelectOp::create(t.b, t.loc, isNaN, quiet, number);
        Value highest = mask(number, ~((1u << dropped) - 1));
        Value high = shift(add(highest, t.i32(0x8000)), 16);
        high = arith::TruncIOp::create(t.b, t.loc, i16, high);
        return {arith::BitcastOp::create(t.b, t.loc, t.b.getBF16Type(), high),
                arith::TruncIOp::create(t.b, t.loc, low, shift(number, dropped))};
      });
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error SplitAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                        ArrayRef<BufferRef> components) const {
  SmallVector<EncodingComponent> wanted = getComponents(type);
  if (components.size() != wanted.size())
    return llvm::createStringError("a split tensor has two components, high and low");
  for (auto [want, have] : llvm::zip(wanted, components)) {
    int64_t bytes = cast<RankedTensorType>(want.type).getElementTypeBitWidth() / 8;
    for (int64_t extent : shape)
      bytes *= extent;
    if (have.shape != shape || (int64_t)have.bytes.size() != bytes)
      return llvm::createStringError("component " + want.name +
                                     " has another shape than the tensor");
  }
  return llvm::Error::success();
}

llvm::Error SplitAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                       MutableArrayRef<float> values) const {
  auto type = RankedTensorType::get(shape, Float32Type::get(getContext()), *this);
  if (llvm::Error error = verifyComponents(type, shape, components))
    return error;
  size_t width = getBits() / 8;
  for (auto [i, value] : llvm::enumerate(values)) {
    numerics::SplitNumber number{0, 0};
    memcpy(&number.high, components[0].bytes.data() + 2 * i, 2);
    memcpy(&number.low, components[1].bytes.data() + width * i, width);
    value = numerics::floatOfSplit(number, getBits());
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> SplitAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                               ArrayRef<float> values) const {
  size_t width = getBits() / 8;
  SmallVector<int64_t> extents(shape);
  std::vector<Buffer> buffers{{extents, std::vector<uint8_t>(2 * values.size())},
                              {extents, std::vector<uint8_t>(width * values.size())}};
  for (auto [i, value] : llvm::enumerate(values)) {
    numerics::SplitNumber number = numerics::splitFloat(value, getBits());
    memcpy(buffers[0].bytes.data() + 2 * i, &number.high, 2);
    memcpy(buffers[1].bytes.data() + width * i, &number.low, width);
  }
  return buffers;
}
