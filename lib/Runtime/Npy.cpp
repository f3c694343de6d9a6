//===- Npy.cpp - numpy's file format --------------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Npy.h"

#include "WriteFile.h"
#include "lowbit/Archive/MappedFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace lowbit;

namespace {
constexpr StringLiteral magic("\x93NUMPY");

/// Parses the header, a Python dictionary with exactly the keys descr, fortran_order and shape.
class HeaderParser {
public:
  HeaderParser(const MappedFile &file, uint64_t begin, uint64_t end)
      : file(file), text(reinterpret_cast<const char *>(file.getBytes().data()), end), at(begin) {}

  Error parse() {
    if (Error error = expect("{"))
      return error;
    while (!accept("}")) {
      Expected<std::string> key = parseString();
      if (!key)
        return key.takeError();
      if (Error error = expect(":"))
        return error;
      if (Error error = parseValue(*key))
        return error;
      if (accept(","))
        continue;
      if (Error error = expect("}"))
        return error;
      break;
    }
    skipSpace();
    if (at != text.size())
      return fail("there is something after the header's dictionary");
    if (!descr || !fortranOrder || !shape)
      return fail("the header lacks one of 'descr', 'fortran_order' and 'shape'");
    return Error::success();
  }

  std::optional<std::string> descr;
  std::optional<bool> fortranOrder;
  std::optional<SmallVector<int64_t, 4>> shape;

private:
  Error fail(const Twine &what) const {
    return file.makeError(at, what + ": write the array again with numpy.save");
  }
  void skipSpace() {
    while (at < text.size() && isSpace(text[at]))
      ++at;
  }
  bool accept(StringRef token) {
    skipSpace();
    if (!text.substr(at).starts_with(token))
      return false;
    at += token.size();
    return true;
  }
  Error expect(StringRef token) {
    return accept(token) ? Error::success() : fail("expected '" + token + "' in the header");
  }

  Expected<std::string> parseString() {
    skipSpace();
    if (at >= text.size() || (text[at] != '\'' && text[at] != '"'))
      return fail("expected a string in the header");
    size_t end = text.find(text[at], at + 1);
    if (end == StringRef::npos)
      return fail("a string in the header does not end");
    std::string value = text.slice(at + 1, end).str();
    at = end + 1;
    return value;
  }

  Error parseValue(StringRef key) {
    if (key == "descr" && !descr) {
      Expected<std::string> value = parseString();
      if (!value)
        return value.takeError();
      descr = std::move(*value);
      return Error::success();
    }
    if (key == "fortran_order" && !fortranOrder) {
      if (accept("True"))
        fortranOrder = true;
      else if (accept("False"))
        fortranOrder = false;
      else
        return fail("'fortran_order' is neither True nor False");
      return Error::success();
    }
    if (key == "shape" && !shape)
      return parseShape();
    return fail("the header has an unknown or repeated key '" + key + "'");
  }

  Error parseShape() {
    shape.emplace();
    if (Error error = expect("("))
      return error;
    while (!accept(")")) {
      skipSpace();
      StringRef digits = text.substr(at).take_while(isDigit);
      int64_t extent;
      if (digits.getAsInteger(10, extent))
        return fail("an extent of 'shape' is not a whole number of up to 63 bits");
      at += digits.size();
      shape->push_back(extent);
      if (accept(","))
        continue;
      if (Error error = expect(")"))
        return error;
      break;
    }
    return Error::success();
  }

  const MappedFile &file;
  StringRef text;
  size_t at;
};
} // namespace

static std::optional<DType> dtypeOf(StringRef descr) {
  return StringSwitch<std::optional<DType>>(descr)
      .Case("|b1", DType::Bool)
      .Case("|i1", DType::I8)
      .Case("|u1", DType::U8)
      .Case("<i2", DType::I16)
      .Case("<u2", DType::U16)
      .Case("<i4", DType::I32)
      .Case("<u4", DType::U32)
      .Case("<i8", DType::I64)
      .Case("<u8", DType::U64)
      .Case("<f2", DType::F16)
      .Case("<f4", DType::F32)
      .Case("<f8", DType::F64)
      .Default(std::nullopt);
}

static StringRef descrOf(DType dtype) {
  switch (dtype) {
  case DType::Bool:
    return "|b1";
  case DType::I8:
    return "|i1";
  case DType::U8:
    return "|u1";
  case DType::I16:
    return "<i2";
  case DType::U16:
  case DType::BF16:
    return "<u2";
  case DType::I32:
    return "<i4";
  case DType::U32:
    return "<u4";
  case DType::I64:
    return "<i8";
  case DType::U64:
    return "<u8";
  case DType::F16:
    return "<f2";
  case DType::F32:
    return "<f4";
  case DType::F64:
    return "<f8";
  default:
    return "";
  }
}

Expected<Array> lowbit::readNpy(StringRef path) {
  Expected<std::unique_ptr<MappedFile>> opened = MappedFile::open(path);
  if (!opened)
    return opened.takeError();
  const MappedFile &file = **opened;
  ArrayRef<uint8_t> bytes = file.getBytes();
  if (toStringRef(bytes.take_front(magic.size())) != magic)
    return file.makeError(0, "this is not a .npy file: write one with numpy.save");
  if (bytes.size() < 12)
    return file.makeError(bytes.size(), "the file ends inside its header: it was cut short");
  unsigned major = bytes[6];
  if (major < 1 || major > 3)
    return file.makeError(6, formatv("version {0}.{1} of the .npy format is not known: write the "
                                     "array with numpy.save",
                                     major, unsigned(bytes[7])));
  uint64_t start = major == 1 ? 10 : 12;
  uint64_t length =
      major == 1 ? support::endian::read16le(&bytes[8]) : support::endian::read32le(&bytes[8]);
  if (length > bytes.size() - start)
    return file.makeError(8, "the header is longer than the file: it was cut short");
  HeaderParser header(file, start, start + length);
  if (Error error = header.parse())
    return std::move(error);

  std::optional<DType> dtype = dtypeOf(*header.descr);
  if (!dtype)
    return file.makeError(start, "elements of type '" + *header.descr +
                                     "' are not supported: convert them with numpy.astype to a "
                                     "little-endian bool, integer or float of up to 64 bits");
  if (*header.fortranOrder && header.shape->size() > 1)
    return file.makeError(start,
                          "the array is in Fortran order: save numpy.ascontiguousarray of it");
  std::optional<uint64_t> size = countBytes(*dtype, *header.shape);
  uint64_t left = bytes.size() - start - length;
  if (!size || *size != left)
    return file.makeError(start + length,
                          "an array of type " + formatArrayType(*dtype, *header.shape) +
                              (size ? formatv(" takes {0} bytes", *size).str() : " is too large") +
                              formatv(", the file has {0}: it was cut short or damaged", left));
  Expected<Array> array = Array::allocate(*dtype, *header.shape);
  if (array && *size)
    memcpy(array->bytes().data(), bytes.data() + start + length, *size);
  return array;
}

Error lowbit::writeNpy(StringRef path, const Array &array) {
  StringRef descr = descrOf(array.getDType());
  if (descr.empty())
    return createFileError(
        path, createStringError("numpy has no element type " + getDTypeName(array.getDType())));
  std::string shape = "(";
  for (int64_t extent : array.getShape())
    shape += std::to_string(extent) + (array.getShape().size() == 1 ? "," : ", ");
  if (array.getShape().size() > 1)
    shape.resize(shape.size() - 2);
  std::string header =
      formatv("{{'descr': '{0}', 'fortran_order': False, 'shape': {1}), }", descr, shape);
  // The data starts at a multiple of 64, and the header ends with a newline.
  constexpr size_t prefix = 10;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';

  std::string start = magic.str();
  start += {'\1', '\0', char(header.size() & 0xff), char(header.size() >> 8)};
  return writeFile(path, {start, header, toStringRef(array.bytes())});
}
