//===- ErrorFeedback.h - Codes that make up for one another -----*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GPTQ (Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for
// Generative Pre-trained Transformers", arXiv 2210.17323, algorithm 1) for any encoding whose codes
// can be taken one column after the other: the error of each column is carried to those that are
// still free, so that products with the inputs of the given second moments change least.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_QUANTIZE_ERRORFEEDBACK_H
#define LOWBIT_QUANTIZE_ERRORFEEDBACK_H

#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Term.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace lowbit {

struct FeedbackOptions {
  /// What is added to the diagonal of the second moments, as a part of its mean. It is raised
  /// tenfold until they are positive definite.
  double damping = 0.01;
  /// Columns in the order of falling second moments of their own (`act_order`), instead of from the
  /// first to the last. Scales are those of the values as they came; otherwise scales of blocks are
  /// chosen from what is carried there, where they depend on no other scales.
  bool fallingOrder = false;
  /// How often, afterwards, each code in turn is chosen anew with all others as they are (cyclic
  /// coordinate descent: QuantEase, Behdin et al. 2023, arXiv 2309.01885, section 3). The error
  /// only falls; scales stay.
  unsigned sweeps = 0;
};

struct FeedbackCodes {
  std::vector<numerics::Bytes> components;
  /// Of the error e of the decoded values, e H e^T summed over rows, with H damped.
  double error = 0;
  /// The damping that was enough.
  double damping = 0;
};

/// Encodes values [rows, columns] for inputs whose second moments, the sum of x x^T, are `moments`
/// [columns, columns], symmetric. A column whose inputs are all zero is rounded to nearest. Fails
/// if the term cannot be encoded column by column, where a number is not finite, or where the
/// moments are no second moments.
llvm::Expected<FeedbackCodes> encodeWithFeedback(const numerics::Quantized &term,
                                                 llvm::ArrayRef<int64_t> shape,
                                                 llvm::ArrayRef<float> values,
                                                 llvm::ArrayRef<double> moments,
                                                 const FeedbackOptions &options = {});

} // namespace lowbit

#endif // LOWBIT_QUANTIZE_ERRORFEEDBACK_H
