//===- WriteFile.cpp - All of a file, or none of it -----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WriteFile.h"

#include "lowbit/Archive/StagedFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

Error lowbit::writeFile(StringRef path, ArrayRef<StringRef> pieces) {
  auto fail = [&](std::error_code code) {
    return createStringError(code, path + ": cannot write: " + code.message() +
                                       ": check that the folder exists and is writable");
  };
  Expected<std::string> destination = findDestination(path);
  if (!destination)
    return destination.takeError();
  SmallString<128> temporary;
  int descriptor;
  if (std::error_code code = sys::fs::createUniqueFile(*destination + ".%%%%%%%%.tmp", descriptor,
                                                       temporary, sys::fs::OF_None, 0666))
    return fail(code);
  raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  for (StringRef piece : pieces)
    stream << piece;
  stream.close();
  std::error_code code = stream.error();
  stream.clear_error(); // else the stream's destructor ends the process
  if (!code)
    code = sys::fs::rename(temporary, *destination);
  if (!code)
    return Error::success();
  sys::fs::remove(temporary);
  return fail(code);
}
