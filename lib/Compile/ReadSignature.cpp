//===- ReadSignature.cpp - What a compiled module takes -------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/CompileModule.h"

#include "ElementType.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace lowbit;

template <typename T> static std::string print(T value) {
  std::string text;
  raw_string_ostream(text) << value;
  return text;
}

std::optional<DType> lowbit::getElementDType(mlir::Type type) {
  if (type.isIndex() || type.isInteger(64))
    return DType::I64;
  if (type.isInteger(1))
    return DType::Bool;
  if (type.isInteger(8))
    return DType::I8;
  if (type.isInteger(16))
    return DType::I16;
  if (type.isInteger(32))
    return DType::I32;
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  return std::nullopt;
}

static Expected<ValueType> getValueType(mlir::Type type) {
  auto memref = dyn_cast<mlir::MemRefType>(type);
  if (memref && !memref.getLayout().isIdentity())
    return createStringError("type " + print(type) + " is not a memref of identity layout");
  std::optional<DType> dtype = getElementDType(memref ? memref.getElementType() : type);
  if (!dtype)
    return createStringError("type " + print(type) +
                             " is neither a scalar nor a memref of i1, i8, i16, i32, i64, f16, "
                             "bf16, f32 or f64");
  ValueType result{memref != nullptr, *dtype, {}};
  if (memref)
    for (int64_t extent : memref.getShape())
      result.shape.push_back(mlir::ShapedType::isDynamic(extent) ? ValueType::dynamic : extent);
  return result;
}

static Error makeFormError(StringRef attribute, const Twine &expected) {
  return createStringError("the compiled module's attribute '" + attribute + "' is malformed: " +
                           expected + "; compile the module with a lowbit pipeline");
}

static Expected<EntrySignature> readEntry(mlir::Attribute attribute) {
  constexpr StringLiteral name = "lowbit.entries";
  auto dict = dyn_cast<mlir::DictionaryAttr>(attribute);
  auto entryName = dict ? dict.getAs<mlir::StringAttr>("name") : nullptr;
  auto arguments = dict ? dict.getAs<mlir::ArrayAttr>("arguments") : nullptr;
  auto outputs = dict ? dict.getAs<mlir::IntegerAttr>("outputs") : nullptr;
  if (!entryName || !arguments || !outputs)
    return makeFormError(name, "each element has 'name', 'arguments' and 'outputs'");
  EntrySignature entry{entryName.getValue().str(), {}, 0};
  for (mlir::Attribute argument : arguments) {
    auto type = dyn_cast<mlir::TypeAttr>(argument);
    if (!type)
      return makeFormError(name, "'arguments' are types");
    Expected<ValueType> value = getValueType(type.getValue());
    if (!value)
      return makeFormError(name, "entry '" + entry.name + "': " + toString(value.takeError()));
    entry.arguments.push_back(std::move(*value));
  }
  int64_t count = outputs.getInt();
  if (count < 0 || count > int64_t(entry.arguments.size()))
    return makeFormError(name, "'outputs' counts some of the last arguments");
  entry.outputs = count;
  for (const ValueType &type : ArrayRef(entry.arguments).take_back(count))
    if (!type.isMemRef || is_contained(type.shape, ValueType::dynamic))
      return makeFormError(name, "entry '" + entry.name + "': output " + type.str() +
                                     " is no memref of static shape");
  return entry;
}

static Expected<ParameterSignature> readParameter(mlir::Attribute attribute) {
  constexpr StringLiteral name = "lowbit.parameters";
  auto dict = dyn_cast<mlir::DictionaryAttr>(attribute);
  auto key = dict ? dict.getAs<mlir::StringAttr>("key") : nullptr;
  auto component = dict ? dict.getAs<mlir::StringAttr>("component") : nullptr;
  auto type = dict ? dict.getAs<mlir::TypeAttr>("type") : nullptr;
  auto symbol = dict ? dict.getAs<mlir::FlatSymbolRefAttr>("symbol") : nullptr;
  auto encoding = dict ? dict.getAs<mlir::StringAttr>("encoding") : nullptr;
  if (!key || !component || !type || !symbol)
    return makeFormError(name, "each element has 'key', 'component', 'type' and 'symbol'");
  Expected<ValueType> value = getValueType(type.getValue());
  if (!value)
    return makeFormError(name,
                         "parameter '" + key.getValue() + "': " + toString(value.takeError()));
  ParameterSignature parameter{key.getValue().str(),
                               component.getValue().str(),
                               std::move(*value),
                               symbol.getValue().str(),
                               encoding ? encoding.getValue().str() : "",
                               {},
                               "",
                               0};
  if (auto shape = dict.getAs<mlir::DenseI64ArrayAttr>("shape"))
    for (int64_t extent : shape.asArrayRef())
      parameter.shape.push_back(mlir::ShapedType::isDynamic(extent) ? ValueType::dynamic : extent);
  if (auto pack = dict.getAs<mlir::StringAttr>("pack")) {
    auto output = dict.getAs<mlir::IntegerAttr>("output");
    if (!output || output.getInt() < 0)
      return makeFormError(name, "'pack' comes with the number of an 'output'");
    parameter.pack = pack.getValue().str();
    parameter.output = output.getInt();
  }
  return parameter;
}

template <typename T>
static Error readList(mlir::ModuleOp module, StringRef name,
                      Expected<T> (*readElement)(mlir::Attribute), std::vector<T> &list) {
  mlir::Attribute attribute = module->getAttr(name);
  if (!attribute)
    return Error::success();
  auto array = dyn_cast<mlir::ArrayAttr>(attribute);
  if (!array)
    return makeFormError(name, "it is a list");
  for (mlir::Attribute element : array) {
    Expected<T> value = readElement(element);
    if (!value)
      return value.takeError();
    list.push_back(std::move(*value));
  }
  return Error::success();
}

Expected<ModuleSignature> lowbit::readSignature(mlir::ModuleOp module) {
  ModuleSignature signature;
  if (Error error = readList(module, "lowbit.entries", readEntry, signature.entries))
    return std::move(error);
  if (Error error = readList(module, "lowbit.parameters", readParameter, signature.parameters))
    return std::move(error);
  return signature;
}
