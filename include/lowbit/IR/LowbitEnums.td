//===- LowbitEnums.td - Enumerations ----------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITENUMS_TD
#define LOWBIT_IR_LOWBITENUMS_TD

include "mlir/IR/EnumAttr.td"

class Lowbit_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::lowbit";
}

def Lowbit_EncodeRule : Lowbit_Enum<"EncodeRule", "how a scale is chosen when a tensor is encoded", [
  I32EnumCase<"Default", 0, "default">,
  I32EnumCase<"AbsMax", 1, "absmax">,
  I32EnumCase<"SignedMax", 2, "signed_max">,
  I32EnumCase<"MinMax", 3, "min_max">
]>;

def Lowbit_GranularityKind : Lowbit_Enum<"GranularityKind", "which elements share a scale", [
  I32EnumCase<"Tensor", 0, "tensor">,
  I32EnumCase<"Axis", 1, "axis">,
  I32EnumCase<"Block", 2, "block">
]>;

def Lowbit_Rank1Combiner : Lowbit_Enum<"Rank1Combiner", "how a row and a column factor make a scale", [
  I32EnumCase<"Min", 0, "min">
]>;

#endif // LOWBIT_IR_LOWBITENUMS_TD
