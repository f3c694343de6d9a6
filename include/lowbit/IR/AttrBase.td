//===- AttrBase.td - What attribute definitions share -------*- tablegen -*-===//
#ifndef LOWBIT_IR_ATTRBASE_TD
#define LOWBIT_IR_ATTRBASE_TD

include "lowbit/IR/LowbitDialect.td"
include "lowbit/IR/LowbitEnums.td"
include "lowbit/IR/LowbitInterfaces.td"
include "mlir/IR/AttrTypeBase.td"

class Lowbit_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Lowbit_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

#endif // LOWBIT_IR_ATTRBASE_TD
