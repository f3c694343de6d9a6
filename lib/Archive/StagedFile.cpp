//===- StagedFile.cpp - A file that appears when it is whole -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/StagedFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <unistd.h>

using namespace llvm;

namespace lowbit {

Expected<std::string> findDestination(StringRef path) {
  auto fail = [&](const Twine &what) {
    return createStringError(std::make_error_code(std::errc::invalid_argument),
                             path + ": cannot write: " + what);
  };
  namespace fs = std::filesystem;
  fs::path destination = path.str();
  std::error_code code;
  // By hand, as a link to a file that does not exist yet is fine.
  for (unsigned links = 0; fs::is_symlink(destination, code); ++links) {
    if (links == 40) // as Linux has it
      return fail("too many symbolic links, or a circle of them");
    destination = destination.parent_path() / fs::read_symlink(destination, code);
  }
  if (fs::is_directory(destination, code))
    return fail("it is a directory: give a file name");
  if (fs::exists(destination, code) && !fs::is_regular_file(destination, code))
    return fail("it is not a regular file");
  return destination.string();
}

Error StagedFile::makeWriteError(StringRef path, const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           path + ": cannot write: " + what);
}

static Error makeErrnoError(StringRef path, int number) {
  std::error_code code(number, std::generic_category());
  return createStringError(code, path + ": cannot write: " + code.message());
}

StagedFile::~StagedFile() { discard(); }

Error StagedFile::open(ArrayRef<uint8_t> header, uint64_t size) {
  if (Error error = findDestination(path).moveInto(destination))
    return error;
  // Hidden, and in the same folder: rename is atomic only within a file system.
  SmallString<128> model = sys::path::parent_path(destination);
  sys::path::append(model, "." + sys::path::filename(destination) + ".%%%%%%%%.tmp");
  SmallString<128> name;
  if (std::error_code code = sys::fs::createUniqueFile(model, descriptor, name)) {
    descriptor = -1;
    return createStringError(code, path + ": cannot write: " + code.message() +
                                       ": check that the folder exists and is writable");
  }
  temporaryPath = name.str().str();
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0)
    return makeErrnoError(path, errno);
  if (Error error = write(0, header))
    return error;
  skipComplete();
  return Error::success();
}

void StagedFile::discard() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  descriptor = -1;
  sys::fs::remove(temporaryPath);
}

Error StagedFile::write(uint64_t offset, ArrayRef<uint8_t> bytes) {
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

void StagedFile::skipComplete() {
  while (current < slots.size() && written == slots[current].size) {
    ++current;
    written = 0;
  }
}

Error StagedFile::append(ArrayRef<uint8_t> bytes) {
  if (descriptor < 0)
    return makeWriteError(path, "the file is committed or discarded already");
  if (bytes.empty())
    return Error::success();
  if (current == slots.size())
    return makeWriteError(path, Twine(bytes.size()) + " bytes are left over after the last tensor");
  const Slot &slot = slots[current];
  if (bytes.size() > slot.size - written)
    return makeWriteError(path, "tensor '" + slot.name + "' has " + Twine(slot.size) +
                                    " bytes, but got " + Twine(written + bytes.size()));
  if (Error error = write(slot.offset + written, bytes))
    return error;
  written += bytes.size();
  skipComplete();
  return Error::success();
}

Error StagedFile::commit() {
  if (descriptor < 0)
    return makeWriteError(path, "the file is committed or discarded already");
  if (current != slots.size()) {
    Error error =
        makeWriteError(path, "tensor '" + slots[current].name + "' got " + Twine(written) + " of " +
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
  if (std::error_code code = sys::fs::rename(temporaryPath, destination)) {
    discard();
    return createStringError(code, path + ": cannot write: " + code.message());
  }
  ::close(descriptor);
  descriptor = -1;
  return Error::success();
}

} // namespace lowbit
