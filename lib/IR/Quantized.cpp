//===- Quantized.cpp - Codes times a tree of scales -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;

FormatAttrInterface QuantizedAttr::getCodeFormat() const {
  return cast<FormatAttrInterface>(getFormat());
}
ScaleAttrInterface QuantizedAttr::getScaleTree() const {
  return dyn_cast_or_null<ScaleAttrInterface>(getScale());
}
ScaleAttrInterface QuantizedAttr::getZeroTree() const {
  return dyn_cast_or_null<ScaleAttrInterface>(getZero());
}
LayoutAttrInterface QuantizedAttr::getStorage() const {
  return cast<LayoutAttrInterface>(getLayout());
}

LogicalResult lowbit::verifyStaticTerm(LayoutAttrInterface layout, QuantizedAttr term,
                                       ArrayRef<int64_t> shape,
                                       function_ref<InFlightDiagnostic()> emitError) {
  if (llvm::any_of(shape, ShapedType::isDynamic))
    return emitError() << "layout " << layout.getReference()->str()
                       << " needs a tensor of static shape";
  numerics::Shape extents(shape.begin(), shape.end());
  if (auto message = layout.getReference()->check(term.getReferenceTerm(), extents))
    return emitError() << *message;
  return success();
}

bool QuantizedAttr::hasGivenScales() const {
  return getRule() && getRule().getChoice() == RuleKind::Given;
}

QuantizedAttr QuantizedAttr::inLayout(Attribute layout) const {
  return get(getContext(), getFormat(), getScale(), getZero(), getAdditive(), EncodeRuleAttr(),
             layout);
}

SmallVector<ScaleLevel> QuantizedAttr::getAllLevels(ArrayRef<int64_t> shape) const {
  SmallVector<ScaleLevel> all;
  auto append = [&](ScaleAttrInterface tree, StringRef name) {
    if (tree)
      for (ScaleLevel &level : tree.getLevels(shape)) {
        level.suffix = name.str() + level.suffix;
        if (hasGivenScales())
          level.role = ComponentRole::Structure;
        all.push_back(std::move(level));
      }
  };
  append(getScaleTree(), "scale");
  append(getZeroTree(), getAdditive() ? "min" : "zero");
  llvm::append_range(all, getCodeFormat().getTables(shape));
  return all;
}

numerics::Quantized QuantizedAttr::getReferenceTerm() const {
  numerics::Quantized term{
      getCodeFormat().getReference(), std::nullopt, numerics::ZeroKind::None, std::nullopt, {}, {}};
  term.levels = getCodeFormat().getReferenceLevels();
  if (ScaleAttrInterface scale = getScaleTree())
    term.scale = scale.getReference();
  if (ScaleAttrInterface zero = getZeroTree()) {
    term.zero = zero.getReference();
    term.zeroKind = getAdditive() ? numerics::ZeroKind::Additive : numerics::ZeroKind::Integer;
  }
  if (getRule())
    term.rule = getRule().getReference();
  term.layout = getStorage().getReference();
  return term;
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// A rule that is given must suit the term: what no encode can follow helps nobody.
static LogicalResult verifyRule(function_ref<InFlightDiagnostic()> emitError, EncodeRuleAttr rule,
                                const numerics::Format &format, Attribute scale, Attribute zero,
                                bool additive, Attribute layout) {
  if (!rule)
    return success();
  numerics::Quantized term{format,       std::nullopt,        numerics::ZeroKind::None,
                           std::nullopt, rule.getReference(), {}};
  if (scale)
    term.scale = cast<ScaleAttrInterface>(scale).getReference();
  if (zero) {
    term.zero = cast<ScaleAttrInterface>(zero).getReference();
    term.zeroKind = additive ? numerics::ZeroKind::Additive : numerics::ZeroKind::Integer;
  }
  term.layout = cast<LayoutAttrInterface>(layout).getReference();
  if (auto message = numerics::checkRule(term))
    return emitError() << *message;
  return success();
}

LogicalResult QuantizedAttr::verify(function_ref<InFlightDiagnostic()> emitError, Attribute format,
                                    Attribute scale, Attribute zero, bool additive,
                                    EncodeRuleAttr rule, Attribute layout) {
  auto codes = dyn_cast_or_null<FormatAttrInterface>(format);
  if (!codes)
    return emitError() << "a quantized term begins with a number format, not " << format;
  auto tree = dyn_cast_or_null<ScaleAttrInterface>(scale);
  if (scale && !tree)
    return emitError() << "'scale' takes a scale, not " << scale;
  if (zero && !isa<ScaleAttrInterface>(zero))
    return emitError() << (additive ? "'min'" : "'zero'") << " takes a scale tree, not " << zero;
  if (!isa_and_nonnull<LayoutAttrInterface>(layout))
    return emitError() << "'layout' takes a layout, not " << layout;
  if (zero && !scale)
    return emitError() << "a zero point needs a scale";
  numerics::Format reference = codes.getReference();
  if (zero && (reference.isFloat() || codes.getReferenceLevels()))
    return emitError() << "a zero point needs an integer or codebook format, not "
                       << reference.str();
  if (zero && (isa<Rank1ScaleAttr>(scale) || isa<Rank1ScaleAttr>(zero)))
    return emitError() << "a rank-1 scale and a zero point cannot be combined";
  if (zero && !additive) {
    numerics::Scale tree = cast<ScaleAttrInterface>(zero).getReference();
    if (!reference.isInteger() || tree.levels.size() != 1 || tree.offset ||
        !tree.levels[0].element.isInteger())
      return emitError()
             << "an integer zero point is one level of an integer format, on integer codes; "
                "an additive one is written 'min = ...'";
  }
  return verifyRule(emitError, rule, reference, scale, zero, additive, layout);
}

LogicalResult QuantizedAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                        function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType.isF32())
    return emitError() << "a quantized tensor denotes f32 values; its element type is "
                       << elementType;
  if (shape.empty())
    return emitError() << "a quantized tensor has at least one axis";
  if (failed(verifyElementCount(shape, emitError)))
    return failure();
  // The random number of an element comes from its place.
  if (getRule() && getRule().getRounding() == RoundingKind::Stochastic && shape.size() > 3 &&
      llvm::any_of(shape.drop_front().drop_back(2), ShapedType::isDynamic))
    return emitError() << "stochastic rounding of a tensor of " << shape.size()
                       << " axes needs static extents between the first axis and the last two";
  if (getScaleTree() && failed(getScaleTree().verifyShape(shape, emitError)))
    return failure();
  if (getZeroTree() && failed(getZeroTree().verifyShape(shape, emitError)))
    return failure();
  if (failed(getCodeFormat().verifyShape(shape, emitError)))
    return failure();
  return getStorage().verifyTerm(*this, shape, emitError);
}

//===----------------------------------------------------------------------===//
// Components and tiles' places
//===----------------------------------------------------------------------===//

SmallVector<EncodingComponent> QuantizedAttr::getComponents(RankedTensorType type) const {
  return getStorage().getComponents(*this, type);
}

SmallVector<OpFoldResult> QuantizedAttr::getExtents(OpBuilder &b, Location loc,
                                                    RankedTensorType type,
                                                    ValueRange components) const {
  SmallVector<OpFoldResult> extents = extentsOf(b, loc, type, components[0]);
  int64_t last = type.getRank() - 1;
  if (!type.isDynamicDim(last))
    return extents;
  SmallVector<EncodingComponent> list = getComponents(type);
  if (list.back().type.isIndex())
    extents[last] = components.back();
  else if (cast<RankedTensorType>(list[0].type).getRank() > type.getRank()) {
    // Blocks of a fixed number of elements.
    int64_t multiple = getTileMultiples(type, TileUse::Decode)[last];
    Value elements =
        arith::MulIOp::create(b, loc, getValueOrCreateConstantIndexOp(b, loc, extents[last]),
                              arith::ConstantIndexOp::create(b, loc, multiple));
    extents[last] = elements;
  }
  return extents;
}

SmallVector<int64_t> QuantizedAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  SmallVector<int64_t> multiples = getStorage().getTileMultiples(*this, type);
  for (ScaleLevel &level : getAllLevels(type.getShape())) {
    bool statistic = level.role == ComponentRole::Statistic;
    for (auto [multiple, n] : llvm::zip(multiples, level.block)) {
      if (statistic) {
        if (use == TileUse::Encode)
          multiple = kWhole;
      } else if (n != kWhole || (use != TileUse::Decode && level.role == ComponentRole::Payload)) {
        multiple = joinMultiples(multiple, n);
      }
    }
  }
  return multiples;
}

Box QuantizedAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type, ValueRange,
                                      unsigned index, const Box &region) const {
  return getStorage().getComponentRegion(b, loc, *this, type, index, region);
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

static llvm::Error checkReference(const numerics::Quantized &term, const numerics::Shape &shape,
                                  bool isEncode) {
  auto message = isEncode ? numerics::checkEncode(term, shape) : numerics::check(term, shape);
  return message ? llvm::createStringError(*message) : llvm::Error::success();
}

/// The term's own components have the bytes that the reference reads.
static llvm::Error checkBytes(const numerics::Quantized &term, const numerics::Shape &extents,
                              ArrayRef<BufferRef> components) {
  if (llvm::Error error = checkReference(term, extents, /*isEncode=*/false))
    return error;
  std::vector<numerics::Component> wanted = numerics::components(term, extents);
  if (components.size() < wanted.size())
    return llvm::createStringError("the encoding has " + std::to_string(wanted.size()) +
                                   " components, " + std::to_string(components.size()) +
                                   " are given");
  for (auto [want, have] : llvm::zip(wanted, components))
    if ((int64_t)have.bytes.size() != want.bytes())
      return llvm::createStringError("component " + want.name + " has " +
                                     std::to_string(have.bytes.size()) + " bytes instead of " +
                                     std::to_string(want.bytes()));
  return llvm::Error::success();
}

llvm::Error QuantizedAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                            ArrayRef<BufferRef> components) const {
  numerics::Quantized term = getReferenceTerm();
  numerics::Shape extents(shape.begin(), shape.end());
  if (llvm::Error error = checkBytes(term, extents, components))
    return error;
  for (auto [want, have] : llvm::zip(numerics::components(term, extents), components))
    if (have.shape != ArrayRef(want.shape))
      return llvm::createStringError("component " + want.name +
                                     " has as many elements as it should, in another shape");
  // Open in the type, so that it is stored.
  if (!getComponents(type).back().type.isIndex())
    return llvm::Error::success();
  return verifyExtent(components.back(), shape.back());
}

llvm::Error QuantizedAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                           MutableArrayRef<float> values) const {
  numerics::Quantized term = getReferenceTerm();
  numerics::Shape extents(shape.begin(), shape.end());
  if (llvm::Error error = checkBytes(term, extents, components))
    return error;
  std::vector<const uint8_t *> data;
  for (const BufferRef &component : components)
    data.push_back(component.bytes.data());
  if ((int64_t)values.size() != numerics::elementCount(extents))
    return llvm::createStringError("the output has " + std::to_string(values.size()) +
                                   " values, not as many as the tensor");
  numerics::decode(term, extents, data, values.data());
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> QuantizedAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                   ArrayRef<float> values) const {
  if (hasGivenScales())
    return llvm::createStringError("the rule 'given' keeps the scales of a destination, and there "
                                   "is none: give its components");
  return referenceEncodeInto(shape, {}, values);
}

llvm::Expected<std::vector<Buffer>>
QuantizedAttr::referenceEncodeInto(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                   ArrayRef<float> values) const {
  numerics::Quantized term = getReferenceTerm();
  numerics::Shape extents(shape.begin(), shape.end());
  if (llvm::Error error = checkReference(term, extents, /*isEncode=*/true))
    return std::move(error);
  if ((int64_t)values.size() != numerics::elementCount(extents))
    return llvm::createStringError("there are " + std::to_string(values.size()) +
                                   " values, not as many as the tensor has");
  if (hasGivenScales())
    if (llvm::Error error = checkBytes(term, extents, components))
      return std::move(error);
  std::vector<const uint8_t *> data;
  for (const BufferRef &component : components)
    data.push_back(component.bytes.data());
  std::vector<numerics::Bytes> bytes = numerics::encodeInto(term, extents, data, values.data());
  std::vector<Buffer> buffers;
  for (auto [component, data] : llvm::zip(numerics::components(term, extents), bytes))
    buffers.push_back(
        {SmallVector<int64_t>(component.shape.begin(), component.shape.end()), std::move(data)});
  return buffers;
}
