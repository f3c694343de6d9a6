//===- Components.cpp - Encoded values become their components ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ComponentSignatures.h"
#include "EmptyComponents.h"
#include "lowbit/IR/Leaves.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/Transforms/StructuralTypeConversions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"

namespace lowbit {
#define GEN_PASS_DEF_COMPONENTS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {
struct DecodePattern : OpConversionPattern<DecodeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(DecodeOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    auto type = cast<RankedTensorType>(op.getSource().getType());
    ValueRange components = adaptor.getSource();
    Value tile = DecodeRegionOp::create(rw, op.getLoc(), type, components,
                                        wholeBox(rw, op.getLoc(), type, components));
    if (tile.getType() != op.getType())
      tile = tensor::CastOp::create(rw, op.getLoc(), op.getType(), tile);
    rw.replaceOp(op, tile);
    return success();
  }
};

struct EncodePattern : OpConversionPattern<EncodeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(EncodeOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    auto result = encodeWhole(rw, op.getLoc(), cast<RankedTensorType>(op.getType()),
                              adaptor.getSource()[0], adaptor.getDest());
    if (failed(result))
      return op.emitError("this encoding cannot be encoded");
    rw.replaceOpWithMultiple(op, {*result});
    return success();
  }
};

struct InsertPattern : OpConversionPattern<InsertOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(InsertOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    auto type = cast<RankedTensorType>(op.getType());
    EncodingAttrInterface encoding = getEncoding(type);
    TileBuilder t(rw, op.getLoc());
    Value source = adaptor.getSource()[0];
    ValueRange components = adaptor.getDest();
    Box region{{}, tensor::getMixedSizes(rw, op.getLoc(), source)};
    auto dynamic = adaptor.getOffsets().begin();
    for (int64_t offset : op.getStaticOffsets())
      region.offsets.push_back(ShapedType::isDynamic(offset) ? OpFoldResult((*dynamic++)[0])
                                                             : rw.getIndexAttr(offset));
    SmallVector<Value> tiles, inputs, results(components);
    SmallVector<std::pair<unsigned, Box>> places;
    for (auto [i, component] : llvm::enumerate(encoding.getComponents(type))) {
      if (component.role != ComponentRole::Payload) {
        inputs.push_back(components[i]);
        continue;
      }
      Box place = encoding.getComponentRegion(rw, op.getLoc(), type, components, i, region);
      tiles.push_back(t.slice(components[i], place));
      places.push_back({i, place});
    }
    auto encoded = EncodeRegionOp::create(rw, op.getLoc(), type, source, tiles, inputs, region);
    for (auto [place, tile] : llvm::zip_equal(places, encoded.getResults()))
      results[place.first] = t.insert(tile, components[place.first], place.second);
    rw.replaceOpWithMultiple(op, {results});
    return success();
  }
};

/// Moves the codes of `source` into the layout of `target`, a group of rows after the other, in
/// parallel; none if a component does not belong to rows, or the groups are not all of one size.
static std::optional<SmallVector<Value>> moveInGroups(OpBuilder &b, Location loc,
                                                      QuantizedAttr source, RankedTensorType from,
                                                      ValueRange components, QuantizedAttr target,
                                                      RankedTensorType to, ValueRange storage) {
  if (!to.hasStaticShape() || to.getNumElements() == 0)
    return std::nullopt;
  int64_t group = joinMultiples(source.getTileMultiples(from, TileUse::Decode)[0],
                                target.getTileMultiples(to, TileUse::Decode)[0]);
  int64_t rows = to.getDimSize(0);
  if (group == kWhole || rows % group != 0 || rows == group)
    return std::nullopt;
  auto regionAt = [&](OpFoldResult row) {
    SmallVector<OpFoldResult> offsets(to.getRank(), b.getIndexAttr(0)),
        sizes = getAsIndexOpFoldResult(b.getContext(), to.getShape());
    offsets[0] = row;
    sizes[0] = b.getIndexAttr(group);
    return Box{offsets, sizes};
  };
  for (auto [i, component] : llvm::enumerate(target.getComponents(to))) {
    Box part = target.getComponentRegion(b, loc, to, {}, i, regionAt(b.getIndexAttr(0)));
    if (component.role != ComponentRole::Payload ||
        isConstantIntValue(part.sizes[0], cast<RankedTensorType>(component.type).getDimSize(0)))
      return std::nullopt;
  }
  bool packs = true;
  auto body = [&](OpBuilder &b, Location loc, ValueRange arguments) {
    TileBuilder t(b, loc);
    Box region = regionAt(arguments[0]);
    SmallVector<Box> places;
    SmallVector<Value> tiles;
    for (auto [i, whole] : llvm::enumerate(arguments.drop_front())) {
      places.push_back(target.getComponentRegion(b, loc, to, {}, i, region));
      tiles.push_back(t.slice(whole, places.back()));
    }
    Fields fields = source.getStorage().buildUnpack(b, loc, source, from, components, region);
    auto packed = target.getStorage().buildPack(b, loc, target, to, fields, tiles);
    packs = succeeded(packed);
    auto yield = scf::InParallelOp::create(b, loc);
    b.setInsertionPointToStart(yield.getBody());
    for (auto [i, place] : llvm::enumerate(places))
      tensor::ParallelInsertSliceOp::create(
          b, loc, packs ? (*packed)[i] : tiles[i], arguments[1 + i], place.offsets, place.sizes,
          SmallVector<OpFoldResult>(place.sizes.size(), b.getIndexAttr(1)));
  };
  SmallVector<OpFoldResult> zero{b.getIndexAttr(0)}, end{b.getIndexAttr(rows)},
      step{b.getIndexAttr(group)};
  auto loop = scf::ForallOp::create(b, loc, zero, end, step, storage, std::nullopt, body);
  return packs ? std::optional(SmallVector<Value>(loop.getResults())) : std::nullopt;
}

/// Between layouts of one term the bytes move, of a prefix of its codes they stay; otherwise the
/// values are rounded again.
struct ConvertPattern : OpConversionPattern<ConvertOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(ConvertOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    Location loc = op.getLoc();
    auto from = cast<RankedTensorType>(op.getSource().getType()),
         to = cast<RankedTensorType>(op.getType());
    ValueRange components = adaptor.getSource();
    auto source = dyn_cast<QuantizedAttr>(from.getEncoding()),
         target = dyn_cast<QuantizedAttr>(to.getEncoding());
    if (std::optional<unsigned> dropped = getDroppedPlanes(source, target)) {
      // Its own components in order; at the end `whole` may have an extent besides.
      source = getPrefix(source, cast<PrefixFormatAttr>(target.getFormat()).getBits());
      from = from.cloneWithEncoding(source);
      components = components.slice(*dropped, source.getComponents(from).size());
    }
    if (!source && from != to && isSameTerm(from.getEncoding(), to.getEncoding()))
      return op.emitError("a conversion between layouts of terms inside of others is not "
                          "implemented, and would round if it decoded and encoded");
    if (isSameTerm(source, target) && source.getLayout() == target.getLayout()) {
      rw.replaceOpWithMultiple(op, {llvm::to_vector(components)});
      return success();
    }
    Box whole = wholeBox(rw, loc, from, components);
    auto storage = emptyComponents(rw, loc, to, whole.sizes);
    if (failed(storage))
      return op.emitError("a conversion to an encoding whose structure comes from data needs "
                          "lowbit.encode into storage");
    if (isSameTerm(source, target)) {
      if (auto moved = moveInGroups(rw, loc, source, from, components, target, to, *storage)) {
        rw.replaceOpWithMultiple(op, {*moved});
        return success();
      }
      Fields fields = source.getStorage().buildUnpack(rw, loc, source, from, components, whole);
      auto packed = target.getStorage().buildPack(rw, loc, target, to, fields, *storage);
      if (failed(packed))
        return op.emitError("this layout can only be read");
      for (auto [i, value] : llvm::enumerate(*packed))
        (*storage)[i] = value;
      rw.replaceOpWithMultiple(op, {*storage});
      return success();
    }
    Value values = DecodeRegionOp::create(rw, loc, from, components, whole);
    auto result = encodeWhole(rw, loc, to, values, *storage);
    if (failed(result))
      return op.emitError("this encoding cannot be encoded");
    rw.replaceOpWithMultiple(op, {*result});
    return success();
  }
};

struct AssemblePattern : OpConversionPattern<AssembleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(AssembleOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rw) const override {
    rw.replaceOpWithMultiple(op, {llvm::to_vector(op.getComponents())});
    return success();
  }
};

struct DisassemblePattern : OpConversionPattern<DisassembleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(DisassembleOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    rw.replaceOp(op, adaptor.getSource());
    return success();
  }
};

struct ParameterPattern : OpConversionPattern<ParameterOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(ParameterOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rw) const override {
    auto type = cast<RankedTensorType>(op.getType());
    SmallVector<EncodingComponent> components{{"values", type, ComponentRole::Structure}};
    if (EncodingAttrInterface encoding = getEncoding(type))
      components = encoding.getComponents(type);
    // For the loader: equal components can mean different values.
    StringAttr text;
    DenseI64ArrayAttr shape;
    auto stored = op.getStored() ? cast<RankedTensorType>(*op.getStored()) : type;
    if (EncodingAttrInterface encoding = getEncoding(stored)) {
      std::string printed;
      llvm::raw_string_ostream(printed) << encoding;
      text = rw.getStringAttr(printed);
      shape = rw.getDenseI64ArrayAttr(type.getShape());
    }
    // Of what is packed only leaves that are packed differ from what is stored.
    llvm::BitVector isPacked(components.size());
    if (op.getPack())
      for (auto [before, after] : llvm::zip_equal(getLeaves(stored), getLeaves(type)))
        if (before.type != after.type)
          isPacked.set(after.first, after.first + after.count);
    int64_t outputs = 0;
    SmallVector<Value> values;
    for (auto [i, component] : llvm::enumerate(components)) {
      auto tensor = dyn_cast<RankedTensorType>(component.type);
      Type held = tensor ? Type(MemRefType::get(tensor.getShape(), tensor.getElementType()))
                         : component.type;
      // By name: the entry's body will be another function than its wrapper.
      StringAttr pack = isPacked[i] ? rw.getStringAttr(*op.getPack()) : StringAttr();
      IntegerAttr output = pack ? rw.getI64IntegerAttr(outputs++) : IntegerAttr();
      Value buffer =
          ParameterBufferOp::create(rw, op.getLoc(), held, op.getKeyAttr(),
                                    rw.getStringAttr(component.name), text, shape, pack, output);
      if (!tensor) {
        values.push_back(buffer);
        continue;
      }
      values.push_back(
          bufferization::ToTensorOp::create(rw, op.getLoc(), tensor, buffer, /*restrict=*/true));
    }
    rw.replaceOpWithMultiple(op, {values});
    return success();
  }
};

struct EmptyPattern : OpConversionPattern<tensor::EmptyOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(tensor::EmptyOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rw) const override {
    if (!getEncoding(op.getType()))
      return failure();
    auto components = emptyComponents(rw, op.getLoc(), op.getType(), op.getMixedSizes());
    if (failed(components))
      return op.emitError("storage of an encoding whose structure comes from data cannot be empty");
    rw.replaceOpWithMultiple(op, {*components});
    return success();
  }
};

struct DimPattern : OpConversionPattern<tensor::DimOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(tensor::DimOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    auto type = dyn_cast<RankedTensorType>(op.getSource().getType());
    std::optional<int64_t> axis = op.getConstantIndex();
    if (!type || !getEncoding(type) || !axis)
      return failure();
    SmallVector<OpFoldResult> extents =
        getEncoding(type).getExtents(rw, op.getLoc(), type, adaptor.getSource());
    rw.replaceOp(op, TileBuilder(rw, op.getLoc()).value(extents[*axis]));
    return success();
  }
};

struct SelectPattern : OpConversionPattern<arith::SelectOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(arith::SelectOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rw) const override {
    if (!getEncoding(op.getType()))
      return failure();
    SmallVector<Value> components;
    for (auto [a, b] : llvm::zip(adaptor.getTrueValue(), adaptor.getFalseValue()))
      components.push_back(
          arith::SelectOp::create(rw, op.getLoc(), adaptor.getCondition()[0], a, b));
    rw.replaceOpWithMultiple(op, {components});
    return success();
  }
};
} // namespace

void lowbit::populateComponentsPatterns(TypeConverter &converter, RewritePatternSet &patterns,
                                        ConversionTarget &target) {
  converter.addConversion([](Type type) { return type; });
  converter.addConversion(
      [](RankedTensorType type, SmallVectorImpl<Type> &out) -> std::optional<LogicalResult> {
        EncodingAttrInterface encoding = getEncoding(type);
        if (!encoding)
          return std::nullopt;
        for (EncodingComponent &component : encoding.getComponents(type))
          out.push_back(component.type);
        return success();
      });
  scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
  cf::populateCFStructuralTypeConversionsAndLegality(converter, patterns, target);
  populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns, converter);
  populateCallOpTypeConversionPattern(patterns, converter);
  populateReturnOpTypeConversionPattern(patterns, converter);
  patterns.add<AssemblePattern, ConvertPattern, DecodePattern, DimPattern, DisassemblePattern,
               EmptyPattern, EncodePattern, InsertPattern, ParameterPattern, SelectPattern>(
      converter, patterns.getContext());
  target.addIllegalOp<AssembleOp, ConvertOp, DecodeOp, DisassembleOp, EncodeOp, InsertOp,
                      ParameterOp>();
  target.addDynamicallyLegalOp<func::FuncOp>([&](func::FuncOp function) {
    return converter.isSignatureLegal(function.getFunctionType());
  });
  target.markUnknownOpDynamicallyLegal([&](Operation *op) { return converter.isLegal(op); });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ComponentsPass : lowbit::impl::ComponentsBase<ComponentsPass> {
  void runOnOperation() override {
    WalkResult expanded = getOperation().walk(
        [](func::FuncOp function) { return WalkResult(expandUpdates(function)); });
    if (expanded.wasInterrupted())
      return signalPassFailure();
    SmallVector<std::pair<func::FuncOp, SmallVector<DictionaryAttr>>> attributes;
    getOperation().walk([&](func::FuncOp function) {
      attributes.emplace_back(function, expandArgumentAttributes(function));
    });
    TypeConverter converter;
    RewritePatternSet patterns(&getContext());
    ConversionTarget target(getContext());
    populateComponentsPatterns(converter, patterns, target);
    if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
      return signalPassFailure();
    for (auto &[function, all] : attributes)
      function.setAllArgAttrs(all);
  }
};
} // namespace
