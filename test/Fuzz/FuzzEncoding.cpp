//===- FuzzEncoding.cpp - The parser of encodings -------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckEncodedType.h"
#include "Require.h"
#include "Targets.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lowbit;

/// Attributes live as long as their context: one for all inputs would grow, one for each is slow.
static constexpr unsigned kInputsPerContext = 1000;

static MLIRContext &getContext() {
  static std::unique_ptr<MLIRContext> context;
  static unsigned uses = 0;
  if (uses++ % kInputsPerContext == 0) {
    context = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
    context->loadDialect<LowbitDialect>();
  }
  return *context;
}

template <typename T> static std::string print(T t) {
  std::string text;
  llvm::raw_string_ostream(text) << t;
  return text;
}

/// Ragged, prime, empty, single, too large to exist, partly unknown.
static constexpr int64_t d = ShapedType::kDynamic;
static const SmallVector<int64_t> shapes[] = {{8, 64},
                                              {6, 49},
                                              {1, 1},
                                              {0, 32},
                                              {13, 0},
                                              {d, 64},
                                              {8, d},
                                              {d, d},
                                              {64},
                                              {d},
                                              {7},
                                              {2, 3, 32},
                                              {},
                                              {130, 258},
                                              {3, d, 5},
                                              {(int64_t(1) << 59) + 1},
                                              {1 << 30, 1 << 30},
                                              {int64_t(1) << 55, 32},
                                              {0, int64_t(1) << 62}};

static void checkOnShapes(EncodingAttrInterface encoding, unsigned &diagnostics) {
  MLIRContext *context = encoding.getContext();
  for (const SmallVector<int64_t> &shape : shapes) {
    Location loc = UnknownLoc::get(context);
    auto emit = [&] { return emitError(loc); };
    unsigned before = diagnostics;
    auto type =
        RankedTensorType::getChecked(emit, shape, Float32Type::get(context), Attribute(encoding));
    require(bool(type) == (diagnostics == before), "a type is refused with a reason");
    require(diagnostics <= before + 1, "a type is refused once");
    if (!type)
      continue;
    checkEncodedType(type);
    require(parseType(print(type), context) == type, "a type survives printing");
  }
}

/// As parseEncoding does for attributes: MLIR's parser recurses.
static bool isTooDeep(StringRef text) {
  unsigned depth = 0;
  for (char c : text) {
    depth += StringRef("<([{").contains(c);
    depth -= depth && StringRef(">)]}").contains(c);
    if (depth > 128)
      return true;
  }
  return false;
}

bool lowbit::fuzzEncoding(llvm::ArrayRef<uint8_t> data) {
  MLIRContext &context = getContext();
  unsigned diagnostics = 0;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    require(!diagnostic.str().empty(), "a diagnostic says something");
    ++diagnostics;
  });
  StringRef text = llvm::toStringRef(data);

  if (text.starts_with("tensor<")) {
    if (isTooDeep(text))
      return false;
    auto type = dyn_cast_or_null<RankedTensorType>(parseType(text, &context));
    if (!type || !getEncoding(type))
      return false;
    checkEncodedType(type);
    require(parseType(print(type), &context) == type, "a type survives printing");
    return true;
  }

  EncodingAttrInterface encoding = parseEncoding(text, &context);
  require(bool(encoding) == (diagnostics == 0), "an encoding is refused with a reason");
  if (!encoding)
    return false;
  std::string printed = print(encoding);
  EncodingAttrInterface again = parseEncoding(printed, &context);
  require(again == encoding, "an encoding survives printing: " + printed);
  checkOnShapes(encoding, diagnostics);
  return true;
}
