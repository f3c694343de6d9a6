//===- SafetensorsWriter.cpp - Writer of safetensors files ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Safetensors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

using namespace llvm;

namespace lowbit {

// More than the 8 bytes the format asks for: the data begins on a cache line.
static constexpr uint64_t dataAlignment = 64;

static Error makeWriteError(StringRef path, const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           path + ": cannot write: " + what);
}

static Error makeErrnoError(StringRef path, int number) {
  std::error_code code(number, std::generic_category());
  return createStringError(code, path + ": cannot write: " + code.message());
}

static Error checkDeclarations(StringRef path,
                               ArrayRef<SafetensorsWriter::Declaration> declarations) {
  StringSet<> names;
  uint64_t total = 0;
  for (const SafetensorsWriter::Declaration &declaration : declarations) {
    const std::string &name = declaration.name;
    if (name.empty() || name == "__metadata__" || !json::isUTF8(name))
      return makeWriteError(path, "'" + json::fixUTF8(name) + "' cannot be a tensor's name");
    if (!names.insert(name).second)
      return makeWriteError(path, "two tensors are named '" + name + "'");
    std::optional<uint64_t> size = countBytes(declaration.dtype, declaration.shape);
    if (!size || *size > INT64_MAX - total)
      return makeWriteError(path, "tensor '" + name + "' has the impossible shape " +
                                      formatShape(declaration.shape) + " of " +
                                      getDTypeName(declaration.dtype));
    total += *size;
  }
  return Error::success();
}

// The first eight bytes and the padded header. `order` is that of the data, and so are `offsets`.
static std::string formatHeader(ArrayRef<SafetensorsWriter::Declaration> declarations,
                                ArrayRef<size_t> order, ArrayRef<uint64_t> offsets,
                                ArrayRef<SafetensorsWriter::MetadataEntry> metadata) {
  std::string text(8, '\0');
  {
    raw_string_ostream stream(text);
    json::OStream os(stream);
    os.object([&] {
      if (!metadata.empty())
        os.attributeObject("__metadata__", [&] {
          for (const auto &[key, value] : metadata)
            os.attribute(key, value);
        });
      for (auto [i, offset] : zip_equal(order, offsets)) {
        const SafetensorsWriter::Declaration &declaration = declarations[i];
        uint64_t size = *countBytes(declaration.dtype, declaration.shape);
        os.attributeObject(declaration.name, [&, offset = offset] {
          os.attribute("dtype", getDTypeName(declaration.dtype));
          os.attributeArray("shape", [&] {
            for (int64_t extent : declaration.shape)
              os.value(extent);
          });
          os.attributeArray("data_offsets", [&] {
            os.value(offset);
            os.value(offset + size);
          });
        });
      }
    });
  }
  text.resize(alignTo(text.size(), dataAlignment), ' ');
  support::endian::write64le(text.data(), text.size() - 8);
  return text;
}

Expected<std::unique_ptr<SafetensorsWriter>>
SafetensorsWriter::create(StringRef path, ArrayRef<Declaration> declarations,
                          ArrayRef<MetadataEntry> metadata) {
  if (Error error = checkDeclarations(path, declarations))
    return std::move(error);
  // A rename would put a file in the place of a device or a pipe.
  if (sys::fs::exists(path) && !sys::fs::is_directory(path) && !sys::fs::is_regular_file(path))
    return createStringError(path + ": cannot write: it is not a regular file");
  StringSet<> keys;
  for (const auto &[key, value] : metadata) {
    if (!json::isUTF8(key) || !json::isUTF8(value))
      return makeWriteError(path, "the metadata '" + json::fixUTF8(key) + "' is not UTF-8");
    if (!keys.insert(key).second)
      return makeWriteError(path, "two metadata entries are named '" + key + "'");
  }

  auto order = llvm::to_vector(seq<size_t>(0, declarations.size()));
  sort(order, [&](size_t a, size_t b) {
    unsigned alignmentA = getAlignment(declarations[a].dtype);
    unsigned alignmentB = getAlignment(declarations[b].dtype);
    return alignmentA != alignmentB ? alignmentA > alignmentB : a < b;
  });
  SmallVector<uint64_t> offsets;
  uint64_t end = 0;
  for (size_t i : order) {
    offsets.push_back(end);
    end += *countBytes(declarations[i].dtype, declarations[i].shape);
  }
  std::string header = formatHeader(declarations, order, offsets, metadata);
  if (header.size() - 8 > maxSafetensorsHeader)
    return makeWriteError(path, "the header has " + Twine(header.size()) +
                                    " bytes, more than the " + Twine(maxSafetensorsHeader) +
                                    " that safetensors allows");
  std::vector<Slot> slots(declarations.size());
  for (auto [i, offset] : zip_equal(order, offsets))
    slots[i] = {declarations[i].name, header.size() + offset,
                *countBytes(declarations[i].dtype, declarations[i].shape)};

  if (sys::fs::is_directory(path))
    return makeWriteError(path, "it is a directory: give a file name");
  // Hidden, and in the same folder: rename is atomic only within a file system.
  SmallString<128> model = sys::path::parent_path(path);
  sys::path::append(model, "." + sys::path::filename(path) + ".%%%%%%%%.tmp");
  SmallString<128> temporaryPath;
  int descriptor = -1;
  if (std::error_code code = sys::fs::createUniqueFile(model, descriptor, temporaryPath))
    return createStringError(code, path + ": cannot write: " + code.message() +
                                       ": check that the folder exists and is writable");
  std::unique_ptr<SafetensorsWriter> writer(
      new SafetensorsWriter(path.str(), temporaryPath.str().str(), descriptor, std::move(slots)));
  if (Error error = writer->write(0, arrayRefFromStringRef(header)))
    return std::move(error);
  writer->skipComplete();
  return writer;
}

SafetensorsWriter::~SafetensorsWriter() { discard(); }

void SafetensorsWriter::discard() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  descriptor = -1;
  sys::fs::remove(temporaryPath);
}

Error SafetensorsWriter::makeError(const Twine &what) const { return makeWriteError(path, what); }

Error SafetensorsWriter::write(uint64_t offset, ArrayRef<uint8_t> bytes) {
  // Linux transfers less than 2 GiB at a time.
  constexpr size_t maxPiece = size_t(1) << 30;
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(descriptor, bytes.data(), std::min(bytes.size(), maxPiece),
                             static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR)
        continue;
      return makeErrnoError(path, errno);
    }
    bytes = bytes.drop_front(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return Error::success();
}

void SafetensorsWriter::skipComplete() {
  while (current < slots.size() && written == slots[current].size) {
    ++current;
    written = 0;
  }
}

Error SafetensorsWriter::append(ArrayRef<uint8_t> bytes) {
  if (descriptor < 0)
    return makeError("the file is committed or discarded already");
  if (bytes.empty())
    return Error::success();
  if (current == slots.size())
    return makeError(Twine(bytes.size()) + " bytes are left over after the last tensor");
  const Slot &slot = slots[current];
  if (bytes.size() > slot.size - written)
    return makeError("tensor '" + slot.name + "' has " + Twine(slot.size) + " bytes, but got " +
                     Twine(written + bytes.size()));
  if (Error error = write(slot.offset + written, bytes))
    return error;
  written += bytes.size();
  skipComplete();
  return Error::success();
}

Error SafetensorsWriter::commit() {
  if (descriptor < 0)
    return makeError("the file is committed or discarded already");
  if (current != slots.size()) {
    Error error = makeError("tensor '" + slots[current].name + "' got " + Twine(written) + " of " +
                            Twine(slots[current].size) + " bytes");
    discard();
    return error;
  }
  // Data before name: a crash must not leave an empty file under `path`.
  if (::fsync(descriptor) != 0) {
    Error error = makeErrnoError(path, errno);
    discard();
    return error;
  }
  if (std::error_code code = sys::fs::rename(temporaryPath, path)) {
    discard();
    return createStringError(code, path + ": cannot write: " + code.message());
  }
  ::close(descriptor);
  descriptor = -1;
  return Error::success();
}

} // namespace lowbit
