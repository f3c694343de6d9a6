//===- Reports.cpp - What became of an op, for who asks --------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reports.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include <mutex>

using namespace mlir;

namespace lowbit {
namespace {

using Emitter = remark::detail::InFlightRemark(Location, remark::RemarkOpts);

/// Whether an engine took the remark. Passes on functions run side by side and MLIR's engine has no
/// lock of its own.
bool emit(Emitter *emitter, const Reporter &reporter, Operation *op,
          llvm::function_ref<Facts()> facts) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  auto function = op->getParentOfType<FunctionOpInterface>();
  remark::RemarkOpts options = remark::RemarkOpts::name(reporter.name)
                                   .category(reporter.pass)
                                   .function(function ? function.getName() : StringRef());
  // Files of remarks know no other kind of place.
  Location loc = op->getLoc();
  if (auto place = loc->findInstanceOf<FileLineColLoc>())
    loc = place;
  auto remark = emitter(loc, options);
  if (!remark)
    return false;
  for (Fact &fact : facts())
    remark << fact;
  return true;
}

} // namespace

void Reporter::passed(Operation *op, llvm::function_ref<Facts()> facts) const {
  emit(remark::passed, *this, op, facts);
}

void Reporter::analysis(Operation *op, llvm::function_ref<Facts()> facts) const {
  emit(remark::analysis, *this, op, facts);
}

void Reporter::missed(Operation *op, StringRef outcome, const Twine &reason) const {
  auto facts = [&] { return Facts{Fact("Outcome", outcome), Fact("Reason", reason.str())}; };
  if (!emit(remark::missed, *this, op, facts))
    op->emitRemark() << outcome << ": " << reason;
}

LogicalResult Reporter::fallback(Operation *op, StringRef outcome, const Twine &reason,
                                 bool isError) const {
  if (isError)
    return op->emitOpError() << outcome << ": " << reason;
  missed(op, outcome, reason);
  return success();
}

std::string textOf(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

std::string bytesOf(TypeRange types) {
  int64_t bytes = 0;
  for (Type type : types) {
    auto shaped = cast<ShapedType>(type);
    if (!shaped.hasStaticShape() || !shaped.getElementType().isIntOrFloat())
      return "?";
    bytes += shaped.getNumElements() * llvm::divideCeil(shaped.getElementTypeBitWidth(), 8);
  }
  return std::to_string(bytes);
}

} // namespace lowbit
