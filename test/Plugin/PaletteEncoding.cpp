//===- PaletteEncoding.cpp - A third party's encoding ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//
// `#palette.colors16`: each element is one of 16 values of a table that is stored beside the codes.
// A codebook's levels are part of the type, these are data: no `quantized` term says it. The codes
// are stored as another encoding stores them.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
using namespace mlir;
using namespace lowbit;
namespace palette {
struct PaletteAttr
    : Attribute::AttrBase<PaletteAttr, Attribute, AttributeStorage, EncodingAttrInterface::Trait,
                          VerifiableTensorEncoding::Trait> {
  using Base::Base;
  using Emit = function_ref<InFlightDiagnostic()>;
  static constexpr StringLiteral name = "palette.colors16";
  /// The numbers of the colours, as an encoding of their own.
  QuantizedAttr codes() const {
    return QuantizedAttr::get(getContext(), UIntFormatAttr::get(getContext(), 4), {}, {},
                              /*additive=*/false, EncodeRuleAttr(),
                              PlanesLayoutAttr::get(getContext()));
  }
  LogicalResult verifyTerm(ArrayRef<int64_t> shape, Type type, Emit emitError) const {
    return type.isF32() ? codes().verifyTerm(shape, type, emitError)
                        : emitError() << "a palette has f32 colours, not " << type;
  }
  LogicalResult verifyEncoding(ArrayRef<int64_t> shape, Type type, Emit emitError) const {
    return type ? verifyTerm(shape, type, emitError) : failure();
  }
  SmallVector<EncodingComponent> getComponents(RankedTensorType type) const {
    SmallVector<EncodingComponent> all = codes().getComponents(type);
    all.push_back(
        {"palette", RankedTensorType::get(16, type.getElementType()), ComponentRole::Structure});
    return all;
  }
  SmallVector<OpFoldResult> getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                                       ValueRange parts) const {
    return codes().getExtents(b, loc, type, parts.drop_back());
  }
  SmallVector<int64_t> getTileMultiples(RankedTensorType type, TileUse use) const {
    return codes().getTileMultiples(type, use);
  }
  Box getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type, ValueRange parts,
                         unsigned i, const Box &region) const {
    if (i + 1 == parts.size())
      return {{b.getIndexAttr(0)}, {b.getIndexAttr(16)}};
    return codes().getComponentRegion(b, loc, type, parts.drop_back(), i, region);
  }
  Value buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type, ValueRange parts,
                        const Box &region) const {
    Value numbers = codes().buildDecodeTile(b, loc, type, parts.drop_back(), region);
    return TileBuilder(b, loc).elementwise(
        numbers, b.getF32Type(), [&](TileBuilder &t, ValueRange a) {
          Value number = arith::FPToUIOp::create(t.b, loc, t.b.getI32Type(), a[0]);
          Value index = arith::IndexCastUIOp::create(t.b, loc, t.b.getIndexType(), number);
          return SmallVector<Value>{tensor::ExtractOp::create(t.b, loc, parts.back(), index)};
        });
  }
  llvm::Error referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> parts,
                              MutableArrayRef<float> values) const {
    if (parts.empty() || parts.back().bytes.size() != 16 * sizeof(float))
      return llvm::createStringError("a palette has 16 colours");
    if (llvm::Error error = codes().referenceDecode(shape, parts.drop_back(), values))
      return error;
    for (float &v : values)
      memcpy(&v, &parts.back().bytes[size_t(v) * sizeof v], sizeof v);
    return llvm::Error::success();
  }
  /// Colours at equal distances from the smallest to the largest value; the nearest one is chosen.
  llvm::Expected<std::vector<Buffer>> referenceEncode(ArrayRef<int64_t> shape,
                                                      ArrayRef<float> values) const {
    float low = *llvm::min_element(values), high = *llvm::max_element(values),
          step = (high - low) / 15;
    std::vector<float> numbers;
    for (float v : values)
      numbers.push_back(step ? (v - low) / step : 0);
    llvm::Expected<std::vector<Buffer>> parts = codes().referenceEncode(shape, numbers);
    if (!parts)
      return parts;
    parts->push_back({{16}, std::vector<uint8_t>(16 * sizeof low)});
    for (int i = 0; i < 16; ++i, low += step)
      memcpy(&parts->back().bytes[i * sizeof low], &low, sizeof low);
    return parts;
  }
};

struct PaletteDialect : Dialect {
  explicit PaletteDialect(MLIRContext *c) : Dialect("palette", c, TypeID::get<PaletteDialect>()) {
    c->loadDialect<LowbitDialect>();
    addAttributes<PaletteAttr>();
  }
  static StringRef getDialectNamespace() { return "palette"; }
  Attribute parseAttribute(DialectAsmParser &parser, Type) const override {
    return parser.parseKeyword("colors16") ? Attribute() : PaletteAttr::get(getContext());
  }
  void printAttribute(Attribute, DialectAsmPrinter &printer) const override {
    printer << "colors16";
  }
};
} // namespace palette

extern "C" LLVM_ATTRIBUTE_WEAK DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "palette", "1",
          [](DialectRegistry *registry) { registry->insert<palette::PaletteDialect>(); }};
}
