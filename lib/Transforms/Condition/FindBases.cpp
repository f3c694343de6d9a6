//===- FindBases.cpp - Which parameters change together -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BasisFinder.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Condition/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_FINDBASES
#include "lowbit/Transforms/Condition/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

static Attribute describe(Builder &b, const BasisMember &member) {
  SmallVector<NamedAttribute> fields = {
      b.getNamedAttr(isa<StringAttr>(member.parameter) ? "parameter" : "argument",
                     member.parameter),
      b.getNamedAttr("axis", b.getI64IntegerAttr(member.axis)),
      b.getNamedAttr("stride", b.getI64IntegerAttr(member.stride))};
  if (member.gain)
    fields.push_back(b.getNamedAttr(member.isDivided ? "divided" : "gain", member.gain));
  return b.getDictionaryAttr(fields);
}

static Attribute describe(Builder &b, const Basis &basis, ArrayRef<int64_t> taps) {
  SmallVector<NamedAttribute> fields = {
      b.getNamedAttr("taps", b.getDenseI64ArrayAttr(taps)),
      b.getNamedAttr("extent", b.getI64IntegerAttr(basis.extent)),
      b.getNamedAttr("members", b.getArrayAttr(llvm::map_to_vector(basis.members,
                                                                   [&](const BasisMember &member) {
                                                                     return describe(b, member);
                                                                   }))),
      b.getNamedAttr("gains", b.getArrayAttr(basis.gains))};
  if (basis.keepsOnes)
    fields.push_back(b.getNamedAttr("keeps_ones", b.getUnitAttr()));
  return b.getDictionaryAttr(fields);
}

namespace {
struct FindBasesPass : lowbit::impl::FindBasesBase<FindBasesPass> {
  using FindBasesBase::FindBasesBase;

  void runOnOperation() override {
    if (change != "rotation" && change != "permutation") {
      getOperation().emitError() << "'" << change
                                 << "' is no change of a basis: give rotation or permutation";
      return signalPassFailure();
    }
    SmallVector<ObserveOp> taps;
    getOperation().walk([&](ObserveOp tap) { taps.push_back(tap); });
    BasisFinder finder(getOperation(),
                       change == "rotation" ? BasisChange::Rotation : BasisChange::Permutation);
    Builder b(&getContext());
    SmallVector<Attribute> found;
    SmallVector<bool> isDone(taps.size());
    for (size_t first = 0; first < taps.size(); ++first) {
      if (isDone[first])
        continue;
      SmallVector<int64_t> here = {int64_t(first)};
      std::optional<Basis> basis = finder.find(taps[first].getValue());
      for (size_t other = first + 1; basis && other < taps.size(); ++other)
        if (finder.reached(taps[other].getValue())) {
          here.push_back(other);
          isDone[other] = true;
        }
      found.push_back(basis ? describe(b, *basis, here)
                            : b.getDictionaryAttr(
                                  {b.getNamedAttr("taps", b.getDenseI64ArrayAttr(here)),
                                   b.getNamedAttr("reason", b.getStringAttr(finder.getReason()))}));
    }
    if (!taps.empty())
      getOperation()->setAttr("lowbit.bases", b.getArrayAttr(found));
  }
};
} // namespace
