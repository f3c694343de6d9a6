//===- EncodedTensor.cpp - Encodes and decodes arrays ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/EncodedTensor.h"

#include "ElementType.h"
#include "lowbit/Compile/Diagnostics.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Numerics/Reference.h"
#include "lowbit/Quantize/ErrorFeedback.h"
#include "lowbit/Runtime/Array.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace lowbit;

EncodingContext::EncodingContext() : context(std::make_unique<mlir::MLIRContext>()) {
  context->loadDialect<LowbitDialect>();
}

EncodingContext::~EncodingContext() = default;

Expected<TensorEncoding> EncodingContext::read(StringRef text) {
  text = text.trim();
  if (text.empty() || text == "f32")
    return TensorEncoding();
  DiagnosticCollector diagnostics(context.get());
  if (EncodingAttrInterface encoding = parseEncoding(text, context.get()))
    return TensorEncoding(encoding.getAsOpaquePointer());
  if (isAlpha(text.front()))
    return createStringError("'" + text +
                             "' is not an encoding such as "
                             "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>");
  return createStringError("'" + text + "' is not an encoding: " + diagnostics.takeText());
}

Expected<TensorEncoding> EncodingContext::read(const Archive &archive, const TensorInfo &tensor) {
  Expected<StringRef> text = archive.getEncoding(tensor);
  if (!text)
    return text.takeError();
  Expected<TensorEncoding> encoding = read(*text);
  if (!encoding)
    return createStringError(archive.getPath() + ": tensor '" + tensor.name +
                             "': " + toString(encoding.takeError()));
  return encoding;
}

static EncodingAttrInterface getAttribute(const void *opaque) {
  return cast<EncodingAttrInterface>(mlir::Attribute::getFromOpaquePointer(opaque));
}

std::string TensorEncoding::str() const {
  std::string text;
  if (attribute)
    raw_string_ostream(text) << mlir::Attribute::getFromOpaquePointer(attribute);
  return text;
}

bool ComponentType::isStatic() const { return !is_contained(shape, -1); }

static std::optional<DType> getStoredType(mlir::Type type) {
  std::optional<DType> dtype = getElementDType(type);
  if (dtype == DType::Bool || dtype == DType::F64) // no component is
    return std::nullopt;
  return dtype == DType::I8 ? DType::U8 : dtype; // bits of codes, which have no sign
}

/// The type of a tensor of f32 values with this encoding, if they fit.
static Expected<mlir::RankedTensorType> getEncodedType(EncodingAttrInterface encoding,
                                                       ArrayRef<int64_t> shape) {
  mlir::MLIRContext *context = encoding.getContext();
  DiagnosticCollector diagnostics(context);
  SmallVector<int64_t> extents = map_to_vector(
      shape, [](int64_t extent) { return extent == -1 ? mlir::ShapedType::kDynamic : extent; });
  auto type = mlir::RankedTensorType::get(extents, mlir::Float32Type::get(context), encoding);
  if (failed(
          verifyEncodedType(type, [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); })))
    return createStringError("the encoding does not fit a tensor of shape " + formatShape(shape) +
                             ": " + diagnostics.takeText());
  return type;
}

Expected<std::vector<ComponentType>> TensorEncoding::getComponents(ArrayRef<int64_t> shape) const {
  if (!attribute)
    return std::vector<ComponentType>{{"values", DType::F32, SmallVector<int64_t, 4>(shape)}};
  EncodingAttrInterface encoding = getAttribute(attribute);
  Expected<mlir::RankedTensorType> type = getEncodedType(encoding, shape);
  if (!type)
    return type.takeError();
  std::vector<ComponentType> types;
  for (const EncodingComponent &component : encoding.getComponents(*type)) {
    auto tensor = dyn_cast<mlir::RankedTensorType>(component.type);
    std::optional<DType> dtype = getStoredType(tensor ? tensor.getElementType() : component.type);
    if (!dtype)
      return createStringError("component '" + component.name +
                               "' has an element type that no archive can store");
    ComponentType &stored = types.emplace_back(ComponentType{component.name, *dtype, {}});
    if (tensor)
      for (int64_t extent : tensor.getShape())
        stored.shape.push_back(mlir::ShapedType::isDynamic(extent) ? -1 : extent);
  }
  return types;
}

Expected<SmallVector<int64_t>> TensorEncoding::getEncodeMultiples(ArrayRef<int64_t> shape) const {
  if (!attribute)
    return SmallVector<int64_t>(shape.size(), 1);
  EncodingAttrInterface encoding = getAttribute(attribute);
  Expected<mlir::RankedTensorType> type = getEncodedType(encoding, shape);
  if (!type)
    return type.takeError();
  return encoding.getTileMultiples(*type, TileUse::Encode);
}

Expected<std::optional<uint64_t>> TensorEncoding::getBytes(ArrayRef<int64_t> shape) const {
  if (!attribute) {
    std::optional<uint64_t> bytes = countBytes(DType::F32, shape);
    if (!bytes)
      return createStringError("a tensor cannot have the shape " + formatShape(shape));
    return bytes;
  }
  Expected<mlir::RankedTensorType> type = getEncodedType(getAttribute(attribute), shape);
  if (!type)
    return type.takeError();
  std::optional<int64_t> bytes = getStaticBytes(*type);
  return bytes ? std::optional<uint64_t>(*bytes) : std::nullopt;
}

/// Whether arrays of these types have the same bits. Codes are bytes, whether called signed or not,
/// and numpy has no bf16.
static bool haveSameBits(DType wanted, DType given) {
  return wanted == given || (wanted == DType::U8 && given == DType::I8) ||
         (wanted == DType::BF16 && given == DType::U16);
}

/// The components of a tensor of this shape, which may come in any order.
static Expected<SmallVector<BufferRef>> findComponents(const TensorEncoding &encoding,
                                                       ArrayRef<int64_t> shape,
                                                       ArrayRef<Component> components) {
  Expected<std::vector<ComponentType>> types = encoding.getComponents(shape);
  if (!types)
    return types.takeError();
  SmallVector<BufferRef> buffers;
  for (const ComponentType &type : *types) {
    auto found = find_if(components, [&](const Component &c) { return c.name == type.name; });
    if (found == components.end())
      return createStringError("component '" + type.name + "' is missing");
    bool fits = found->shape.size() == type.shape.size() &&
                found->data.size() == countBytes(found->dtype, found->shape);
    for (auto [expected, given] : zip(type.shape, found->shape))
      fits &= expected == -1 || expected == given;
    if (!fits || !haveSameBits(type.dtype, found->dtype))
      return createStringError("component '" + type.name + "' is " +
                               formatArrayType(found->dtype, found->shape) +
                               ", the encoding wants " + formatArrayType(type.dtype, type.shape));
    buffers.push_back({found->shape, found->data});
  }
  return buffers;
}

/// Into a destination whose scales stay, as the rule `given` has it. The codes may be missing.
static Expected<std::vector<Buffer>> encodeInto(const TensorEncoding &encoding, QuantizedAttr term,
                                                ArrayRef<int64_t> shape, ArrayRef<float> values,
                                                ArrayRef<Component> destination) {
  Expected<std::vector<ComponentType>> types = encoding.getComponents(shape);
  if (!types)
    return types.takeError();
  SmallVector<Component> all(destination);
  std::vector<uint8_t> zeros;
  for (const ComponentType &type : *types)
    if (StringRef(type.name).starts_with("codes") && type.isStatic())
      zeros.resize(std::max<size_t>(zeros.size(), countBytes(type.dtype, type.shape).value_or(0)));
  for (const ComponentType &type : *types)
    if (StringRef(type.name).starts_with("codes") && type.isStatic())
      all.push_back({type.name, type.dtype, type.shape,
                     ArrayRef(zeros).take_front(countBytes(type.dtype, type.shape).value_or(0))});
  Expected<SmallVector<BufferRef>> buffers = findComponents(encoding, shape, all);
  if (!buffers)
    return buffers.takeError();
  return term.referenceEncodeInto(shape, *buffers, values);
}

Expected<std::vector<EncodedComponent>>
TensorEncoding::encode(ArrayRef<int64_t> shape, ArrayRef<float> values,
                       ArrayRef<Component> destination) const {
  Expected<std::vector<ComponentType>> types = getComponents(shape);
  if (!types)
    return types.takeError();
  if (countElements(shape) != int64_t(values.size()))
    return createStringError("a tensor of shape " + formatShape(shape) + " does not have " +
                             Twine(values.size()) + " values");
  std::vector<EncodedComponent> result;
  if (!attribute) {
    auto bytes = reinterpret_cast<const uint8_t *>(values.data());
    result.push_back({"values", DType::F32, SmallVector<int64_t, 4>(shape),
                      std::vector<uint8_t>(bytes, bytes + values.size() * sizeof(float))});
    return result;
  }
  EncodingAttrInterface encoding = getAttribute(attribute);
  auto term = dyn_cast<QuantizedAttr>(mlir::Attribute(encoding));
  bool isGiven = term && term.hasGivenScales() && !destination.empty();
  if (!isGiven && !destination.empty())
    return createStringError("only an encode by the rule 'given' takes scales");
  Expected<std::vector<Buffer>> buffers = isGiven
                                              ? encodeInto(*this, term, shape, values, destination)
                                              : encoding.referenceEncode(shape, values);
  if (!buffers)
    return buffers.takeError();
  if (buffers->size() != types->size())
    return createStringError("the encoding has " + Twine(types->size()) +
                             " components, its reference gives " + Twine(buffers->size()));
  for (auto [type, buffer] : zip_equal(*types, *buffers))
    result.push_back({type.name, type.dtype, SmallVector<int64_t, 4>(ArrayRef(buffer.shape)),
                      std::move(buffer.bytes)});
  return result;
}

/// Components of a '#lowbit.quantized' with the bytes that its reference gave.
static std::vector<EncodedComponent> toComponents(ArrayRef<ComponentType> types,
                                                  ArrayRef<numerics::Bytes> bytes) {
  std::vector<EncodedComponent> components;
  for (auto [type, stored] : zip_equal(types, bytes))
    components.push_back({type.name, type.dtype, SmallVector<int64_t, 4>(ArrayRef(type.shape)),
                          std::vector<uint8_t>(stored.begin(), stored.end())});
  return components;
}

Expected<std::vector<EncodedComponent>>
TensorEncoding::encodeWeighted(ArrayRef<int64_t> shape, ArrayRef<float> values,
                               ArrayRef<float> weights) const {
  Expected<std::vector<ComponentType>> types = getComponents(shape);
  if (!types)
    return types.takeError();
  int64_t elements = countElements(shape).value_or(-1);
  if (elements != int64_t(values.size()) || elements != int64_t(weights.size()))
    return createStringError("a tensor of shape " + formatShape(shape) + " does not have " +
                             Twine(values.size()) + " values and " + Twine(weights.size()) +
                             " weights");
  auto quantized = attribute ? dyn_cast<QuantizedAttr>(mlir::Attribute(getAttribute(attribute)))
                             : QuantizedAttr();
  if (!quantized || !quantized.getReferenceTerm().levels)
    return createStringError("weights of elements are for learned levels, as those of "
                             "'#lowbit.quantized<learned<3, f16 per axis 0>>'");
  if (quantized.hasGivenScales())
    return createStringError("levels are learned with scales that an encode chooses, not with the "
                             "rule 'given'");
  numerics::Quantized term = quantized.getReferenceTerm();
  numerics::Shape extents(shape.begin(), shape.end());
  if (std::optional<std::string> problem = numerics::checkEncode(term, extents))
    return createStringError(*problem);
  return toComponents(*types,
                      numerics::encodeWeighted(term, extents, values.data(), weights.data()));
}

Expected<std::pair<std::vector<EncodedComponent>, double>>
TensorEncoding::encodeWithFeedback(ArrayRef<int64_t> shape, ArrayRef<float> values,
                                   ArrayRef<double> moments, const FeedbackOptions &options) const {
  Expected<std::vector<ComponentType>> types = getComponents(shape);
  if (!types)
    return types.takeError();
  auto quantized = attribute ? dyn_cast<QuantizedAttr>(mlir::Attribute(getAttribute(attribute)))
                             : QuantizedAttr();
  if (!quantized)
    return createStringError(
        "errors are carried between the codes of one '#lowbit.quantized', not " +
        (attribute ? "of " + str() : std::string("between plain values")));
  Expected<FeedbackCodes> codes =
      lowbit::encodeWithFeedback(quantized.getReferenceTerm(), shape, values, moments, options);
  if (!codes)
    return codes.takeError();
  return std::make_pair(toComponents(*types, codes->components), codes->error);
}

Error TensorEncoding::verify(ArrayRef<int64_t> type, ArrayRef<int64_t> shape,
                             ArrayRef<Component> components) const {
  bool fits = type.size() == shape.size();
  for (auto [extent, given] : zip(type, shape))
    fits &= extent == -1 || extent == given;
  if (!fits)
    return createStringError("a tensor of shape " + formatShape(shape) + " is not one of " +
                             formatShape(type));
  if (!attribute)
    return Error::success();
  Expected<SmallVector<BufferRef>> buffers = findComponents(*this, type, components);
  if (!buffers)
    return buffers.takeError();
  EncodingAttrInterface encoding = getAttribute(attribute);
  return encoding.verifyComponents(cantFail(getEncodedType(encoding, type)), shape, *buffers);
}

Error TensorEncoding::decode(ArrayRef<int64_t> shape, ArrayRef<Component> components,
                             MutableArrayRef<float> values) const {
  Expected<SmallVector<BufferRef>> buffers = findComponents(*this, shape, components);
  if (!buffers)
    return buffers.takeError();
  if (countElements(shape) != int64_t(values.size()))
    return createStringError("a tensor of shape " + formatShape(shape) + " does not have " +
                             Twine(values.size()) + " values");
  if (attribute)
    return getAttribute(attribute).referenceDecode(shape, *buffers, values);
  if (!values.empty())
    memcpy(values.data(), buffers->front().bytes.data(), buffers->front().bytes.size());
  return Error::success();
}

Error TensorEncoding::decode(const Archive &archive, const TensorInfo &tensor,
                             MutableArrayRef<float> values) const {
  Expected<std::vector<Component>> components = archive.getComponents(tensor);
  if (!components)
    return components.takeError();
  if (Error error = decode(tensor.shape, *components, values))
    return createStringError(archive.getPath() + ": tensor '" + tensor.name +
                             "': " + toString(std::move(error)));
  return Error::success();
}
