//===- Program.h - From MLIR text to results --------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_PROGRAM_H
#define LOWBIT_COMPILE_PROGRAM_H

#include "lowbit/Compile/CompileModule.h"
#include "lowbit/Compile/EncodedTensor.h"
#include "lowbit/Target/CpuTarget.h"
#include "llvm/ADT/StringMap.h"

namespace mlir {
class MLIRContext;
class ModuleOp;
namespace func {
class FuncOp;
} // namespace func
template <typename OpTy> class OwningOpRef;
} // namespace mlir

namespace lowbit {

struct ProgramOptions {
  /// "cpu" or "reference"; "none" for a module that is in the LLVM dialect already; else a textual
  /// pass pipeline that leads there, "builtin.module(...)".
  std::string pipeline = "cpu";
  /// How activations of encoded weights are computed, of pipeline "cpu": "f32", "int15" or "int8"
  /// (rounded in blocks of 32), or what they are rounded to as within #lowbit.quantized<...>.
  std::string activations = "f32";
  /// Where activations are rounded: from which |x| on they are multiplied in f32 instead; 0: none.
  double outlierThreshold = 0;
  /// Of codes whose planes end so many bits below their top, to read these bits alone
  /// (lowbit-take-prefix); 0: to read codes whole.
  unsigned prefixBits = 0;
  /// Parallel loops become threads of OpenMP; of pipeline "cpu".
  bool parallel = true;
  CodeOptions code;
  /// OpenMP threads of a call; 0: what OpenMP takes by itself (OMP_NUM_THREADS, or all cores).
  unsigned threads = 0;
};

/// A context in which every dialect is available; all passes are registered as well.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Parses and verifies; an error is `NAME:LINE:COLUMN: MESSAGE`.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
parseModule(llvm::StringRef text, llvm::StringRef name, mlir::MLIRContext *context);

/// Runs a pipeline, named as in ProgramOptions; options of "cpu" that are not given suit `target`.
/// The module is of no use after an error.
llvm::Error runPipeline(mlir::ModuleOp module, llvm::StringRef pipeline, const CpuTarget &target,
                        const Cancellation &cancellation = {});

/// A parameter that the program declares as a plain f32 tensor, and that the first of these
/// archives to have it stores in an encoding, becomes a decode of what is stored: a program serves
/// a model in any encoding.
llvm::Error adoptEncodings(mlir::ModuleOp module,
                           llvm::ArrayRef<std::shared_ptr<const Archive>> archives);

/// Parsing and lowering in one, for this machine: the text after a pipeline.
llvm::Expected<std::string> transformText(llvm::StringRef text, llvm::StringRef name,
                                          llvm::StringRef pipeline,
                                          const Cancellation &cancellation = {});

/// A compiled module whose entries take arrays and give arrays.
class Program {
public:
  /// Consumes `module`: it is lowered in place.
  static llvm::Expected<std::unique_ptr<Program>> compile(mlir::ModuleOp module,
                                                          const ProgramOptions &options);

  /// From text; `name` is the file in errors.
  static llvm::Expected<std::unique_ptr<Program>>
  compileText(llvm::StringRef text, llvm::StringRef name, const ProgramOptions &options);

  /// The same with its parameters, from these archives: adoptEncodings() before, bindParameters()
  /// after.
  static llvm::Expected<std::unique_ptr<Program>>
  load(llvm::StringRef text, llvm::StringRef name, const ProgramOptions &options,
       llvm::ArrayRef<std::shared_ptr<const Archive>> archives);
  /// The same, from archives at these paths.
  static llvm::Expected<std::unique_ptr<Program>> load(llvm::StringRef text, llvm::StringRef name,
                                                       const ProgramOptions &options,
                                                       llvm::ArrayRef<std::string> paths);

  Session &getSession() { return *session; }
  /// Leaves nothing to run here.
  std::unique_ptr<Session> takeSession() { return std::move(session); }
  /// Of all that compile() did.
  const CompileTimes &getTimes() const { return times; }

  /// Calls an entry. One input for each argument of the compiled entry that is not a fresh output
  /// (an encoded tensor is as many as it has components, a scalar is an array of rank 0). The
  /// results are those of the function, in order, encoded ones again by component; one that takes
  /// the storage of an argument is that input's array, updated. (Of a module that was lowered
  /// before it came here: the fresh outputs only.) Errors name the input by its number, from 0: one
  /// of another type or shape, and, where the extents of an encoded tensor are static, structure
  /// that is not one (positions, columns, orders).
  llvm::Expected<std::vector<Array>> run(llvm::StringRef entry, std::vector<Array> inputs);

private:
  /// An argument in whose components compiled code finds its way by what they hold.
  struct StructuredArgument {
    unsigned first; ///< of its components, among the compiled entry's arguments
    TensorEncoding encoding;
    llvm::SmallVector<int64_t> shape;
  };

  Program() = default;
  llvm::Error noteStructure(mlir::func::FuncOp function);
  llvm::Error checkStructure(llvm::StringRef entry, llvm::ArrayRef<Array> inputs) const;

  std::unique_ptr<Session> session;
  std::unique_ptr<EncodingContext> encodings; ///< of `structured`
  llvm::StringMap<std::vector<StructuredArgument>> structured;
  CompileTimes times;
  /// For each result of an entry the number of the argument that has it.
  llvm::StringMap<llvm::SmallVector<unsigned>> results;
};

} // namespace lowbit

#endif // LOWBIT_COMPILE_PROGRAM_H
