//===- LlamaModel.h - Sizes and tensors of a llama-like model ---*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IMPORT_LLAMAMODEL_H
#define LOWBIT_LIB_IMPORT_LLAMAMODEL_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace lowbit {

class Archive;
struct LlamaImportOptions;

/// A tensor of the archive.
struct LlamaParameter {
  std::string role; ///< its name within the layer ("attn_q.weight"), or its whole name
  std::string key;
  mlir::RankedTensorType type;
  mlir::Attribute activations = {}; ///< `lowbit.activations`, where the weight chooses them
};

struct LlamaLayer {
  /// In the order of the layer function's arguments; biases only where the model has them.
  std::vector<LlamaParameter> parameters;
  mlir::RankedTensorType keyCache, valueCache; ///< [kvHeads, context, headSize]
  /// Layers with the same roles and types are one function, numbered from 0 in order of appearance.
  unsigned kind;
};

/// A model that the archive says it has, checked: every tensor is there, in the shape that the
/// metadata asks for, and none is left over.
struct LlamaModel {
  int64_t context;     ///< positions that the caches have room for
  int64_t width;       ///< of the residual stream
  int64_t hiddenWidth; ///< of the feed-forward part
  int64_t heads;       ///< of queries, a multiple of kvHeads
  int64_t kvHeads;     ///< of keys and values
  int64_t headSize;
  int64_t rotarySize; ///< how many leading elements of a head are rotated; even
  float rotaryBase;
  float epsilon; ///< of the root mean square norms
  int64_t vocabulary;

  /// What rotates a value after it is computed, as the Kronecker product of small orthogonal
  /// matrices [n, n], f32, the last one over neighbours; empty: nothing does. The weights that
  /// are multiplied with it next were rotated back before they were quantized (QuaRot, Ashkboos et
  /// al. 2024, arXiv 2404.00456, section 4: online Hadamard transforms).
  struct Rotation {
    std::vector<mlir::DenseElementsAttr> factors;
  };
  Rotation downRotation; ///< of what enters ffn_down: tensors rotation.ffn_down.0, 1, ...
  Rotation headRotation; ///< of queries and keys, in each head: tensors rotation.attn_qk.0, ...

  LlamaParameter embedding;
  std::vector<LlamaLayer> layers;
  LlamaParameter finalNorm;
  LlamaParameter head; ///< the embedding itself in a model that ties them

  static llvm::Expected<LlamaModel> read(const Archive &archive, const LlamaImportOptions &options,
                                         mlir::MLIRContext *context);
};

/// What the caches of a model are stored as, by a text (Import/Llama.h).
class CacheEncodings {
public:
  /// Fails for what is neither one type nor types by names of caches that a model of so many layers
  /// has.
  static llvm::Expected<CacheEncodings> parse(llvm::StringRef text, int64_t layers);

  /// The type of a layer's keys ("k") or values ("v"); `plain` is [heads, positions, size]. Fails
  /// for what is no encoding, does not fit the type, has blocks that span positions, or where the
  /// text says nothing of this cache.
  llvm::Expected<mlir::RankedTensorType> find(llvm::StringRef letter, int64_t layer,
                                              mlir::RankedTensorType plain) const;

private:
  llvm::StringMap<std::string> byName; ///< "" is for all
};

} // namespace lowbit

#endif // LOWBIT_LIB_IMPORT_LLAMAMODEL_H
