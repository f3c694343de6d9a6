//===- GgmlEncode.cpp - Structs that ggml quantizes by rules of their own ===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GgmlEncode.h"

#include "IdealScales.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

static float largestMagnitude(int64_t elements, const float *x) {
  float largest = 0;
  for (int64_t i = 0; i < elements; ++i)
    largest = std::max(largest, std::fabs(withoutNaN(x[i])));
  return largest;
}

std::vector<Codes> encodeTernary(const Quantized &term, int64_t elements, const float *x) {
  float largest = largestMagnitude(elements, x);
  float inverse = largest == 0 ? 0.0f : 1.0f / largest;
  Codes codes;
  for (int64_t i = 0; i < elements; ++i) {
    // 0 * infinity, and the reciprocal of what is below 2^-128.
    float t = withoutNaN(x[i]) * inverse;
    t = std::isnan(t) ? 0.0f : std::clamp(std::round(t), -1.0f, 1.0f);
    codes.push_back(term.format.encode(t));
  }
  return {std::move(codes), {Format::float16().encode(largest)}};
}

std::vector<Codes> encodeMicroscaled(const Quantized &term, int64_t elements, const float *x) {
  float largest = largestMagnitude(elements, x);
  // The largest level, 6, has exponent 2; the code of an exponent is 127 more than it. Beyond f32's
  // range nothing is defined by the peer.
  float exponent = largest > 0 ? std::floor(std::log2(largest)) - 2 + 127 : 0.0f;
  uint32_t scaleCode = static_cast<uint32_t>(std::clamp(exponent, 0.0f, 254.0f));
  float scale = term.scale->levels[0].element.decode(scaleCode);
  Codes codes;
  for (int64_t i = 0; i < elements; ++i) {
    float best = std::numeric_limits<float>::infinity();
    uint32_t &code = codes.emplace_back(0);
    for (uint32_t candidate = 0; candidate < (1u << term.format.bits()); ++candidate) {
      float error = std::fabs(scale * term.format.decode(candidate) - withoutNaN(x[i]));
      if (error < best) {
        best = error;
        code = candidate;
      }
    }
  }
  return {std::move(codes), {scaleCode}};
}

} // namespace lowbit::numerics
