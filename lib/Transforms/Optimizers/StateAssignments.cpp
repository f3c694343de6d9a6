//===- StateAssignments.cpp - Which state is stored in what ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Optimizers/StateAssignments.h"

#include "mlir/AsmParser/AsmParser.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lowbit;
using EmitError = function_ref<InFlightDiagnostic()>;

static FailureOr<llvm::GlobPattern> parsePattern(Attribute value, StringRef key,
                                                 EmitError emitError) {
  auto text = dyn_cast<StringAttr>(value);
  if (!text)
    return emitError() << "'" << key << "' of an assignment is a pattern in quotes, not " << value;
  llvm::Expected<llvm::GlobPattern> pattern =
      llvm::GlobPattern::create(text.getValue(), /*MaxSubPatterns=*/1024);
  if (!pattern)
    return emitError() << "'" << key << "' of an assignment: '" << text.getValue()
                       << "': " << llvm::toString(pattern.takeError());
  return *pattern;
}

bool lowbit::isGradient(FunctionOpInterface rule, unsigned argument) {
  auto name = rule.getArgAttrOfType<StringAttr>(argument, kNameAttrName);
  return name && name.getValue() == "gradient";
}

FailureOr<StateAssignments::Assignment> StateAssignments::parse(Attribute attribute,
                                                                EmitError emitError) {
  auto fields = dyn_cast<DictionaryAttr>(attribute);
  if (!fields)
    return emitError() << "an assignment is a dictionary, not " << attribute;
  Assignment assignment;
  for (NamedAttribute field : fields) {
    StringRef key = field.getName();
    Attribute value = field.getValue();
    if (key == "names" || key == "parameters") {
      FailureOr<llvm::GlobPattern> pattern = parsePattern(value, key, emitError);
      if (failed(pattern))
        return failure();
      (key == "names" ? assignment.names : assignment.parameters) = *pattern;
    } else if (key == "nonnegative") {
      auto flag = dyn_cast<BoolAttr>(value);
      if (!flag)
        return emitError() << "'nonnegative' of an assignment is true or false, not " << value;
      assignment.nonnegative = flag.getValue();
    } else if (key == "elements" || key == "rows") {
      auto least = dyn_cast<IntegerAttr>(value);
      if (!least || least.getInt() < 0)
        return emitError() << "'" << key << "' of an assignment is a number from 0 on, not "
                           << value;
      (key == "rows" ? assignment.rows : assignment.elements) = least.getInt();
    } else if (key == "encoding") {
      assignment.encoding = dyn_cast<EncodingAttrInterface>(value);
      if (!assignment.encoding)
        return emitError() << "'encoding' of an assignment is no encoding: " << value;
    } else {
      return emitError() << "unknown field '" << key << "' of an assignment; known: names, "
                         << "parameters, nonnegative, elements, rows, encoding";
    }
  }
  return assignment;
}

FailureOr<StateAssignments> StateAssignments::parse(StringRef text, MLIRContext *context,
                                                    EmitError emitError) {
  auto parsed = dyn_cast_or_null<ArrayAttr>(parseAttribute(text, context));
  if (!parsed)
    return emitError() << "assignments are a list of dictionaries, as [{names = \"m\", encoding = "
                       << "#lowbit.quantized<int<8>, scale = f32 per [1, 256]>}]";
  StateAssignments assignments;
  for (Attribute attribute : parsed) {
    FailureOr<Assignment> assignment = parse(attribute, emitError);
    if (failed(assignment))
      return failure();
    assignments.list.push_back(std::move(*assignment));
  }
  return assignments;
}

/// Whether extents multiply to `least` or more.
static bool hasElements(ArrayRef<int64_t> shape, int64_t least) {
  int64_t elements = 1;
  for (int64_t extent : shape)
    if (ShapedType::isDynamic(extent) || llvm::MulOverflow(elements, extent, elements))
      return true;
  return elements >= least;
}

EncodingAttrInterface StateAssignments::find(FunctionOpInterface rule, unsigned argument,
                                             StringRef parameter, ArrayRef<int64_t> shape) const {
  auto name = rule.getArgAttrOfType<StringAttr>(argument, kNameAttrName);
  if (!name)
    return {};
  bool nonnegative = rule.getArgAttr(argument, kNonnegativeAttrName) != nullptr;
  auto hasRows = [&](int64_t least) {
    return least == 0 || (!shape.empty() && (ShapedType::isDynamic(shape[0]) || shape[0] >= least));
  };
  for (const Assignment &each : list)
    if ((!each.names || each.names->match(name)) &&
        (!each.parameters || each.parameters->match(parameter)) &&
        each.nonnegative.value_or(nonnegative) == nonnegative &&
        hasElements(shape, each.elements) && hasRows(each.rows))
      return each.encoding;
  return {};
}
