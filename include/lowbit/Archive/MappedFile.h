//===- MappedFile.h - A file mapped for reading -----------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_MAPPEDFILE_H
#define LOWBIT_ARCHIVE_MAPPEDFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"

#include <cstdint>
#include <memory>
#include <string>

namespace lowbit {

/// A regular file mapped read-only. Pages come from the page cache, so a file larger than memory
/// can be mapped. The file must not be truncated while it is mapped (replacing it by rename is
/// safe).
class MappedFile {
public:
  /// Fails, naming the path, for a missing, unreadable or empty file and for anything that is not a
  /// regular file (a directory, a pipe).
  static llvm::Expected<std::unique_ptr<MappedFile>> open(llvm::StringRef path);
  /// A file whose content is in memory already and stays there, unowned; `name` stands for its path
  /// in messages.
  static std::unique_ptr<MappedFile> fromMemory(llvm::StringRef name,
                                                llvm::ArrayRef<uint8_t> bytes);

  llvm::StringRef getPath() const { return path; }
  llvm::ArrayRef<uint8_t> getBytes() const { return bytes; }
  uint64_t size() const { return bytes.size(); }

  /// `PATH: byte OFFSET: WHAT`, the one form of every complaint about a file's content. `what` says
  /// what is wrong, then what to do.
  llvm::Error makeError(uint64_t offset, const llvm::Twine &what) const;

  /// Hints to the kernel; they never change what is read. `bytes` must lie in the map.
  /// These bytes will be read front to back, soon.
  void willNeed(llvm::ArrayRef<uint8_t> bytes) const;
  /// These bytes are not needed for now: drops the whole pages inside them from this process.
  void release(llvm::ArrayRef<uint8_t> bytes) const;

private:
  MappedFile(std::string path, llvm::ArrayRef<uint8_t> bytes,
             llvm::sys::fs::mapped_file_region region)
      : path(std::move(path)), region(std::move(region)), bytes(bytes) {}

  std::string path;
  llvm::sys::fs::mapped_file_region region; // none behind memory
  llvm::ArrayRef<uint8_t> bytes;
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_MAPPEDFILE_H
