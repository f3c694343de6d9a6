//===- InitAll.cpp - Everything that a tool registers ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/InitAll.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Pipelines/Pipelines.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "lowbit/Transforms/Condition/Passes.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "lowbit/Transforms/Optimizers/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

void lowbit::registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  registry.insert<LowbitDialect>();
}

void lowbit::registerAllPasses() {
  mlir::registerAllPasses();
  registerLowbitCalibratePasses();
  registerLowbitConditionPasses();
  registerLowbitLowerPasses();
  registerLowbitOptimizersPasses();
  registerPipelines();
}
