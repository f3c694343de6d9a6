//===- Llama.h - Programs of the llama family -------------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the forward pass of a llama-like model (Touvron et al. 2023) as linalg on
// tensors. Sizes come from the archive's metadata, the types of the weights from how
// the archive stores them, the weights themselves stay where they are: they are
// `lowbit.parameter`s.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IMPORT_LLAMA_H
#define LOWBIT_IMPORT_LLAMA_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>

namespace lowbit {

class Archive;

struct LlamaImportOptions {
  /// Positions that the key-value cache has room for; the model's own `context_length` if absent,
  /// which it must not exceed.
  std::optional<uint64_t> contextLength;
  /// What keys and values are stored as: "f32", "f16", "int8" or "int4" (in blocks of 32 with an
  /// f16 scale), or an encoding as within #lowbit.quantized<...>, whose blocks span no positions;
  /// or for each cache one of these, as JSON: {"k_0": "f16", "k": "int8", "v": "int4"}, by the name
  /// of the argument or, for all others, by its letter. Absent: what the archive says
  /// (kCacheMetadataKey), in the same words, or else f32.
  std::optional<std::string> kvCache;
  /// What is multiplied with a weight is encoded as, by the weight's name, as JSON:
  /// {"blk.0.ffn_up.weight": "int<8>, scale = f32 per [1, 32]", "output.weight": "f32"}. Weights
  /// that are not named choose nothing. Absent: what the archive says (kActivationsMetadataKey).
  std::optional<std::string> activations;
};

/// Of an archive whose caches were chosen with its weights.
constexpr llvm::StringLiteral kCacheMetadataKey = "lowbit.kv_cache";
/// Of one whose activations were.
constexpr llvm::StringLiteral kActivationsMetadataKey = "lowbit.activations";

/// The module of a model. It has two entries (`lowbit.entry`), both over the same cache, one pair
/// of tensors `tensor<KV_HEADS x CONTEXT x HEAD_SIZE x f32>`, encoded as the options say, for each
/// layer:
///
///     @prefill(%tokens: tensor<?xi64>, %position: index, %k_0, %v_0, ..., %logits:
///     tensor<?xVOCABxf32>)
///     @decode (%tokens: tensor<1xi64>, %position: index, %k_0, %v_0, ..., %logits:
///     tensor<1xVOCABxf32>)
///
/// `%position` is where the first token goes: the number of positions already in the cache. Both
/// return the caches and the logits, in the storage of those arguments (`lowbit.updates`). The
/// caller sees to it that `%position` plus the number of tokens is at most CONTEXT, and that
/// `%logits` of a prefill, which takes the logits of the last tokens, has at most as many rows as
/// there are tokens. Token ids outside of the vocabulary are clamped to it.
///
/// Weights are written in the implicit notation, encoded tensors as operands of linalg ops:
/// `lowbit-materialize` comes next. Loads the dialects it needs into `context`.
///
/// Errors name the file and the metadata key or tensor: metadata missing or out of range, an
/// architecture or feature that is not supported, a tensor that is missing, has another shape, is
/// stored in a type without an encoding, or has no place in the program.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importLlama(const Archive &archive, const LlamaImportOptions &options, mlir::MLIRContext *context);

} // namespace lowbit

#endif // LOWBIT_IMPORT_LLAMA_H
