//===- LinkObject.cpp - From an object file to a shared object ------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinkObject.h"

#include "../Runtime/WriteFile.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace llvm;
using namespace lowbit;

LLD_HAS_DRIVER(elf)

// Builtins.S: an archive of objects.
extern "C" const char lowbitBuiltinsBegin[], lowbitBuiltinsEnd[];

static Error runLinker(ArrayRef<const char *> arguments) {
  // The linker keeps its state in globals.
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return createStringError("the linker has failed before in this process: start a new one");
  std::string text;
  raw_string_ostream stream(text);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode == 0)
    return Error::success();
  return createStringError("compiled code cannot be linked: " + StringRef(text).rtrim());
}

Expected<std::vector<uint8_t>> lowbit::linkSharedObject(StringRef object) {
  // The linker reads and writes files.
  SmallString<128> folder;
  if (std::error_code code = sys::fs::createUniqueDirectory("lowbit-link", folder))
    return createStringError("no folder for temporary files can be made: " + code.message() +
                             ": name another one in TMPDIR");
  scope_exit remove([&] { sys::fs::remove_directories(folder); });
  auto pathOf = [&](StringRef name) {
    SmallString<128> path = folder;
    sys::path::append(path, name);
    return std::string(path);
  };
  std::string input = pathOf("code.o"), builtins = pathOf("builtins.a"), output = pathOf("code.so");
  if (Error error = writeFile(input, object))
    return std::move(error);
  if (Error error = writeFile(
          builtins, StringRef(lowbitBuiltinsBegin, lowbitBuiltinsEnd - lowbitBuiltinsBegin)))
    return std::move(error);
  if (Error error = runLinker({"ld.lld", "-shared", "-Bsymbolic", "--threads=1", "--gc-sections",
                               "--hash-style=gnu", "-znow", "--exclude-libs=ALL", "-o",
                               output.c_str(), input.c_str(), builtins.c_str()}))
    return std::move(error);
  ErrorOr<std::unique_ptr<MemoryBuffer>> linked = MemoryBuffer::getFile(output);
  if (!linked)
    return createStringError(output + ": cannot be read: " + linked.getError().message());
  ArrayRef<uint8_t> bytes = arrayRefFromStringRef((*linked)->getBuffer());
  return bytes.vec();
}
