//===- LowbitEnums.td - Enumerations ----------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITENUMS_TD
#define LOWBIT_IR_LOWBITENUMS_TD

include "mlir/IR/EnumAttr.td"

class Lowbit_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::lowbit";
}

def Lowbit_RuleKind : Lowbit_Enum<"RuleKind", "how a scale is chosen when a tensor is encoded", [
  I32EnumCase<"Default", 0, "default">,
  I32EnumCase<"AbsMax", 1, "absmax">,
  I32EnumCase<"SignedMax", 2, "signed_max">,
  I32EnumCase<"MinMax", 3, "min_max">,
  I32EnumCase<"MxFloor", 4, "mx_floor">,
  I32EnumCase<"MxCeil", 5, "mx_ceil">,
  I32EnumCase<"Percentile", 6, "percentile">,
  I32EnumCase<"Mse", 7, "mse">,
  I32EnumCase<"Given", 8, "given">
]>;

def Lowbit_RoundingKind : Lowbit_Enum<"RoundingKind", "how a code is rounded when a tensor is encoded", [
  I32EnumCase<"Default", 0, "default">,
  I32EnumCase<"NearestEven", 1, "nearest_even">,
  I32EnumCase<"HalfAway", 2, "half_away">,
  I32EnumCase<"HalfUp", 3, "half_up">,
  I32EnumCase<"Stochastic", 4, "stochastic">
]>;

def Lowbit_GranularityKind : Lowbit_Enum<"GranularityKind", "which elements share a scale", [
  I32EnumCase<"Tensor", 0, "tensor">,
  I32EnumCase<"Axis", 1, "axis">,
  I32EnumCase<"Block", 2, "block">
]>;

def Lowbit_Rank1Combiner : Lowbit_Enum<"Rank1Combiner", "how a row and a column factor make a scale", [
  I32EnumCase<"Min", 0, "min">,
  I32EnumCase<"Product", 1, "product">,
  I32EnumCase<"Geometric", 2, "geo">
]>;

def Lowbit_StatisticKind : Lowbit_Enum<"StatisticKind", "what is kept of the rows of a value while a program runs", [
  I32EnumCase<"Moments", 0, "moments">,
  I32EnumCase<"Squares", 1, "squares">,
  I32EnumCase<"Sums", 2, "sums">,
  I32EnumCase<"Magnitudes", 3, "magnitudes">,
  I32EnumCase<"Maxima", 4, "maxima">,
  I32EnumCase<"Minima", 5, "minima">,
  I32EnumCase<"Histogram", 6, "histogram">
]>;

#endif // LOWBIT_IR_LOWBITENUMS_TD
