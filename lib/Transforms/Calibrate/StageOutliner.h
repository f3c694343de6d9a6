//===- StageOutliner.h - A part of an entry as a function -------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_CALIBRATE_STAGEOUTLINER_H
#define LOWBIT_LIB_TRANSFORMS_CALIBRATE_STAGEOUTLINER_H

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace lowbit {

/// A part of an entry's block, of which one value comes in and one goes out.
struct Stage {
  mlir::Value in, out;                        ///< null at the ends
  llvm::SmallVector<mlir::Operation *> roots; ///< taps and assertions in the part
};

/// A function of its own, and what to call it with.
struct OutlinedStage {
  mlir::func::FuncOp function;
  llvm::SmallVector<mlir::Attribute> arguments; ///< as `lowbit.stages` has them
  llvm::SmallVector<mlir::Attribute> feeds;     ///< of each tap
};

/// The values that an op and its regions use from outside of it.
llvm::SmallVector<mlir::Value> getUsedValues(mlir::Operation *op);

/// The ops of `block` that `roots` need, with them; not beyond `stop`.
llvm::SetVector<mlir::Operation *> getBackwardSlice(mlir::Block &block,
                                                    llvm::ArrayRef<mlir::Operation *> roots,
                                                    mlir::Value stop = {});

/// The function `name` that computes a stage of `entry`, before it. Parameters become arguments;
/// taps are named by their place.
OutlinedStage outlineStage(mlir::func::FuncOp entry, const Stage &stage, llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_CALIBRATE_STAGEOUTLINER_H
