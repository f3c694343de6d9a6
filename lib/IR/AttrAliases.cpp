//===- AttrAliases.cpp - Short names for encodings in printed IR ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lowbit;

/// A quantized term is named by the format of its codes. MLIR wants no digit at the end of a name:
/// it numbers the attributes that share one.
static void printName(QuantizedAttr term, raw_ostream &os) {
  TypeSwitch<Attribute>(term.getFormat())
      .Case([&](IntFormatAttr format) {
        os << "int" << format.getBits() << (format.getNarrow() ? "_narrow" : "");
      })
      .Case([&](UIntFormatAttr format) { os << "uint" << format.getBits(); })
      .Case([&](FloatFormatAttr format) { os << format.getType(); })
      .Case([&](MinifloatFormatAttr format) {
        numerics::Minifloat parameters = format.getParameters();
        std::string text = parameters.str();
        if (numerics::Minifloat::named(text))
          os << text;
        else
          os << "fp" << parameters.exponentBits << '_' << parameters.mantissaBits;
      })
      .Case([&](PrefixFormatAttr format) { os << "prefix" << format.getBits(); })
      .Case([&](LearnedFormatAttr format) { os << "learned" << format.getBits(); })
      .Case([&](CodebookFormatAttr format) {
        if (format.getName().empty())
          os << "codebook";
        else
          os << format.getName();
        // The bits of a family, where they are its first argument.
        if (!format.getArguments().empty())
          os << '_' << static_cast<int64_t>(format.getArguments()[0]);
      })
      .Default([&](Attribute) { os << "quantized"; });
  os << "_codes";
}

namespace {
struct EncodingAliases : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attribute, raw_ostream &os) const override {
    if (auto term = dyn_cast<QuantizedAttr>(attribute))
      printName(term, os);
    else if (isa<SumAttr, SparseAttr, NOfMAttr, BlockSparseAttr, LowRankAttr, PartAttr,
                 OutlierColumnsAttr, PermutedAttr, FlattenedAttr, SplitAttr>(attribute))
      os << attribute.getAbstractAttribute().getName().split('.').second;
    else
      return AliasResult::NoAlias;
    return AliasResult::FinalAlias;
  }
};
} // namespace

void LowbitDialect::registerAliases() { addInterfaces<EncodingAliases>(); }
