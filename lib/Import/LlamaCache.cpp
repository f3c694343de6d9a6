//===- LlamaCache.cpp - What keys and values are stored as ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Archive/JSONText.h"
#include "LlamaModel.h"

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/Diagnostics.h"

using namespace llvm;
using namespace mlir;
using namespace lowbit;

/// Positions are written one by one, and it is by the components that a program's caller knows
/// their number.
static bool isByPosition(EncodingAttrInterface encoding, RankedTensorType type) {
  for (EncodingComponent &component : encoding.getComponents(type)) {
    auto tensor = dyn_cast<RankedTensorType>(component.type);
    if (component.role != ComponentRole::Payload || !tensor || tensor.getRank() != 3 ||
        tensor.getDimSize(1) != type.getDimSize(1))
      return false;
  }
  return encoding.getTileMultiples(type, TileUse::Encode)[1] == 1 &&
         encoding.getTileMultiples(type, TileUse::Decode)[1] == 1;
}

/// `where` begins errors.
static Expected<RankedTensorType> makeCacheType(StringRef text, const std::string &where,
                                                RankedTensorType plain) {
  if (text == "f32")
    return plain;
  MLIRContext *context = plain.getContext();
  std::string given = text.str();
  if (text == "int8" || text == "int4")
    given = "int<" + text.take_back().str() + ">, scale = f16 per [1, 1, 32]";
  std::string complaint;
  ScopedDiagnosticHandler collect(context, [&](Diagnostic &diagnostic) {
    complaint += (complaint.empty() ? ": " : "; ") + diagnostic.str();
    return success();
  });
  auto refuse = [&](const Twine &why) {
    return createStringError(where + "a key-value cache of '" + text + "'" + why +
                             "; give f32, f16, int8, int4, or an encoding such as 'int<8>, scale = "
                             "f16 per [1, 1, " +
                             Twine(plain.getDimSize(2)) + "]'");
  };
  EncodingAttrInterface encoding = parseEncoding("#lowbit.quantized<" + given + ">", context);
  if (!encoding)
    return refuse(complaint.empty() ? ": this is no encoding" : complaint);
  RankedTensorType type = plain.cloneWithEncoding(encoding);
  if (failed(verifyEncodedType(type, [&] { return emitError(UnknownLoc::get(context)); })))
    return refuse(complaint);
  if (!isByPosition(encoding, type))
    return refuse(": its codes and scales do not belong to single positions, which are written one "
                  "after the other");
  return type;
}

Expected<CacheEncodings> CacheEncodings::parse(StringRef text, int64_t layers) {
  CacheEncodings encodings;
  if (!text.ltrim().starts_with("{")) {
    encodings.byName[""] = text.str();
    return encodings;
  }
  JSONText json;
  if (std::optional<JSONProblem> problem = parseJSON(text, json))
    return createStringError("the key-value caches are no JSON object: " + problem->what);
  for (const auto &[key, type] : *json.value.getAsObject()) {
    StringRef name = key, number = name.drop_front(std::min<size_t>(name.size(), 2));
    uint64_t layer = 0;
    bool isLayer =
        !number.getAsInteger(10, layer) && layer < uint64_t(layers) && number == Twine(layer).str();
    if (name != "k" && name != "v" &&
        !(isLayer && (name.starts_with("k_") || name.starts_with("v_"))))
      return createStringError("there is no key-value cache '" + name +
                               "': they are k_0, v_0 to k_" + Twine(layers - 1) + ", v_" +
                               Twine(layers - 1) + "; k and v stand for all that are not named");
    std::optional<StringRef> string = type.getAsString();
    if (!string)
      return createStringError("the type of the key-value cache '" + name +
                               "' is no text: give \"" + name + "\": \"int8\"");
    encodings.byName[name] = string->str();
  }
  return encodings;
}

Expected<RankedTensorType> CacheEncodings::find(StringRef letter, int64_t layer,
                                                RankedTensorType plain) const {
  std::string name = (letter + "_" + Twine(layer)).str();
  for (StringRef key : {StringRef(name), letter, StringRef("")})
    if (auto found = byName.find(key); found != byName.end())
      return makeCacheType(found->second, key.empty() ? "" : "'" + name + "': ", plain);
  return createStringError("nothing is said of the key-value cache '" + name +
                           "': give its type, or that of all others by '" + letter + "'");
}
