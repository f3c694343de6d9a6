//===- AdoptEncodings.cpp - Parameters typed as their archives have them --===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/Diagnostics.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

using namespace llvm;
using namespace lowbit;

/// The type of the tensor in the first archive that has it; null where the program's own will do,
/// or where binding the parameters will say what is wrong.
static Expected<mlir::RankedTensorType>
getStoredType(ParameterOp parameter, ArrayRef<std::shared_ptr<const Archive>> archives) {
  auto type = cast<mlir::RankedTensorType>(parameter.getResult().getType());
  if (type.getEncoding() || !type.getElementType().isF32())
    return mlir::RankedTensorType();
  for (const auto &archive : archives) {
    const TensorInfo *tensor = archive->lookup(parameter.getKey());
    if (!tensor)
      continue;
    if (!tensor->supported || tensor->encoding.empty() || !equal(tensor->shape, type.getShape()))
      return mlir::RankedTensorType();
    DiagnosticCollector diagnostics(parameter.getContext());
    EncodingAttrInterface encoding = parseEncoding(tensor->encoding, parameter.getContext());
    auto stored =
        encoding
            ? mlir::RankedTensorType::getChecked([&] { return parameter.emitError(); },
                                                 type.getShape(), type.getElementType(), encoding)
            : mlir::RankedTensorType();
    if (!stored)
      return diagnostics.takeError((archive->getPath() + ": tensor '" + tensor->name + "'").str());
    return stored;
  }
  return mlir::RankedTensorType();
}

Error lowbit::adoptEncodings(mlir::ModuleOp module,
                             ArrayRef<std::shared_ptr<const Archive>> archives) {
  SmallVector<ParameterOp> parameters;
  module.walk([&](ParameterOp op) { parameters.push_back(op); });
  for (ParameterOp parameter : parameters) {
    Expected<mlir::RankedTensorType> stored = getStoredType(parameter, archives);
    if (!stored)
      return stored.takeError();
    if (!*stored)
      continue;
    mlir::Value value = parameter.getResult();
    value.setType(*stored);
    mlir::OpBuilder b(parameter.getContext());
    b.setInsertionPointAfter(parameter);
    auto decode = DecodeOp::create(b, parameter.getLoc(), value);
    value.replaceAllUsesExcept(decode, decode);
  }
  return Error::success();
}
