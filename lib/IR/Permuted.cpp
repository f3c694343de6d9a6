//===- Permuted.cpp - An axis stored in another order --------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static RankedTensorType storedType(PermutedAttr term, RankedTensorType type) {
  return termType(term.getTerm(), type.getShape());
}

LogicalResult PermutedAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned,
                                   int64_t block, Attribute term) {
  if (block < 1)
    return emitError() << "groups of at least 1 element move, not of " << block;
  if (!isa_and_nonnull<EncodingAttrInterface>(term))
    return emitError() << "what is stored in another order is in an encoding, not in " << term;
  return success();
}
LogicalResult PermutedAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (getAxis() >= shape.size())
    return emitError() << "a permuted axis " << getAxis() << " needs a tensor with more axes than "
                       << shape.size();
  int64_t extent = shape[getAxis()];
  if (getBlock() > 1 && (ShapedType::isDynamic(extent) || extent % getBlock() != 0))
    return emitError() << "groups of " << getBlock()
                       << " move along an axis of a known multiple of that many elements";
  return cast<EncodingAttrInterface>(getTerm()).verifyTerm(shape, elementType, emitError);
}

SmallVector<RankedTensorType> PermutedAttr::getChildren(RankedTensorType type) const {
  return {storedType(*this, type)};
}

SmallVector<EncodingComponent> PermutedAttr::getComponents(RankedTensorType type) const {
  Builder b(getContext());
  int64_t n = type.getDimSize(getAxis());
  SmallVector<EncodingComponent> all{
      {"position",
       RankedTensorType::get({ShapedType::isDynamic(n) ? n : n / getBlock()}, b.getI32Type()),
       ComponentRole::Structure}};
  appendComponents(all, "term", storedType(*this, type));
  return all;
}

Ofrs PermutedAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                              ValueRange components) const {
  RankedTensorType stored = storedType(*this, type);
  return getEncoding(stored).getExtents(b, loc, stored, components.drop_front());
}

SmallVector<int64_t> PermutedAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  RankedTensorType stored = storedType(*this, type);
  SmallVector<int64_t> all = getEncoding(stored).getTileMultiples(stored, use);
  all[getAxis()] = kWhole;
  return all;
}

Box PermutedAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                     ValueRange components, unsigned index,
                                     const Box &region) const {
  if (index == 0)
    return wholeComponent(b, loc, components[0]);
  RankedTensorType stored = storedType(*this, type);
  return getEncoding(stored).getComponentRegion(b, loc, stored, components.drop_front(), index - 1,
                                                region);
}

//===----------------------------------------------------------------------===//
// Decode and encode
//===----------------------------------------------------------------------===//

/// The tensor whose index i along `axis` is index places[i / block] * block + i % block of
/// `source`.
static Value gather(TileBuilder &t, Value source, Value places, unsigned axis, int64_t block) {
  auto type = cast<RankedTensorType>(source.getType());
  unsigned rank = type.getRank();
  SmallVector<utils::IteratorType> parallel(rank, utils::IteratorType::parallel);
  return t.generic({}, t.empty(tensor::getMixedSizes(t.b, t.loc, source), type.getElementType()),
                   t.b.getMultiDimIdentityMap(rank), parallel,
                   [&](TileBuilder &t, ValueRange) -> SmallVector<Value> {
                     SmallVector<Value> at;
                     for (unsigned i = 0; i < rank; ++i)
                       at.push_back(linalg::IndexOp::create(t.b, t.loc, i));
                     if (block == 1) {
                       at[axis] = extractIndex(t, places, at[axis]);
                     } else {
                       Value size = t.constantIndex(block);
                       Value number = arith::DivUIOp::create(t.b, t.loc, at[axis], size);
                       Value within = arith::RemUIOp::create(t.b, t.loc, at[axis], size);
                       Value first =
                           arith::MulIOp::create(t.b, t.loc, extractIndex(t, places, number), size);
                       at[axis] = arith::AddIOp::create(t.b, t.loc, first, within);
                     }
                     return {tensor::ExtractOp::create(t.b, t.loc, source, at)};
                   })[0];
}

/// For each stored index the one that it holds.
static Value invert(TileBuilder &t, Value position) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, position);
  return forEach(t, t.constantIndex(0), t.value(sizes[0]), t.empty(sizes, t.b.getI32Type()),
                 [&](TileBuilder &t, Value i, Value inverse) -> Value {
                   Value index = arith::IndexCastOp::create(t.b, t.loc, t.b.getI32Type(), i);
                   return tensor::InsertOp::create(t.b, t.loc, index, inverse,
                                                   extractIndex(t, position, i));
                 });
}

Value PermutedAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                    ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  RankedTensorType stored = storedType(*this, type);
  Value tile = getEncoding(stored).buildDecodeTile(b, loc, stored, components.drop_front(), region);
  return gather(t, tile, components[0], getAxis(), getBlock());
}

bool PermutedAttr::isEncodedInTiles(RankedTensorType) const { return false; }

FailureOr<SmallVector<Value>> PermutedAttr::buildEncode(OpBuilder &b, Location loc,
                                                        RankedTensorType type, Value whole,
                                                        ValueRange components) const {
  TileBuilder t(b, loc);
  Value sorted = gather(t, whole, invert(t, components[0]), getAxis(), getBlock());
  auto encoded = encodeWhole(b, loc, storedType(*this, type), sorted, components.drop_front());
  if (failed(encoded))
    return failure();
  encoded->insert(encoded->begin(), components[0]);
  return encoded;
}

FailureOr<Value> PermutedAttr::buildContraction(OpBuilder &b, linalg::LinalgOp op, unsigned operand,
                                                RankedTensorType type,
                                                ValueRange components) const {
  // The other operands are brought into the stored order, once, and the result out of it.
  TileBuilder t(b, op.getLoc());
  AffineExpr loop = op.getIndexingMapsArray()[operand].getResult(getAxis());
  Value inverse = invert(t, components[0]);
  bool isInResult = false;
  unsigned resultAxis = 0;
  SmallVector<Value> operands;
  for (OpOperand &other : op->getOpOperands()) {
    if (other.getOperandNumber() == operand) {
      operands.push_back(decodeWhole(b, t.loc, storedType(*this, type), components.drop_front()));
      continue;
    }
    Value value = other.get();
    for (auto [axis, expr] : llvm::enumerate(op.getMatchingIndexingMap(&other).getResults()))
      if (expr == loop) {
        value = gather(t, value, inverse, axis, getBlock());
        if (op.isDpsInit(&other)) {
          isInResult = true;
          resultAxis = axis;
        }
      }
    operands.push_back(value);
  }
  Value result = clone(b, op, operands.back().getType(), operands)->getResult(0);
  return isInResult ? gather(t, result, components[0], resultAxis, getBlock()) : result;
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

/// Between values[.., i, ..] and stored[.., place of i, ..].
static void copyMoved(PermutedAttr term, ArrayRef<int64_t> shape, ArrayRef<int32_t> position,
                      MutableArrayRef<float> values, MutableArrayRef<float> stored, bool isDecode) {
  int64_t extent = shape[term.getAxis()], block = term.getBlock(), inner = 1;
  for (int64_t n : shape.drop_front(term.getAxis() + 1))
    inner *= n;
  for (size_t at = 0; at < values.size(); ++at) {
    int64_t i = at / inner % extent, place = position[i / block] * block + i % block;
    float &there = stored[at + (place - i) * inner];
    if (isDecode)
      values[at] = there;
    else
      there = values[at];
  }
}

/// Takes the order from the list, checked.
static llvm::Expected<std::vector<int32_t>>
positionOfFront(PermutedAttr term, ArrayRef<int64_t> shape, ArrayRef<BufferRef> &components) {
  int64_t groups = shape[term.getAxis()] / term.getBlock();
  auto position = integersOfFront(components, "position", groups);
  if (!position)
    return position.takeError();
  std::vector<bool> isTaken(groups);
  for (int32_t place : *position) {
    if (place < 0 || place >= groups || isTaken[place])
      return llvm::createStringError("positions are each of 0 to " + std::to_string(groups - 1) +
                                     " once, but " + std::to_string(place) +
                                     " is repeated or outside");
    isTaken[place] = true;
  }
  return position;
}

llvm::Error PermutedAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                           ArrayRef<BufferRef> components) const {
  if (auto position = positionOfFront(*this, shape, components); !position)
    return position.takeError();
  return verifyFront(storedType(*this, type), shape, components);
}

llvm::Error PermutedAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                          MutableArrayRef<float> values) const {
  auto position = positionOfFront(*this, shape, components);
  if (!position)
    return position.takeError();
  std::vector<float> stored(values.size());
  if (llvm::Error error = decodeFront(getTerm(), shape, components, stored))
    return error;
  copyMoved(*this, shape, *position, values, stored, /*isDecode=*/true);
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> PermutedAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                  ArrayRef<float> values) const {
  numerics::Shape extents(shape.begin(), shape.end());
  std::vector<int32_t> position =
      numerics::orderByMagnitude(values.data(), extents, getAxis(), getBlock());
  std::vector<float> own(values), stored(values.size());
  copyMoved(*this, shape, position, own, stored, /*isDecode=*/false);
  std::vector<Buffer> all{bufferOf(position)};
  if (llvm::Error error = appendEncoded(all, getTerm(), shape, stored))
    return std::move(error);
  return all;
}
