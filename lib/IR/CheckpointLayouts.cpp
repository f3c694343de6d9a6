//===- CheckpointLayouts.cpp - Words of codes, as in checkpoints ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// IR for any layout that is described as numerics::WordArrays: the axis along which codes make
// words is split into the words and the digits of a code's place, so that every index map is a
// projection.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

namespace {
/// One array of the term: how it is stored, and its place on the tensor.
struct StoredWords {
  numerics::WordArray words;
  FormatAttrInterface format;
  SmallVector<int64_t> block; ///< of the tensor, per axis
  ComponentRole role;

  bool isFloat() const { return isa<FloatType>(format.getCodeType()); }
  Type wordType() const {
    if (isFloat())
      return format.getCodeType();
    unsigned bits = words.type == numerics::ElementType::Int32 ? 32 : 8;
    return IntegerType::get(format.getContext(), bits);
  }
  /// Elements of the tensor along `axis` for one index of the component.
  int64_t elementsPerIndex(int64_t axis) const {
    if (block[axis] == kWhole)
      return kWhole;
    return block[axis] * (axis == int64_t(words.axis) ? words.codesPerWord() : 1);
  }
};
} // namespace

static SmallVector<StoredWords> arraysOf(StringRef layout, QuantizedAttr term,
                                         ArrayRef<int64_t> shape) {
  auto words = numerics::checkpointLayout(std::string_view(layout))
                   ->wordArrays(term.getReferenceTerm(), shape.size());
  SmallVector<StoredWords> all;
  all.push_back({words[0], term.getCodeFormat(), SmallVector<int64_t>(shape.size(), 1),
                 ComponentRole::Payload});
  for (ScaleLevel &level : term.getAllLevels(shape))
    all.push_back(
        {words[all.size()], cast<FormatAttrInterface>(level.format), level.block, level.role});
  return all;
}

//===----------------------------------------------------------------------===//
// The contract of a layout, for all three
//===----------------------------------------------------------------------===//

static LogicalResult verifyWords(StringRef layout, QuantizedAttr term, ArrayRef<int64_t> shape,
                                 function_ref<InFlightDiagnostic()> emitError) {
  if (llvm::any_of(shape, ShapedType::isDynamic))
    return emitError() << "layout " << layout << " needs a tensor of static shape";
  numerics::Shape extents(shape.begin(), shape.end());
  auto reference = numerics::checkpointLayout(std::string_view(layout));
  if (auto message = reference->check(term.getReferenceTerm(), extents))
    return emitError() << *message;
  return success();
}

static SmallVector<EncodingComponent> componentsOf(StringRef layout, QuantizedAttr term,
                                                   RankedTensorType type) {
  SmallVector<EncodingComponent> all;
  for (StoredWords &array : arraysOf(layout, term, type.getShape())) {
    SmallVector<int64_t> shape;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      int64_t per = array.elementsPerIndex(axis);
      shape.push_back(per == kWhole ? 1 : llvm::divideCeil(type.getDimSize(axis), per));
    }
    all.push_back({array.words.name, RankedTensorType::get(shape, array.wordType()), array.role});
  }
  return all;
}

static SmallVector<int64_t> tileMultiplesOf(StringRef layout, QuantizedAttr term,
                                            RankedTensorType type) {
  SmallVector<int64_t> multiples(type.getRank(), 1);
  for (StoredWords &array : arraysOf(layout, term, type.getShape()))
    for (int64_t axis = 0; axis < type.getRank(); ++axis)
      if (int64_t per = array.elementsPerIndex(axis); per != kWhole)
        multiples[axis] = joinMultiples(multiples[axis], per);
  return multiples;
}

static Box wordRegion(TileBuilder &t, const StoredWords &array, const Box &region) {
  Box words;
  for (size_t axis = 0; axis < region.sizes.size(); ++axis) {
    int64_t per = array.elementsPerIndex(axis);
    bool whole = per == kWhole;
    words.offsets.push_back(whole ? t.index(0) : t.floorDiv(region.offsets[axis], per));
    words.sizes.push_back(whole ? t.index(1) : t.ceilDiv(region.sizes[axis], per));
  }
  return words;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

namespace {
/// The space of an array's codes with the digits of a code's place after the axis of the words.
struct WordSpace {
  unsigned rank;
  AffineMap words, codes;
  SmallVector<ReassociationIndices> groups; ///< of the codes' own shape

  WordSpace(TileBuilder &t, const StoredWords &array, unsigned tensorRank) {
    unsigned digits = array.words.digits.size();
    rank = tensorRank + digits;
    SmallVector<unsigned> own;
    for (unsigned axis = 0, dim = 0; axis < tensorRank; ++axis) {
      own.push_back(dim);
      ReassociationIndices &group = groups.emplace_back();
      group.push_back(dim++);
      for (unsigned i = 0; axis == array.words.axis && i < digits; ++i)
        group.push_back(dim++);
    }
    words = t.map(rank, own);
    codes = t.b.getMultiDimIdentityMap(rank);
  }
};
} // namespace

static Value constant(TileBuilder &t, Type type, int64_t value) {
  return arith::ConstantOp::create(
      t.b, t.loc,
      IntegerAttr::get(type, APInt(64, value, true).trunc(type.getIntOrFloatBitWidth())));
}

/// The shift of a code in its word, within the body of a generic.
static Value shiftOf(TileBuilder &t, const StoredWords &array) {
  Type type = array.wordType();
  Value shift = constant(t, type, array.words.shift);
  for (auto [i, stride] : llvm::enumerate(array.words.shiftStrides)) {
    Value at = linalg::IndexOp::create(t.b, t.loc, array.words.axis + 1 + i);
    at = arith::IndexCastOp::create(t.b, t.loc, type, at);
    at = arith::MulIOp::create(t.b, t.loc, at, constant(t, type, stride));
    shift = arith::AddIOp::create(t.b, t.loc, shift, at);
  }
  return shift;
}

static Value addBias(TileBuilder &t, const StoredWords &array, Value code, int64_t sign) {
  if (array.words.bias == 0)
    return code;
  return arith::AddIOp::create(t.b, t.loc, code,
                               constant(t, array.wordType(), sign * int64_t(array.words.bias)));
}

static Value maskCode(TileBuilder &t, const StoredWords &array, Value code) {
  int64_t mask = (int64_t(1) << array.format.getReference().bits()) - 1;
  return arith::AndIOp::create(t.b, t.loc, code, constant(t, array.wordType(), mask));
}

static Value unpackWords(TileBuilder &t, const StoredWords &array, Value words) {
  if (array.isFloat() || array.words.codesPerWord() == 1)
    return words;
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, words);
  WordSpace space(t, array, sizes.size());
  for (auto [i, radix] : llvm::enumerate(array.words.digits))
    sizes.insert(sizes.begin() + array.words.axis + 1 + i, t.index(radix));
  Type codeType = array.format.getCodeType();
  Value codes =
      t.generic(words, t.empty(sizes, codeType), {space.words, space.codes},
                SmallVector<utils::IteratorType>(space.rank, utils::IteratorType::parallel),
                [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                  Value code = arith::ShRUIOp::create(t.b, t.loc, a[0], shiftOf(t, array));
                  code = maskCode(t, array, addBias(t, array, code, 1));
                  if (codeType != array.wordType())
                    code = arith::TruncIOp::create(t.b, t.loc, codeType, code);
                  return {code};
                })[0];
  return tensor::CollapseShapeOp::create(t.b, t.loc, codes, space.groups);
}

/// The words of these codes, written over `destination`.
static Value packWords(TileBuilder &t, const StoredWords &array, Value codes, Value destination) {
  unsigned tensorRank = cast<RankedTensorType>(codes.getType()).getRank();
  if (array.isFloat() || array.words.codesPerWord() == 1) {
    AffineMap identity = t.b.getMultiDimIdentityMap(tensorRank);
    return t.generic(codes, destination, {identity, identity},
                     SmallVector<utils::IteratorType>(tensorRank, utils::IteratorType::parallel),
                     [](TileBuilder &, ValueRange a) -> SmallVector<Value> { return {a[0]}; })[0];
  }
  WordSpace space(t, array, tensorRank);
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, codes);
  sizes[array.words.axis] = t.floorDiv(sizes[array.words.axis], array.words.codesPerWord());
  SmallVector<utils::IteratorType> iterators(space.rank, utils::IteratorType::parallel);
  for (auto [i, radix] : llvm::enumerate(array.words.digits)) {
    sizes.insert(sizes.begin() + array.words.axis + 1 + i, t.index(radix));
    iterators[array.words.axis + 1 + i] = utils::IteratorType::reduction;
  }
  auto split = RankedTensorType::get(decomposeMixedValues(sizes).first, array.format.getCodeType());
  codes = tensor::ExpandShapeOp::create(t.b, t.loc, split, codes, space.groups, sizes);
  Type wordType = array.wordType();
  Value zero =
      linalg::FillOp::create(t.b, t.loc, constant(t, wordType, 0), destination).getResult(0);
  return t.generic(codes, zero, {space.codes, space.words}, iterators,
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     Value code = a[0];
                     if (code.getType() != wordType)
                       code = arith::ExtUIOp::create(t.b, t.loc, wordType, code);
                     code = maskCode(t, array, addBias(t, array, code, -1));
                     code = arith::ShLIOp::create(t.b, t.loc, code, shiftOf(t, array));
                     return {arith::OrIOp::create(t.b, t.loc, a[1], code)};
                   })[0];
}

static Fields unpackAll(StringRef layout, OpBuilder &b, Location loc, QuantizedAttr term,
                        RankedTensorType type, ValueRange components, const Box &region) {
  TileBuilder t(b, loc);
  Fields fields;
  for (auto [array, component] : llvm::zip(arraysOf(layout, term, type.getShape()), components)) {
    Value v = unpackWords(t, array, t.slice(component, wordRegion(t, array, region)));
    if (!fields.codes)
      fields.codes = v;
    else
      fields.levels.push_back(v);
  }
  return fields;
}

static SmallVector<Value> packAll(StringRef layout, OpBuilder &b, Location loc, QuantizedAttr term,
                                  RankedTensorType type, const Fields &fields,
                                  ValueRange destinations) {
  TileBuilder t(b, loc);
  SmallVector<Value> packed;
  for (auto [i, array] : llvm::enumerate(arraysOf(layout, term, type.getShape())))
    if (array.role == ComponentRole::Payload)
      packed.push_back(packWords(t, array, i == 0 ? fields.codes : fields.levels[i - 1],
                                 destinations[packed.size()]));
  return packed;
}

//===----------------------------------------------------------------------===//
// The attributes
//===----------------------------------------------------------------------===//

#define LOWBIT_CHECKPOINT_LAYOUT(ATTR)                                                             \
  LogicalResult ATTR::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,               \
                                 function_ref<InFlightDiagnostic()> emitError) const {             \
    return verifyWords(getMnemonic(), term, shape, emitError);                                     \
  }                                                                                                \
  SmallVector<EncodingComponent> ATTR::getComponents(const QuantizedAttr &term,                    \
                                                     RankedTensorType type) const {                \
    return componentsOf(getMnemonic(), term, type);                                                \
  }                                                                                                \
  SmallVector<int64_t> ATTR::getTileMultiples(const QuantizedAttr &term, RankedTensorType type)    \
      const {                                                                                      \
    return tileMultiplesOf(getMnemonic(), term, type);                                             \
  }                                                                                                \
  Box ATTR::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &term,              \
                               RankedTensorType type, unsigned index, const Box &region) const {   \
    TileBuilder t(b, loc);                                                                         \
    return wordRegion(t, arraysOf(getMnemonic(), term, type.getShape())[index], region);           \
  }                                                                                                \
  Fields ATTR::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,                  \
                           RankedTensorType type, ValueRange components, const Box &region)        \
      const {                                                                                      \
    return unpackAll(getMnemonic(), b, loc, term, type, components, region);                       \
  }                                                                                                \
  FailureOr<SmallVector<Value>> ATTR::buildPack(                                                   \
      OpBuilder &b, Location loc, const QuantizedAttr &term, RankedTensorType type,                \
      const Fields &fields, ValueRange destinations) const {                                       \
    return packAll(getMnemonic(), b, loc, term, type, fields, destinations);                       \
  }                                                                                                \
  std::shared_ptr<const numerics::Layout> ATTR::getReference() const {                             \
    return numerics::checkpointLayout(std::string_view(getMnemonic()));                            \
  }

LOWBIT_CHECKPOINT_LAYOUT(GptqLayoutAttr)
LOWBIT_CHECKPOINT_LAYOUT(AwqLayoutAttr)
LOWBIT_CHECKPOINT_LAYOUT(BnbLayoutAttr)
