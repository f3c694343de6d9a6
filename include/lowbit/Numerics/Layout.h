//===- Layout.h - How the codes of a term lie in bytes --------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A layout brings the arrays of codes of a term (codeArrays) to and from its stored components. It
// never rounds: every layout of a term holds the same codes, so that all of them decode alike.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_LAYOUT_H
#define LOWBIT_NUMERICS_LAYOUT_H

#include "lowbit/Numerics/Term.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

using Bytes = std::vector<uint8_t>;
/// The codes of one array, row-major.
using Codes = std::vector<uint32_t>;

enum class ElementType { UInt8, Int16, Int32, Float16, BFloat16, Float32 };
int64_t bytesOf(ElementType type);
/// That of a float format; UInt8 for all formats that are packed.
ElementType elementTypeOf(const Format &format);

/// One stored array of an encoded tensor, row-major and little-endian.
struct Component {
  std::string name; ///< "codes", "codes.0", "scale", "scale.1", "zero", "min", "blocks", ...
  ElementType type;
  Shape shape;

  int64_t bytes() const;
};

class Layout {
public:
  virtual ~Layout() = default;

  /// As in the attribute: "planes", "planes<4, 4>", "ggml<q4_0>". Layouts of one name are equal.
  virtual std::string str() const = 0;

  /// An error message, or nothing when this layout can hold the term on a tensor of this shape.
  virtual std::optional<std::string> check(const Quantized &term, const Shape &shape) const = 0;

  /// The stored components, in order.
  virtual std::vector<Component> components(const Quantized &term, const Shape &shape) const = 0;

  /// The codes of each of codeArrays(term, shape). `data[i]` points at the bytes of component i.
  virtual std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                                    const std::vector<const uint8_t *> &data) const = 0;

  /// The bytes of each component. `arrays` has the codes of each of codeArrays(term, shape).
  virtual std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                                  const std::vector<Codes> &arrays) const = 0;

  /// What the rule `Default` stands for, where the layout has a rule of its own.
  virtual std::optional<EncodeRule> defaultRule() const { return std::nullopt; }

  /// True if `Default` stands for an encoder of the layout's own, which only the reference has.
  virtual bool hasEncoder() const { return false; }
  /// That encoder: the codes of each of codeArrays(term, shape) for x[element count].
  virtual std::vector<Codes> chooseCodes(const Quantized &term, const Shape &shape,
                                         const float *x) const;
};

/// Every component its own array: see Packing.h. `widths` are those of the planes of the term's own
/// codes, low bits first, each 1, 2, 4, 7 (in a byte of its own) or 8; empty: as planesOf() has
/// them.
std::shared_ptr<const Layout> planesLayout(std::vector<unsigned> widths = {});
/// An error message, or nothing when codes of `format` can lie in planes of these widths.
std::optional<std::string> checkPlanes(const Format &format, const std::vector<unsigned> &widths);

/// The layout of a term: its own, or planes.
const Layout &layoutOf(const Quantized &term);
/// True if an encode of this term is its layout's own: the rule is `Default` and there is one.
bool usesOwnEncoder(const Quantized &term);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_LAYOUT_H
