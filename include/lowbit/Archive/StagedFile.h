//===- StagedFile.h - A file that appears when it is whole ------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_STAGEDFILE_H
#define LOWBIT_ARCHIVE_STAGEDFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// Where a file named `path` is to be put: a symbolic link stays, and what it points to is written.
/// Fails for what a rename would destroy: a directory, a device, a pipe.
llvm::Expected<std::string> findDestination(llvm::StringRef path);

/// What writers of tensor files share: a header, then tensors one after the other, so that no more
/// than a piece of one need be in memory. Everything goes to a temporary file beside the
/// destination of `path`, which commit() renames; without commit() the destructor removes it, and
/// `path` is as it was.
class StagedFile {
public:
  virtual ~StagedFile();
  StagedFile(const StagedFile &) = delete;
  StagedFile &operator=(const StagedFile &) = delete;

  /// Appends bytes to the current tensor, the first declared one that is not complete. A tensor may
  /// come in several pieces; a piece belongs to one tensor.
  llvm::Error append(llvm::ArrayRef<uint8_t> bytes);
  /// Makes the file visible under its name. Fails, and leaves nothing behind, if a tensor is
  /// incomplete. append() and commit() must not be called after it.
  llvm::Error commit();

protected:
  /// Where a tensor's bytes go.
  struct Slot {
    std::string name; ///< for messages
    uint64_t offset;  ///< from the start of the file
    uint64_t size;
  };

  /// `slots` in the order in which their bytes will come, which need not be that of the file.
  StagedFile(llvm::StringRef path, std::vector<Slot> slots) : path(path), slots(std::move(slots)) {}
  /// Creates the temporary file with `size` bytes: the header, then zeros until they are written.
  llvm::Error open(llvm::ArrayRef<uint8_t> header, uint64_t size);

  /// `PATH: cannot write: WHAT`, the one form of complaint of every writer.
  static llvm::Error makeWriteError(llvm::StringRef path, const llvm::Twine &what);

private:
  llvm::Error write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);
  void discard();
  void skipComplete();

  std::string path; // as given, for messages
  std::string destination;
  std::string temporaryPath;
  int descriptor = -1;     // -1 unless open
  std::vector<Slot> slots; // as declared
  size_t current = 0;
  uint64_t written = 0; // bytes of the current tensor
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_STAGEDFILE_H
