//===- LowbitAttrs.td - All attributes ----------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITATTRS_TD
#define LOWBIT_IR_LOWBITATTRS_TD

include "lowbit/IR/Combinators.td"
include "lowbit/IR/Encodings.td"
include "lowbit/IR/Formats.td"
include "lowbit/IR/Layouts.td"
include "lowbit/IR/Scales.td"

#endif // LOWBIT_IR_LOWBITATTRS_TD
