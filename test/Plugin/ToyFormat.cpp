//===- ToyFormat.cpp - A third party's number format ----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `#toy.fp4e2m1`: the values of a 4-bit float with 2 exponent bits and 1 mantissa bit, as OCP's MX
// has them. Its table of levels is all that it says; a code is the rank of its level. Use:
// `#lowbit.quantized<#toy.fp4e2m1, scale = f16 per [1, 32]>`.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"

using namespace mlir;

namespace toy {
struct Fp4Attr : Attribute::AttrBase<Fp4Attr, Attribute, AttributeStorage,
                                     lowbit::FormatAttrInterface::Trait> {
  using Base::Base;
  static constexpr StringLiteral name = "toy.fp4e2m1";

  lowbit::numerics::Format getReference() const {
    return lowbit::numerics::Format::codebook(
        {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6});
  }
};

struct ToyDialect : Dialect {
  explicit ToyDialect(MLIRContext *context) : Dialect("toy", context, TypeID::get<ToyDialect>()) {
    addAttributes<Fp4Attr>();
  }
  static StringRef getDialectNamespace() { return "toy"; }

  Attribute parseAttribute(DialectAsmParser &parser, Type) const override {
    return parser.parseKeyword("fp4e2m1") ? Attribute() : Fp4Attr::get(getContext());
  }
  void printAttribute(Attribute, DialectAsmPrinter &printer) const override {
    printer << "fp4e2m1";
  }
};
} // namespace toy

extern "C" LLVM_ATTRIBUTE_WEAK DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "toy", "1",
          [](DialectRegistry *registry) { registry->insert<toy::ToyDialect>(); }};
}
