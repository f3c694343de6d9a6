//===- Prefix.cpp - The high bits of codes are a tensor -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nested precision ("matryoshka" quantization): where the high planes of a tensor's codes hold all
// of a prefix, they are, with the tensor's scale, a tensor of that format.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Leaves.h"
#include "lowbit/IR/LowbitAttrs.h"

using namespace mlir;
using namespace lowbit;

LogicalResult PrefixFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits,
                                       Attribute parent) {
  auto format = dyn_cast_or_null<FormatAttrInterface>(parent);
  if (!format || format.getValuesPerCode() != 1)
    return emitError() << "a prefix is that of a scalar number format, not of " << parent;
  if (auto message = numerics::Format::checkPrefix(bits, format.getReference()))
    return emitError() << *message;
  return success();
}

numerics::Format PrefixFormatAttr::getReference() const {
  return numerics::Format::prefix(getBits(), cast<FormatAttrInterface>(getParent()).getReference());
}

QuantizedAttr lowbit::getPrefix(QuantizedAttr term, unsigned bits) {
  auto layout = dyn_cast<PlanesLayoutAttr>(term.getLayout());
  numerics::Format format = term.getCodeFormat().getReference();
  bool hasIntegerZero = term.getZero() && !term.getAdditive();
  if (!layout || hasIntegerZero || numerics::Format::checkPrefix(bits, format))
    return {};
  SmallVector<unsigned> widths;
  for (numerics::Plane plane : layout.getPlanes(format))
    if (plane.shift >= format.bits() - bits)
      widths.push_back(plane.width);
  if (std::accumulate(widths.begin(), widths.end(), 0u) != bits)
    return {};
  MLIRContext *context = term.getContext();
  auto codes = PrefixFormatAttr::get(context, bits, term.getFormat());
  auto plain = PlanesLayoutAttr::get(context);
  bool isPlain =
      llvm::equal(widths, llvm::map_range(plain.getPlanes(codes.getReference()),
                                          [](numerics::Plane plane) { return plane.width; }));
  return QuantizedAttr::get(context, codes, term.getScale(), term.getZero(), term.getAdditive(),
                            EncodeRuleAttr(),
                            isPlain ? plain : PlanesLayoutAttr::get(context, widths));
}

std::optional<unsigned> lowbit::getDroppedPlanes(QuantizedAttr whole, QuantizedAttr prefix) {
  auto format = prefix ? dyn_cast<PrefixFormatAttr>(prefix.getFormat()) : PrefixFormatAttr();
  QuantizedAttr expected = whole && format ? getPrefix(whole, format.getBits()) : QuantizedAttr();
  if (!isSameTerm(expected, prefix))
    return std::nullopt;
  auto planesOf = [](QuantizedAttr term) {
    return cast<PlanesLayoutAttr>(term.getLayout())
        .getPlanes(term.getCodeFormat().getReference())
        .size();
  };
  return planesOf(whole) - planesOf(expected);
}
