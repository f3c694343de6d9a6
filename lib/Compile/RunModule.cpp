//===- RunModule.cpp - The work of lowbit-run -----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/RunModule.h"

#include "Stopwatch.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Runtime/Npy.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace lowbit;

static std::optional<DType> parseElementType(StringRef name) {
  return StringSwitch<std::optional<DType>>(name)
      .Cases({"index", "i64"}, DType::I64)
      .Case("i1", DType::Bool)
      .Case("i8", DType::I8)
      .Case("i16", DType::I16)
      .Case("i32", DType::I32)
      .Case("f16", DType::F16)
      .Case("bf16", DType::BF16)
      .Case("f32", DType::F32)
      .Case("f64", DType::F64)
      .Default(std::nullopt);
}

/// The bits of one element, in the low bytes; nothing if `value` is not a number of that type.
static std::optional<uint64_t> parseElement(DType dtype, StringRef value) {
  if (dtype == DType::Bool)
    return StringSwitch<std::optional<uint64_t>>(value)
        .Cases({"true", "1"}, 1)
        .Cases({"false", "0"}, 0)
        .Default(std::nullopt);
  double number;
  if (dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F32 || dtype == DType::F64) {
    if (value.getAsDouble(number))
      return std::nullopt;
    switch (dtype) {
    case DType::F16:
      return numerics::halfOfFloat(static_cast<float>(number));
    case DType::BF16:
      return numerics::bfloatOfFloat(static_cast<float>(number));
    case DType::F32:
      return numerics::bitsOfFloat(static_cast<float>(number));
    default:
      return bit_cast<uint64_t>(number);
    }
  }
  int64_t integer;
  unsigned width = getBitWidth(dtype);
  // i8 is both -1 and 255: the type has no sign.
  if (value.getAsInteger(10, integer) || !(isIntN(width, integer) || isUIntN(width, integer)))
    return std::nullopt;
  return integer;
}

Expected<std::optional<Array>> lowbit::parseLiteral(StringRef text) {
  auto [value, type] = text.rsplit(':');
  SmallVector<StringRef> parts;
  type.split(parts, 'x');
  // "index" itself has an x.
  if (type.ends_with("index"))
    parts.pop_back_n(1), parts.back() = "index";
  std::optional<DType> dtype = parseElementType(parts.back());
  SmallVector<int64_t> shape;
  for (StringRef part : ArrayRef(parts).drop_back())
    if (part.getAsInteger(10, shape.emplace_back()))
      return std::nullopt;
  if (!dtype || type.size() == text.size())
    return std::nullopt;
  std::optional<uint64_t> bits = parseElement(*dtype, value);
  if (!bits)
    return createStringError("'" + text + "': '" + value + "' is not a value of type " +
                             parts.back());
  Expected<Array> array = Array::allocate(*dtype, shape);
  if (!array)
    return array.takeError();
  size_t width = getBitWidth(*dtype) / 8;
  for (size_t at = 0; *bits && at < array->bytes().size(); at += width)
    memcpy(&array->bytes()[at], &*bits, width);
  return std::move(*array);
}

static Expected<std::vector<Array>> readInputs(ArrayRef<std::string> texts) {
  std::vector<Array> inputs;
  for (StringRef text : texts) {
    Expected<std::optional<Array>> literal = parseLiteral(text);
    if (!literal)
      return literal.takeError();
    if (*literal) {
      inputs.push_back(std::move(**literal));
      continue;
    }
    Expected<Array> array = readNpy(text);
    if (!array)
      return array.takeError();
    inputs.push_back(std::move(*array));
  }
  return inputs;
}

static Error measure(Program &program, const RunModuleOptions &options) {
  std::vector<double> seconds;
  for (unsigned i = 0; i < options.time; ++i) {
    Expected<std::vector<Array>> inputs = readInputs(options.inputs);
    if (!inputs)
      return inputs.takeError();
    Stopwatch stopwatch;
    Expected<std::vector<Array>> results = program.run(options.entry, std::move(*inputs));
    seconds.push_back(stopwatch.lap());
    if (!results)
      return results.takeError();
  }
  llvm::sort(seconds);
  size_t middle = seconds.size() / 2;
  double median =
      seconds.size() % 2 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  json::OStream stream(errs());
  stream.object([&] {
    stream.attribute("entry", options.entry);
    stream.attribute("runs", options.time);
    stream.attribute("median_seconds", median);
    stream.attribute("minimum_seconds", seconds.front());
    stream.attribute("compile_seconds", program.getTimes().total());
  });
  errs() << "\n";
  return Error::success();
}

Error lowbit::runModule(const RunModuleOptions &options) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> text =
      MemoryBuffer::getFileOrSTDIN(options.module, /*IsText=*/true);
  if (!text)
    return createStringError(text.getError(),
                             options.module + ": cannot be read: " + text.getError().message());
  Expected<std::vector<Array>> inputs = readInputs(options.inputs);
  if (!inputs)
    return inputs.takeError();
  Expected<std::unique_ptr<Program>> program =
      Program::load((*text)->getBuffer(), options.module, options.program, options.parameters);
  if (!program)
    return program.takeError();

  Expected<std::vector<Array>> results = (*program)->run(options.entry, std::move(*inputs));
  if (!results)
    return results.takeError();
  if (options.outputs.size() > results->size())
    return createStringError("entry '" + options.entry + "' has " + Twine(results->size()) +
                             " results, " + Twine(options.outputs.size()) +
                             " files are given for them");
  for (auto [path, result] : zip(options.outputs, *results))
    if (Error error = writeNpy(path, result))
      return error;
  return options.time ? measure(**program, options) : Error::success();
}
