//===- MappedFile.cpp - A file mapped for reading ------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/MappedFile.h"

#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Process.h"

#include <sys/mman.h>

using namespace llvm;

namespace lowbit {

static Error makeOpenError(StringRef path, std::error_code code, const Twine &what) {
  return createStringError(code, path + ": " + what);
}

Expected<std::unique_ptr<MappedFile>> MappedFile::open(StringRef path) {
  // Before opening: to open a pipe would wait for its writer.
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status))
    return makeOpenError(path, code, "cannot open: " + code.message() + ": check the path");
  if (status.type() == sys::fs::file_type::directory_file)
    return makeOpenError(path, std::make_error_code(std::errc::is_a_directory),
                         "is a directory: give the file in it");
  if (status.type() != sys::fs::file_type::regular_file)
    return makeOpenError(path, std::make_error_code(std::errc::invalid_argument),
                         "is not a regular file: copy its content to one, it has to be mapped");

  Expected<sys::fs::file_t> descriptor = sys::fs::openNativeFileForRead(path);
  if (!descriptor)
    return makeOpenError(path, std::make_error_code(std::errc::permission_denied),
                         "cannot open: " + toString(descriptor.takeError()));
  std::error_code code = sys::fs::status(*descriptor, status);
  if (!code && status.getSize() == 0) {
    sys::fs::closeFile(*descriptor);
    return makeOpenError(path, std::make_error_code(std::errc::invalid_argument),
                         "byte 0: the file is empty: download or copy it again");
  }
  sys::fs::mapped_file_region region;
  if (!code)
    region = sys::fs::mapped_file_region(*descriptor, sys::fs::mapped_file_region::readonly,
                                         status.getSize(), 0, code);
  sys::fs::closeFile(*descriptor);
  if (code)
    return makeOpenError(path, code, "cannot map: " + code.message());
  ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t *>(region.const_data()), region.size());
  return std::unique_ptr<MappedFile>(new MappedFile(path.str(), bytes, std::move(region)));
}

std::unique_ptr<MappedFile> MappedFile::fromMemory(StringRef name, ArrayRef<uint8_t> bytes) {
  return std::unique_ptr<MappedFile>(new MappedFile(name.str(), bytes, {}));
}

Error MappedFile::makeError(uint64_t offset, const Twine &what) const {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           path + ": byte " + Twine(offset) + ": " + what);
}

// Addresses as integers: whole pages need not lie inside the bytes. Never for memory that is no
// map: the kernel would empty its pages.
static void advise(uintptr_t begin, uintptr_t end, int advice) {
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, advice);
}

void MappedFile::willNeed(ArrayRef<uint8_t> bytes) const {
  if (!region)
    return;
  const uintptr_t page = sys::Process::getPageSizeEstimate();
  auto begin = reinterpret_cast<uintptr_t>(bytes.begin());
  advise(alignDown(begin, page), begin + bytes.size(), MADV_WILLNEED);
}

void MappedFile::release(ArrayRef<uint8_t> bytes) const {
  if (!region)
    return;
  const uintptr_t page = sys::Process::getPageSizeEstimate();
  auto begin = reinterpret_cast<uintptr_t>(bytes.begin());
  advise(alignTo(begin, page), alignDown(begin + bytes.size(), page), MADV_DONTNEED);
}

} // namespace lowbit
