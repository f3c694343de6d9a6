//===- WriteFile.cpp - All of a file, or none of it -----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WriteFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

Error lowbit::writeFile(StringRef path, ArrayRef<StringRef> pieces) {
  auto fail = [&](std::error_code code) {
    return createStringError(code, path + ": cannot write: " + code.message() +
                                       ": check that the folder exists and is writable");
  };
  if (sys::fs::is_directory(path))
    return createStringError(path + ": cannot write: it is a directory: give a file name");
  // A rename would put a file in the place of a device or a pipe.
  if (sys::fs::exists(path) && !sys::fs::is_regular_file(path))
    return createStringError(path + ": cannot write: it is not a regular file");
  SmallString<128> temporary;
  int descriptor;
  if (std::error_code code = sys::fs::createUniqueFile(path + ".%%%%%%%%.tmp", descriptor,
                                                       temporary, sys::fs::OF_None, 0666))
    return fail(code);
  raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  for (StringRef piece : pieces)
    stream << piece;
  stream.close();
  std::error_code code = stream.error();
  stream.clear_error(); // else the stream's destructor ends the process
  if (!code)
    code = sys::fs::rename(temporary, path);
  if (!code)
    return Error::success();
  sys::fs::remove(temporary);
  return fail(code);
}
