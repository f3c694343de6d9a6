//===- Signature.h - What a compiled module takes ---------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pipelines leave two attributes on the modules that they compile:
//
//   lowbit.entries = [{name = "step", arguments = [memref<?xi64>, index, memref<4x8xf32>],
//                      outputs = 1 : i64}]
//   lowbit.parameters = [{key = "blk.0.attn_q.weight", component = "blocks",
//                         type = memref<576x18x20xi8>, symbol = @lowbit.parameter.0}]
//
// An entry's arguments are those of its C wrapper `_mlir_ciface_NAME`; the last
// `outputs` of them receive fresh results. A parameter's symbol is a global that
// holds the memref's descriptor (or an i64 for an `index`), to be filled before
// the first call. These classes hold the same without MLIR, which readSignature()
// (lowbit/Compile/CompileModule.h) reads and an artifact keeps.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_SIGNATURE_H
#define LOWBIT_RUNTIME_SIGNATURE_H

#include "lowbit/Archive/DType.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace llvm::json {
class OStream;
class Value;
} // namespace llvm::json

namespace lowbit {

/// The type of an argument or of a component: a memref of identity layout, or a scalar.
struct ValueType {
  static constexpr int64_t dynamic = -1;

  bool isMemRef = false;
  /// Of the elements, or of the scalar; an `index` is I64, an i1 Bool, other integers I8 to I64.
  DType dtype = DType::F32;
  /// Memrefs only; an extent may be `dynamic`.
  llvm::SmallVector<int64_t, 4> shape;

  /// Whether an array of these extents has this type.
  bool acceptsShape(llvm::ArrayRef<int64_t> extents) const;
  /// Whether elements of `stored` can be read as ours: equal, or integers of equal width (a memref
  /// of i8 is not told whether it is signed), or the bits of a bf16 as u16.
  bool acceptsDType(DType stored) const;
  /// "f32 [?, 3]" for a memref, "f32" for a scalar.
  std::string str() const;
};

struct EntrySignature {
  std::string name;
  std::vector<ValueType> arguments;
  unsigned outputs; ///< how many of the last arguments are fresh results
};

struct ParameterSignature {
  std::string key;
  std::string component;
  ValueType type;
  std::string symbol;
  std::string encoding; ///< the attribute's text; empty for a plain tensor
  /// Of the whole tensor, if it is encoded; an extent may be `ValueType::dynamic`.
  llvm::SmallVector<int64_t, 4> shape;
  /// The entry that makes it, as its output number `output`, of the stored components; empty: it is
  /// `component` as it is stored.
  std::string pack;
  unsigned output = 0;
};

struct ModuleSignature {
  std::vector<EntrySignature> entries;
  std::vector<ParameterSignature> parameters;
  /// Of the processor that the code is for, as LLVM names them.
  std::string architecture;
  std::vector<std::string> features = {};
  /// Whether the code has parallel regions, of OpenMP.
  bool usesThreads = false;
  /// Whether it has instructions that a process must ask the system for (AMX).
  bool usesMatrixUnit = false;

  /// As a JSON object, and back; what is malformed is an error that says what was expected.
  void write(llvm::json::OStream &stream) const;
  static llvm::Expected<ModuleSignature> fromJSON(const llvm::json::Value &value);
  /// A missing entry is an error that lists those there are.
  llvm::Expected<const EntrySignature *> find(llvm::StringRef entry) const;
  /// The entries that are there to be called, without those that pack a parameter. (An artifact
  /// does not keep which these are.)
  std::vector<const EntrySignature *> getCallable() const;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_SIGNATURE_H
