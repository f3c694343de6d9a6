//===- CheckpointLayout.cpp - Words of codes, as in checkpoints -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// IR for any layout that is described as numerics::WordArrays: the axis along which codes make
// words is split into groups and the digits of a code's place, so that every index map is a
// projection. Where a code may straddle words, the words of a group are one dimension more, over
// which its bits are put together.
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
  int64_t wordsAlong(int64_t axis) const { return axis == int64_t(words.axis) ? words.words : 1; }
  /// Elements of the tensor along `axis` for one group of `wordsAlong` indices of the component.
  int64_t elementsPerGroup(int64_t axis) const {
    if (block[axis] == kWhole)
      return kWhole;
    return block[axis] * (axis == int64_t(words.axis) ? words.codesPerGroup() : 1);
  }
  bool isPacked() const { return !isFloat() && words.codesPerGroup() > 1; }
};
} // namespace

static SmallVector<StoredWords> arraysOf(CheckpointLayoutAttr layout, QuantizedAttr term,
                                         ArrayRef<int64_t> shape) {
  auto words = numerics::checkpointLayout(std::string_view(layout.getFormat()))
                   ->wordArrays(term.getReferenceTerm(), shape.size());
  SmallVector<StoredWords> all;
  all.push_back({words[0], term.getCodeFormat(), SmallVector<int64_t>(shape.size(), 1),
                 ComponentRole::Payload});
  for (ScaleLevel &level : term.getAllLevels(shape))
    all.push_back(
        {words[all.size()], cast<FormatAttrInterface>(level.format), level.block, level.role});
  return all;
}

LogicalResult CheckpointLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                           StringRef format) {
  if (numerics::checkpointLayout(std::string_view(format)))
    return success();
  InFlightDiagnostic error = emitError();
  error << "unknown checkpoint format '" << format << "'; known: ";
  llvm::interleaveComma(numerics::checkpointFormats(), error,
                        [&](const numerics::CheckpointFormat &known) { error << known.name; });
  return error;
}

std::shared_ptr<const numerics::Layout> CheckpointLayoutAttr::getReference() const {
  return numerics::checkpointLayout(std::string_view(getFormat()));
}

LogicalResult CheckpointLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,
                                               function_ref<InFlightDiagnostic()> emitError) const {
  return verifyStaticTerm(*this, term, shape, emitError);
}

SmallVector<EncodingComponent> CheckpointLayoutAttr::getComponents(const QuantizedAttr &term,
                                                                   RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  for (StoredWords &array : arraysOf(*this, term, type.getShape())) {
    SmallVector<int64_t> shape;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      int64_t per = array.elementsPerGroup(axis);
      int64_t groups = per == kWhole ? 1 : llvm::divideCeil(type.getDimSize(axis), per);
      shape.push_back(groups * array.wordsAlong(axis));
    }
    all.push_back({array.words.name, RankedTensorType::get(shape, array.wordType()), array.role});
  }
  return all;
}

SmallVector<int64_t> CheckpointLayoutAttr::getTileMultiples(const QuantizedAttr &term,
                                                            RankedTensorType type) const {
  SmallVector<int64_t> multiples(type.getRank(), 1);
  for (StoredWords &array : arraysOf(*this, term, type.getShape()))
    for (int64_t axis = 0; axis < type.getRank(); ++axis)
      if (int64_t per = array.elementsPerGroup(axis); per != kWhole)
        multiples[axis] = joinMultiples(multiples[axis], per);
  return multiples;
}

/// The part of a component that belongs to a region; of its codes if `areCodes`.
static Box storedRegion(TileBuilder &t, const StoredWords &array, const Box &region,
                        bool areCodes) {
  Box stored;
  for (size_t axis = 0; axis < region.sizes.size(); ++axis) {
    int64_t per = areCodes ? array.block[axis] : array.elementsPerGroup(axis);
    if (per == kWhole) {
      stored.offsets.push_back(t.index(0));
      stored.sizes.push_back(t.index(1));
      continue;
    }
    AffineExpr words = t.b.getAffineConstantExpr(areCodes ? 1 : array.wordsAlong(axis));
    AffineExpr x = t.b.getAffineDimExpr(0);
    stored.offsets.push_back(t.apply(x.floorDiv(per) * words, {region.offsets[axis]}));
    stored.sizes.push_back(t.apply(x.ceilDiv(per) * words, {region.sizes[axis]}));
  }
  return stored;
}

Box CheckpointLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                             RankedTensorType type, unsigned index,
                                             const Box &region) const {
  TileBuilder t(b, loc);
  return storedRegion(t, arraysOf(*this, term, type.getShape())[index], region, false);
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

namespace {
/// The space of an array's groups, with the digits of a code's place after their axis, then the
/// words of a group if they are several.
struct WordSpace {
  unsigned rank, wordDim;
  bool isStraddling;
  AffineMap words, codes;
  /// Of the components' and the codes' own shape.
  SmallVector<ReassociationIndices> wordGroups, codeGroups;

  WordSpace(TileBuilder &t, const StoredWords &array, unsigned tensorRank) {
    unsigned digits = array.words.digits.size();
    isStraddling = array.words.words > 1;
    rank = tensorRank + digits + isStraddling;
    wordDim = array.words.axis + 1 + digits;
    SmallVector<unsigned> ofWords, ofCodes;
    for (unsigned dim = 0, axis = 0; axis < tensorRank; ++axis) {
      wordGroups.emplace_back().push_back(ofWords.size());
      codeGroups.emplace_back().push_back(ofCodes.size());
      ofWords.push_back(dim);
      ofCodes.push_back(dim++);
      if (axis != array.words.axis)
        continue;
      for (unsigned i = 0; i < digits; ++i) {
        codeGroups.back().push_back(ofCodes.size());
        ofCodes.push_back(dim++);
      }
      if (isStraddling) {
        wordGroups.back().push_back(ofWords.size());
        ofWords.push_back(dim++);
      }
    }
    words = t.map(rank, ofWords);
    codes = t.map(rank, ofCodes);
  }
};
} // namespace

static Value constant(TileBuilder &t, Type type, int64_t value) {
  return arith::ConstantOp::create(
      t.b, t.loc,
      IntegerAttr::get(type, APInt(64, value, true).trunc(type.getIntOrFloatBitWidth())));
}

/// The bit at which a code begins, counted from the word, within the body of a generic.
static Value placeOf(TileBuilder &t, const StoredWords &array, const WordSpace &space) {
  Type type = array.wordType();
  Value place = constant(t, type, array.words.shift);
  auto addTerm = [&](unsigned dim, int64_t stride) {
    Value at = linalg::IndexOp::create(t.b, t.loc, dim);
    at = arith::IndexCastOp::create(t.b, t.loc, type, at);
    at = arith::MulIOp::create(t.b, t.loc, at, constant(t, type, stride));
    place = arith::AddIOp::create(t.b, t.loc, place, at);
  };
  for (auto [i, stride] : llvm::enumerate(array.words.shiftStrides))
    addTerm(array.words.axis + 1 + i, stride);
  if (space.isStraddling)
    addTerm(space.wordDim, -array.words.wordBits());
  return place;
}

/// The bits of `v`, a word or a code, moved down (to the code) or up (to the word) by `place`,
/// which may lie before or beyond the word: then what is there of it.
static Value moveBits(TileBuilder &t, const StoredWords &array, const WordSpace &space, Value v,
                      bool isDown) {
  Value place = placeOf(t, array, space);
  auto shifted = [&](Value by, bool down) -> Value {
    if (down)
      return arith::ShRUIOp::create(t.b, t.loc, v, by);
    return arith::ShLIOp::create(t.b, t.loc, v, by);
  };
  if (!space.isStraddling)
    return shifted(place, isDown);
  Type type = array.wordType();
  int64_t bits = array.format.getReference().bits(), wordBits = array.words.wordBits();
  Value zero = constant(t, type, 0), mask = constant(t, type, wordBits - 1);
  Value before = arith::SubIOp::create(t.b, t.loc, zero, place);
  auto within = [&](Value x, int64_t end) -> Value {
    return arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ult, x, constant(t, type, end));
  };
  auto clamped = [&](Value x) -> Value { return arith::AndIOp::create(t.b, t.loc, x, mask); };
  Value early = arith::SelectOp::create(t.b, t.loc, within(before, bits),
                                        shifted(clamped(before), !isDown), zero);
  return arith::SelectOp::create(t.b, t.loc, within(place, wordBits),
                                 shifted(clamped(place), isDown), early);
}

static Value maskCode(TileBuilder &t, const StoredWords &array, Value code) {
  int64_t mask = (int64_t(1) << array.format.getReference().bits()) - 1;
  return arith::AndIOp::create(t.b, t.loc, code, constant(t, array.wordType(), mask));
}

static Value addBias(TileBuilder &t, const StoredWords &array, Value code, int64_t sign) {
  if (array.words.bias == 0)
    return code;
  code = arith::AddIOp::create(t.b, t.loc, code,
                               constant(t, array.wordType(), sign * int64_t(array.words.bias)));
  return maskCode(t, array, code);
}

/// A field of a word as the code that it stores.
static Value finishCode(TileBuilder &t, const StoredWords &array, Value field) {
  Value code = addBias(t, array, field, 1);
  Type codeType = array.format.getCodeType();
  return codeType == array.wordType() ? code : arith::TruncIOp::create(t.b, t.loc, codeType, code);
}

static Value unpackWords(TileBuilder &t, const StoredWords &array, Value words, const Box &region) {
  if (!array.isPacked())
    return words;
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, words);
  WordSpace space(t, array, sizes.size());
  unsigned axis = array.words.axis;
  SmallVector<utils::IteratorType> iterators(space.rank, utils::IteratorType::parallel);
  if (space.isStraddling) {
    iterators[space.wordDim] = utils::IteratorType::reduction;
    sizes[axis] = t.floorDiv(sizes[axis], array.words.words);
    Ofrs split = sizes;
    split.insert(split.begin() + axis + 1, t.index(array.words.words));
    auto type = RankedTensorType::get(decomposeMixedValues(split).first, array.wordType());
    words = tensor::ExpandShapeOp::create(t.b, t.loc, type, words, space.wordGroups, split);
  }
  for (auto [i, radix] : llvm::enumerate(array.words.digits))
    sizes.insert(sizes.begin() + axis + 1 + i, t.index(radix));
  Value codes;
  if (space.isStraddling) {
    Value fields = t.filled(sizes, constant(t, array.wordType(), 0));
    fields = t.generic(words, fields, {space.words, space.codes}, iterators,
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         Value field = maskCode(t, array, moveBits(t, array, space, a[0], true));
                         return {arith::OrIOp::create(t.b, t.loc, a[1], field)};
                       })[0];
    codes = t.elementwise(fields, array.format.getCodeType(),
                          [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                            return {finishCode(t, array, a[0])};
                          });
  } else {
    codes = t.generic(words, t.empty(sizes, array.format.getCodeType()), {space.words, space.codes},
                      iterators, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                        Value field = maskCode(t, array, moveBits(t, array, space, a[0], true));
                        return {finishCode(t, array, field)};
                      })[0];
  }
  codes = tensor::CollapseShapeOp::create(t.b, t.loc, codes, space.codeGroups);
  return t.cut(codes, storedRegion(t, array, region, true).sizes);
}

/// The words of these codes, written over `destination`; the unused bits of the last are zero.
static Value packWords(TileBuilder &t, const StoredWords &array, Value codes, Value destination) {
  unsigned tensorRank = cast<RankedTensorType>(codes.getType()).getRank();
  if (isEmptyTensor(destination))
    return destination;
  if (!array.isPacked())
    return t.copyInto(codes, destination);
  WordSpace space(t, array, tensorRank);
  unsigned axis = array.words.axis;
  int64_t perGroup = array.words.codesPerGroup();
  Type wordType = array.wordType();
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, codes);
  codes = t.padded(codes, axis, perGroup);
  sizes[axis] = t.ceilDiv(sizes[axis], perGroup);
  Ofrs wordSizes = sizes;
  SmallVector<utils::IteratorType> iterators(space.rank, utils::IteratorType::parallel);
  for (auto [i, radix] : llvm::enumerate(array.words.digits)) {
    sizes.insert(sizes.begin() + axis + 1 + i, t.index(radix));
    iterators[axis + 1 + i] = utils::IteratorType::reduction;
  }
  auto split = [&](Value v, ArrayRef<OpFoldResult> into,
                   ArrayRef<ReassociationIndices> by) -> Value {
    Type element = cast<RankedTensorType>(v.getType()).getElementType();
    auto type =
        RankedTensorType::get(decomposeMixedValues(SmallVector<OpFoldResult>(into)).first, element);
    return tensor::ExpandShapeOp::create(t.b, t.loc, type, v, by, into);
  };
  codes = split(codes, sizes, space.codeGroups);
  Value words = destination;
  if (space.isStraddling) {
    wordSizes.insert(wordSizes.begin() + axis + 1, t.index(array.words.words));
    words = split(words, wordSizes, space.wordGroups);
  }
  Value zero = linalg::FillOp::create(t.b, t.loc, constant(t, wordType, 0), words).getResult(0);
  words = t.generic(codes, zero, {space.codes, space.words}, iterators,
                    [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                      Value code = a[0];
                      if (code.getType() != wordType)
                        code = arith::ExtUIOp::create(t.b, t.loc, wordType, code);
                      code = addBias(t, array, maskCode(t, array, code), -1);
                      code = moveBits(t, array, space, code, false);
                      return {arith::OrIOp::create(t.b, t.loc, a[1], code)};
                    })[0];
  if (space.isStraddling)
    words =
        tensor::CollapseShapeOp::create(t.b, t.loc, destination.getType(), words, space.wordGroups);
  return words;
}

Fields CheckpointLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                         RankedTensorType type, ValueRange components,
                                         const Box &region) const {
  TileBuilder t(b, loc);
  Fields fields;
  for (auto [array, component] : llvm::zip(arraysOf(*this, term, type.getShape()), components)) {
    Value words = t.slice(component, storedRegion(t, array, region, false));
    Value v = unpackWords(t, array, words, region);
    if (!fields.codes)
      fields.codes = v;
    else
      fields.levels.push_back(v);
  }
  return fields;
}

FailureOr<SmallVector<Value>> CheckpointLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                              const QuantizedAttr &term,
                                                              RankedTensorType type,
                                                              const Fields &fields,
                                                              ValueRange destinations) const {
  TileBuilder t(b, loc);
  SmallVector<Value> packed;
  for (auto [i, array] : llvm::enumerate(arraysOf(*this, term, type.getShape())))
    if (array.role == ComponentRole::Payload)
      packed.push_back(packWords(t, array, i == 0 ? fields.codes : fields.levels[i - 1],
                                 destinations[packed.size()]));
  return packed;
}
