//===- CheckpointBytes.cpp - bitsandbytes --------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"
#include "JSONText.h"

#include "lowbit/Numerics/Blocks.h"
#include "lowbit/Numerics/Codebooks.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace llvm;

namespace lowbit {

namespace {
/// quant_state, as QuantState.as_dict(packed=True) writes it.
struct State {
  SmallVector<int64_t, 4> shape;
  int64_t elements, block;
  bool isNested;
  int64_t nestedBlock = 0;
  float offset = 0;

  int64_t blocks() const { return numerics::ceilDivide(elements, block); }
  int64_t nestedBlocks() const { return numerics::ceilDivide(blocks(), nestedBlock); }
};
} // namespace

/// Larger than any of bitsandbytes', small enough that products do not overflow.
static constexpr int64_t maxBlock = 1 << 16;

static Expected<State> readState(const SafetensorsFile &file, const SafetensorsTensor &tensor,
                                 StringRef kind) {
  auto fail = [&](const Twine &what) {
    return makeTensorError(file, tensor, what + ": write the checkpoint again");
  };
  JSONText text;
  if (std::optional<JSONProblem> problem = parseJSON(toStringRef(tensor.data), text))
    return file.getFile().makeError(
        tensor.data.data() - file.getFile().getBytes().data() + problem->offset,
        problem->what + " in '" + tensor.name + "': write the checkpoint again");
  const json::Object *object = text.value.getAsObject();
  if (!object || object->getString("quant_type") != kind)
    return fail("is not an object with quant_type '" + kind + "'");

  State state;
  const json::Array *shape = object->getArray("shape");
  if (!shape)
    return fail("has no shape");
  for (const json::Value &extent : *shape)
    state.shape.push_back(extent.getAsInteger().value_or(-1));
  std::optional<int64_t> elements = countElements(state.shape);
  if (!elements || *elements == 0)
    return fail("has the impossible shape " + formatShape(state.shape));
  state.elements = *elements;
  auto readBlock = [&](StringRef key) -> int64_t {
    int64_t block = object->getInteger(key).value_or(0);
    return block >= 2 && block <= maxBlock && block % 2 == 0 ? block : 0;
  };
  state.block = readBlock("blocksize");
  state.isNested = object->get("nested_offset") != nullptr;
  if (state.isNested) {
    state.nestedBlock = readBlock("nested_blocksize");
    state.offset = static_cast<float>(object->getNumber("nested_offset").value_or(NAN));
    if (!std::isfinite(state.offset))
      return fail("has a nested_offset that is no finite number");
  }
  if (!state.block || (state.isNested && !state.nestedBlock))
    return fail("has a blocksize that is no even number from 2 to " + Twine(maxBlock));
  return state;
}

/// The levels of a table in the file as the format of that name, or as they are.
static Expected<std::string> describeCodebook(const SafetensorsFile &file,
                                              const SafetensorsTensor &map, StringRef name,
                                              ArrayRef<double> arguments, size_t count) {
  if (map.dtype != DType::F32 || map.shape != SmallVector<int64_t, 4>{int64_t(count)})
    return makeTensorError(
        file, map, "is no table of " + Twine(count) + " levels in F32: write the checkpoint again");
  std::vector<float> levels;
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    levels.push_back(support::endian::read<float, endianness::little>(map.data.data() + 4 * i));
    std::string number = formatv("{0:E9}", levels.back()).str();
    text += (i ? ", " : "") + number;
  }
  if (std::optional<std::string> problem = numerics::Format::checkLevels(levels))
    return makeTensorError(file, map, *problem + ": write the checkpoint again");
  std::string argumentText;
  for (double argument : arguments)
    argumentText += formatv(", {0}", int(argument)).str();
  auto known = numerics::namedCodebook(std::string_view(name), arguments);
  // Zeros of either sign are the same level.
  if (known && ArrayRef(known->levels()) == ArrayRef(levels))
    return ("codebook<" + name + argumentText + ">").str();
  return "codebook<[" + text + "]>";
}

Expected<CheckpointTensor> readBitsandbytes(const SafetensorsFile &file,
                                            const SafetensorsTensor &state) {
  auto parts = StringRef(state.name).split(".quant_state.bitsandbytes__");
  StringRef name = parts.first, kind = parts.second;
  auto find = [&](const Twine &suffix) { return file.lookup((name + suffix).str()); };
  const SafetensorsTensor *codes = find(""), *absmax = find(".absmax"), *map = find(".quant_map");
  const SafetensorsTensor *nested = find(".nested_absmax");
  const SafetensorsTensor *nestedMap = find(".nested_quant_map");
  if (kind != "nf4" && kind != "fp4")
    return makeTensorError(file, state, "is neither nf4 nor fp4, which have an encoding");
  Expected<State> read = readState(file, state, kind);
  if (!read)
    return read.takeError();

  CheckpointTensor tensor;
  tensor.info = {name.str(), read->shape, "", false, "", 0, uint64_t(read->elements), std::nullopt};
  StringRef missing = !codes                         ? StringRef("")
                      : !absmax                      ? ".absmax"
                      : !map                         ? ".quant_map"
                      : read->isNested && !nested    ? ".nested_absmax"
                      : read->isNested && !nestedMap ? ".nested_quant_map"
                                                     : StringRef();
  if (missing.data()) {
    tensor.info.isPart = true;
    tensor.info.storedAs = ("bitsandbytes without '" + name + missing + "' in this file").str();
    for (const SafetensorsTensor *array : {codes, &state})
      if (array) {
        tensor.arrays.push_back(array->name);
        tensor.components.push_back({"values", array->dtype, array->shape, array->data, nullptr});
      }
    return tensor;
  }
  auto fail = [&](const SafetensorsTensor &array, const Twine &wanted) {
    return makeTensorError(file, array,
                           "is " + getDTypeName(array.dtype) + " " + formatShape(array.shape) +
                               ", a tensor " + formatShape(read->shape) + " in blocks of " +
                               Twine(read->block) + " has " + wanted +
                               ": write the checkpoint again");
  };
  if (codes->data.size() != uint64_t(read->elements) / 2 + read->elements % 2)
    return fail(*codes, Twine(read->elements / 2 + read->elements % 2) + " bytes of codes");
  StringRef scaleType = StringSwitch<StringRef>(getDTypeName(absmax->dtype))
                            .Case("F16", "f16")
                            .Case("BF16", "bf16")
                            .Case("F32", "f32")
                            .Default("");
  bool isScale = read->isNested ? absmax->dtype == DType::U8 : !scaleType.empty();
  if (!isScale || countElements(absmax->shape) != read->blocks())
    return fail(*absmax, Twine(read->blocks()) + (read->isNested ? " in U8" : " in F32"));
  if (read->isNested &&
      (nested->dtype != DType::F32 || countElements(nested->shape) != read->nestedBlocks()))
    return fail(*nested, Twine(read->nestedBlocks()) + " in F32");

  Expected<std::string> format = describeCodebook(file, *map, kind, {}, 16);
  if (!format)
    return format.takeError();
  std::string scale = scaleType.str();
  if (read->isNested) {
    Expected<std::string> nestedFormat = describeCodebook(file, *nestedMap, "dynamic", {8.0}, 256);
    if (!nestedFormat)
      return nestedFormat.takeError();
    scale = *nestedFormat;
  }

  // Blocks within rows are blocks of the matrix; others run along the flattened tensor.
  int64_t outer = read->block * read->nestedBlock;
  bool isMatrix = read->shape.size() == 2 && read->shape[1] % read->block == 0;
  int64_t columns = isMatrix ? read->shape[1] : 1;
  isMatrix &= !read->isNested || outer % columns == 0 || columns % outer == 0;
  auto per = [&](int64_t block) {
    if (!isMatrix)
      return formatv("[{0}]", block).str();
    return block > columns ? formatv("[{0}, {1}]", block / columns, columns).str()
                           : formatv("[1, {0}]", block).str();
  };
  std::string term = "#lowbit.quantized<" + *format + ", scale = ";
  if (read->isNested)
    term += "f32 per " + per(outer) + " * ";
  term += scale + " per " + per(read->block);
  if (read->isNested)
    term += " + f32 per tensor";
  term += ", layout = checkpoint<bnb>>";
  tensor.info.encoding = isMatrix ? term : "#lowbit.flattened<" + term + ">";
  tensor.info.supported = true;
  tensor.info.storedAs = "bitsandbytes";

  auto add = [&](StringRef component, const SafetensorsTensor &array, DType dtype, int64_t count,
                 int64_t perRow, int64_t rowsPer) {
    SmallVector<int64_t, 4> shape{count};
    if (isMatrix)
      shape = {(read->shape[0] + rowsPer - 1) / rowsPer, perRow};
    tensor.components.push_back({component.str(), dtype, shape, array.data, nullptr});
    tensor.arrays.push_back(array.name);
  };
  add("weight", *codes, DType::U8, int64_t(codes->data.size()), columns / 2, 1);
  if (read->isNested)
    add("nested_absmax", *nested, DType::F32, read->nestedBlocks(),
        std::max<int64_t>(columns / outer, 1), std::max<int64_t>(outer / columns, 1));
  add("absmax", *absmax, absmax->dtype, read->blocks(), columns / read->block, 1);
  if (read->isNested) {
    std::vector<uint8_t> offset(4);
    support::endian::write<float, endianness::little>(offset.data(), read->offset);
    SmallVector<int64_t, 4> shape(isMatrix ? 2 : 1, 1);
    tensor.components.push_back(makeOwned("nested_offset", DType::F32, shape, std::move(offset)));
    tensor.arrays.push_back(nestedMap->name);
  }
  tensor.arrays.insert(tensor.arrays.end(), {map->name, state.name});
  return tensor;
}

} // namespace lowbit
