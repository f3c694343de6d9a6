//===- Combinators.cpp - What combinators share --------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

RankedTensorType lowbit::termType(Attribute term, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, Float32Type::get(term.getContext()), term);
}

void lowbit::appendComponents(SmallVectorImpl<EncodingComponent> &all, const Twine &prefix,
                              RankedTensorType child) {
  for (EncodingComponent &c : getEncoding(child).getComponents(child))
    all.push_back({(prefix + "." + c.name).str(), c.type, c.role});
}

unsigned lowbit::componentCount(RankedTensorType type) {
  return getEncoding(type).getComponents(type).size();
}

Box lowbit::wholeComponent(OpBuilder &b, Location loc, Value component) {
  Ofrs sizes = tensor::getMixedSizes(b, loc, component);
  return {Ofrs(sizes.size(), b.getIndexAttr(0)), sizes};
}

Box lowbit::wholeBox(OpBuilder &b, Location loc, RankedTensorType type, ValueRange components) {
  Ofrs sizes = getEncoding(type).getExtents(b, loc, type, components);
  return {Ofrs(sizes.size(), b.getIndexAttr(0)), sizes};
}

Value lowbit::decodeWhole(OpBuilder &b, Location loc, RankedTensorType type,
                          ValueRange components) {
  return DecodeRegionOp::create(b, loc, type, components, wholeBox(b, loc, type, components));
}

FailureOr<SmallVector<Value>> lowbit::encodeWhole(OpBuilder &b, Location loc, RankedTensorType type,
                                                  Value source, ValueRange old) {
  EncodingAttrInterface encoding = getEncoding(type);
  if (!encoding.isEncodedInTiles(type))
    return encoding.buildEncode(b, loc, type, source, old);
  auto statistics = encoding.buildStatistics(b, loc, type, source, old);
  if (failed(statistics))
    return failure();
  SmallVector<EncodingComponent> components = encoding.getComponents(type);
  SmallVector<Value> payload, inputs, result;
  unsigned nextStatistic = 0, nextPayload = 0;
  for (auto [component, value] : llvm::zip(components, old)) {
    if (component.role == ComponentRole::Payload)
      payload.push_back(value);
    else
      inputs.push_back(component.role == ComponentRole::Statistic ? (*statistics)[nextStatistic++]
                                                                  : value);
  }
  auto encode =
      EncodeRegionOp::create(b, loc, type, source, payload, inputs, wholeBox(b, loc, type, old));
  nextStatistic = 0;
  for (auto [component, value] : llvm::zip(components, old)) {
    if (component.role == ComponentRole::Payload)
      result.push_back(encode.getResult(nextPayload++));
    else if (component.role == ComponentRole::Structure)
      result.push_back(value);
    else // Old statistics may be read until the last tile is encoded: only now are they
         // overwritten.
      result.push_back(bufferization::MaterializeInDestinationOp::create(
                           b, loc, (*statistics)[nextStatistic++], value)
                           .getResult());
  }
  return result;
}

Value lowbit::extractIndex(TileBuilder &t, Value tensor, Value at) {
  Value v = tensor::ExtractOp::create(t.b, t.loc, tensor, at);
  return arith::IndexCastOp::create(t.b, t.loc, t.b.getIndexType(), v);
}

Value lowbit::forEach(TileBuilder &t, Value begin, Value end, Value initial,
                      function_ref<Value(TileBuilder &, Value i, Value carried)> body) {
  auto loop = scf::ForOp::create(t.b, t.loc, begin, end, t.constantIndex(1), initial,
                                 [&](OpBuilder &b, Location loc, Value i, ValueRange carried) {
                                   TileBuilder t(b, loc);
                                   scf::YieldOp::create(b, loc, body(t, i, carried[0]));
                                 });
  return loop.getResult(0);
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error lowbit::decodeFront(Attribute term, ArrayRef<int64_t> shape,
                                ArrayRef<BufferRef> &components, MutableArrayRef<float> values) {
  size_t count = componentCount(termType(term, shape));
  if (count > components.size())
    return llvm::createStringError("components are missing");
  llvm::Error error = cast<EncodingAttrInterface>(term).referenceDecode(
      shape, components.take_front(count), values);
  components = components.drop_front(count);
  return error;
}

llvm::Error lowbit::verifyFront(RankedTensorType type, ArrayRef<int64_t> shape,
                                ArrayRef<BufferRef> &components) {
  size_t count = componentCount(type);
  if (count > components.size())
    return llvm::createStringError("components are missing");
  llvm::Error error = getEncoding(type).verifyComponents(type, shape, components.take_front(count));
  components = components.drop_front(count);
  return error;
}

llvm::Error lowbit::decodeBuffers(Attribute term, ArrayRef<int64_t> shape, ArrayRef<Buffer> buffers,
                                  MutableArrayRef<float> values) {
  SmallVector<BufferRef> refs;
  for (const Buffer &buffer : buffers)
    refs.push_back({buffer.shape, buffer.bytes});
  return cast<EncodingAttrInterface>(term).referenceDecode(shape, refs, values);
}

llvm::Error lowbit::appendEncoded(std::vector<Buffer> &all, Attribute term, ArrayRef<int64_t> shape,
                                  ArrayRef<float> values) {
  auto buffers = cast<EncodingAttrInterface>(term).referenceEncode(shape, values);
  if (!buffers)
    return buffers.takeError();
  std::move(buffers->begin(), buffers->end(), std::back_inserter(all));
  return llvm::Error::success();
}

llvm::Error lowbit::verifyExtent(const BufferRef &component, int64_t extent) {
  int64_t stored = -1;
  if (component.bytes.size() == sizeof(stored))
    memcpy(&stored, component.bytes.data(), sizeof(stored));
  if (stored == extent)
    return llvm::Error::success();
  return llvm::createStringError("the last axis has " + std::to_string(extent) +
                                 " elements, but its stored extent is " + std::to_string(stored));
}

Buffer lowbit::bufferOf(ArrayRef<int32_t> values) {
  auto bytes = reinterpret_cast<const uint8_t *>(values.data());
  return {{int64_t(values.size())}, std::vector<uint8_t>(bytes, bytes + values.size() * 4)};
}

llvm::Expected<std::vector<int32_t>> lowbit::integersOfFront(ArrayRef<BufferRef> &components,
                                                             StringRef name, int64_t count) {
  if (components.empty())
    return llvm::createStringError("component '" + name + "' is missing");
  ArrayRef<uint8_t> bytes = components.front().bytes;
  if (bytes.size() % 4 != 0 || (count >= 0 && int64_t(bytes.size()) != count * 4))
    return llvm::createStringError("component '" + name + "' has " + llvm::Twine(bytes.size()) +
                                   " bytes, not " + llvm::Twine(count) + " 32-bit integers");
  std::vector<int32_t> values(bytes.size() / 4);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t *>(values.data()));
  components = components.drop_front();
  return values;
}
