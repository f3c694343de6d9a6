//===- EmitHeader.cpp - The C header of compiled code ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmbeddedModule.h"

#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <set>

using namespace llvm;
using namespace lowbit;

/// The C type of a scalar argument; half precision as bits, since C99 has no type for it.
static StringRef getScalarType(DType dtype) {
  switch (dtype) {
  case DType::Bool:
    return "uint8_t";
  case DType::I8:
    return "int8_t";
  case DType::I16:
    return "int16_t";
  case DType::I32:
    return "int32_t";
  case DType::F16:
  case DType::BF16:
    return "uint16_t";
  case DType::F32:
    return "float";
  case DType::F64:
    return "double";
  default:
    return "int64_t";
  }
}

/// A literal of C and C++. '?' could begin a trigraph.
static std::string quote(StringRef text) {
  std::string literal = "\"";
  for (unsigned char c : text) {
    if (isPrint(c) && c != '"' && c != '\\' && c != '?')
      literal += c;
    else
      literal += "\\" + formatv("{0}{1}{2}", c >> 6, c >> 3 & 7, c & 7).str();
  }
  return literal + "\"";
}

/// "f(0), f(1), ..., f(count - 1)", on as many lines as it takes.
template <typename Format> static std::string list(size_t count, Format format) {
  constexpr size_t lineLength = 72;
  std::string text, line;
  for (size_t i = 0; i < count; ++i) {
    line += (line.empty() ? "" : " ") + format(i) + (i + 1 < count ? "," : "");
    if (line.size() < lineLength && i + 1 < count)
      continue;
    text += (text.empty() ? "" : "\n    ") + line;
    line.clear();
  }
  return text;
}

static std::string numbered(StringRef prefix, size_t number) {
  return prefix.str() + std::to_string(number);
}

/// The descriptor of a rank and what makes one. Headers of several models share it.
static void writeArrayType(raw_ostream &stream, size_t rank) {
  std::string type = numbered("lowbit_array", rank);
  stream << formatv(
      "#ifndef LOWBIT_ARRAY{0}\n#define LOWBIT_ARRAY{0}\n"
      "/* An array of rank {0}; offset{1} in elements. Who made it owns the data. */\n"
      "typedef struct {{\n"
      "  void *base, *aligned;\n  int64_t offset;\n",
      rank, rank ? " and strides" : "");
  if (rank)
    stream << formatv("  int64_t sizes[{0}], strides[{0}];\n", rank);
  stream << formatv("} {0};\nstatic inline {0} lowbit_make_array{1}(const void *data", type, rank);
  for (size_t axis = 0; axis < rank; ++axis)
    stream << ", int64_t " << numbered("size", axis);
  stream << formatv(") {{\n  {0} array = {{(void *)data, (void *)data, 0", type);
  if (rank) {
    stream << ", {" << list(rank, [](size_t axis) { return numbered("size", axis); }) << "}, {";
    stream << list(rank, [&](size_t axis) {
      if (axis + 1 == rank)
        return std::string("1");
      return join(map_range(seq<size_t>(axis + 1, rank),
                            [](size_t inner) { return numbered("size", inner); }),
                  " * ");
    }) << "}";
  }
  stream << "};\n  return array;\n}\n#endif\n\n";
}

static void writeEntry(raw_ostream &stream, const EmbeddedModule::Entry &entry) {
  ArrayRef<ValueType> types = entry.signature->arguments;
  size_t inputs = types.size() - entry.signature->outputs;
  auto nameOf = [&](size_t i) {
    return i < inputs ? numbered("arg", i) : numbered("out", i - inputs);
  };
  stream << "/*";
  for (size_t i = 0, end; i < types.size(); i = end) {
    bool isOutput = i >= inputs;
    for (end = i + 1; end < types.size() && (end >= inputs) == isOutput; ++end)
      if (types[end].str() != types[i].str())
        break;
    stream << (i ? "\n * " : " ") << nameOf(i);
    if (end > i + 1)
      stream << " to " << nameOf(end - 1);
    stream << ": " << types[i].str();
  }
  stream << (types.empty() ? " Without arguments. */\n" : " */\n");
  stream << formatv("static inline void {0}({1}) {{\n", entry.function,
                    types.empty() ? "void" : list(types.size(), [&](size_t i) {
                      std::string type = types[i].isMemRef
                                             ? numbered("lowbit_array", types[i].shape.size())
                                             : getScalarType(types[i].dtype).str();
                      return type + " " + nameOf(i);
                    }));
  stream << formatv("  void *arguments[] = {{{0}};\n  {1}(arguments);\n}\n\n",
                    types.empty() ? "0"
                                  : list(types.size(), [&](size_t i) { return "&" + nameOf(i); }),
                    entry.symbol);
}

static void writeParameters(raw_ostream &stream, const EmbeddedModule &module) {
  size_t axes = 1;
  for (const EmbeddedModule::Parameter &parameter : module.parameters)
    axes = std::max(axes, parameter.value->shape.size());
  stream << formatv(
      "/* Bytes of {0}.weights, and what lies in them. A rank of -1 is a single int64_t. */\n"
      "#define {0}_weights_bytes ((size_t){1})\n"
      "struct {0}_parameter {{\n"
      "  int64_t *symbol; /* what the code reads: a descriptor as above, or the int64_t */\n"
      "  const char *key, *component, *dtype;\n"
      "  int64_t rank, shape[{2}];\n"
      "  size_t offset, bytes;\n"
      "};\n"
      "static const struct {0}_parameter {0}_parameters[] = {{\n",
      module.name, module.weightsBytes, axes);
  for (const auto &[parameter, value, symbol, offset] : module.parameters) {
    int64_t rank = parameter->type.isMemRef ? int64_t(value->shape.size()) : -1;
    std::string shape =
        rank > 0 ? join(map_range(value->shape, [](int64_t n) { return std::to_string(n); }), ", ")
                 : "0";
    stream << formatv("    {{{0}, {1}, {2}, {3}, {4}, {{{5}}, {6}, {7}},\n", symbol,
                      quote(parameter->key), quote(parameter->component),
                      quote(getDTypeName(value->dtype).lower()), rank, shape, offset,
                      value->data.size());
  }
  stream << "};\n\n";
  // A descriptor: two pointers, the offset, sizes and strides, all of them words.
  stream << formatv(
      "/* Points the code at its parameters; before the first call. `weights`: the bytes of\n"
      " * {0}.weights, aligned to {1} bytes, which stay there and are only read. */\n"
      "static inline void {0}_set_parameters(const void *weights) {{\n"
      "  size_t i;\n"
      "  for (i = 0; i < sizeof {0}_parameters / sizeof *{0}_parameters; ++i) {{\n"
      "    const struct {0}_parameter *parameter = &{0}_parameters[i];\n"
      "    const char *data = (const char *)weights + parameter->offset;\n"
      "    int64_t axis, stride = 1, *words = parameter->symbol;\n"
      "    if (parameter->rank < 0) {{\n"
      "      memcpy(words, data, sizeof *words);\n"
      "      continue;\n"
      "    }\n"
      "    words[0] = words[1] = (int64_t)(intptr_t)data;\n"
      "    words[2] = 0;\n"
      "    for (axis = parameter->rank; axis-- > 0; stride *= parameter->shape[axis]) {{\n"
      "      words[3 + axis] = parameter->shape[axis];\n"
      "      words[3 + parameter->rank + axis] = stride;\n"
      "    }\n"
      "  }\n"
      "}\n\n",
      module.name, EmbeddedModule::alignment);
}

std::string EmbeddedModule::formatHeader() const {
  std::string text;
  raw_string_ostream stream(text);
  stream << formatv(
      "/* {0}: compiled by Lowbit, for processors that can do what the one it was compiled for "
      "can.\n"
      " *\n"
      " * Link with {0}.o{1} and libm.\n"
      " *\n"
      " * Arrays are row-major without gaps, aligned to their elements: lowbit_make_arrayN(data,\n"
      " * sizes...), of the type and sizes that each entry says (?: any). An i1 is a byte, 0 or "
      "1;\n"
      " * f16 and bf16 are bits. An entry may update its arguments `arg` in place, and writes all\n"
      " * of `out`. Nothing is checked. Calls at the same time must not share arrays that they\n"
      " * write to. NAME_packed takes the addresses of the arguments that NAME takes.\n"
      " */\n"
      "#ifndef LOWBIT_EMITTED_{0}\n#define LOWBIT_EMITTED_{0}\n\n"
      "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n",
      name, usesThreads ? ", libomp (OMP_NUM_THREADS, omp_set_num_threads() or all cores)" : "");
  std::set<size_t> ranks;
  for (const Entry &entry : entries)
    for (const ValueType &type : entry.signature->arguments)
      if (type.isMemRef)
        ranks.insert(type.shape.size());
  for (size_t rank : ranks)
    writeArrayType(stream, rank);

  stream << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
  for (const Entry &entry : entries)
    stream << formatv("void {0}(void **arguments);\n", entry.symbol);
  for (const auto &[parameter, value, symbol, offset] : parameters)
    stream << formatv("extern int64_t {0}[{1}];\n", symbol,
                      parameter->type.isMemRef
                          ? MemRefDescriptor(value->data.data(), value->shape).getWords().size()
                          : 1);
  stream << "#ifdef __cplusplus\n}\n#endif\n\n";
  if (!parameters.empty())
    writeParameters(stream, *this);
  for (const Entry &entry : entries)
    writeEntry(stream, entry);
  stream << "#endif\n";
  return text;
}
