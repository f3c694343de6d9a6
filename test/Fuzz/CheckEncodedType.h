//===- CheckEncodedType.h - What holds for every encoded type ---*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_FUZZ_CHECKENCODEDTYPE_H
#define LOWBIT_TEST_FUZZ_CHECKENCODEDTYPE_H

#include "mlir/IR/BuiltinTypes.h"

namespace lowbit {

/// Asks a type that was verified, of a lowbit encoding, all that can be asked without building IR.
void checkEncodedType(mlir::RankedTensorType type);

} // namespace lowbit

#endif // LOWBIT_TEST_FUZZ_CHECKENCODEDTYPE_H
