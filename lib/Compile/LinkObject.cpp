//===- LinkObject.cpp - From an object file to a shared object ------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinkObject.h"

#include "../Runtime/WriteFile.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace lowbit;

// Builtins.S: an archive of objects for each architecture, empty where this build has none.
extern "C" const char lowbitBuiltinsX86Begin[], lowbitBuiltinsX86End[];
extern "C" const char lowbitBuiltinsArmBegin[], lowbitBuiltinsArmEnd[];

static Expected<StringRef> getBuiltins(StringRef architecture) {
  bool isX86 = architecture == "x86_64";
  const char *begin = isX86 ? lowbitBuiltinsX86Begin : lowbitBuiltinsArmBegin;
  const char *end = isX86 ? lowbitBuiltinsX86End : lowbitBuiltinsArmEnd;
  if (begin == end)
    return createStringError("this build of Lowbit has no functions for " + architecture +
                             ", which compiled code calls: install C and C++ headers for it "
                             "(Debian: libstdc++-12-dev-arm64-cross on x86-64) and build again");
  return StringRef(begin, end - begin);
}

/// LLVM's linker: a process of its own, since within this one it would reset LLVM's options.
static Expected<std::string> findLinker() {
  if (sys::fs::can_execute(LOWBIT_LINKER_PATH))
    return LOWBIT_LINKER_PATH;
  for (StringRef name : {"ld.lld-22", "ld.lld"})
    if (ErrorOr<std::string> found = sys::findProgramByName(name))
      return *found;
  return createStringError("there is no ld.lld to link compiled code: install lld-22 (Debian), or "
                           "name its folder in PATH");
}

static std::string readText(StringRef path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> text = MemoryBuffer::getFile(path);
  return text ? (*text)->getBuffer().trim().str() : "";
}

/// Runs the linker on object files and builtins.
static Expected<std::vector<uint8_t>> link(ArrayRef<StringRef> objects, ArrayRef<StringRef> options,
                                           StringRef architecture) {
  Expected<StringRef> builtinsArchive = getBuiltins(architecture);
  if (!builtinsArchive)
    return builtinsArchive.takeError();
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
  std::string builtins = pathOf("builtins.a"), output = pathOf("linked");
  std::vector<std::string> inputs;
  for (StringRef object : objects) {
    inputs.push_back(pathOf("code." + std::to_string(inputs.size()) + ".o"));
    if (Error error = writeFile(inputs.back(), object))
      return std::move(error);
  }
  if (Error error = writeFile(builtins, *builtinsArchive))
    return std::move(error);
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  std::string messages = pathOf("messages"), reason;
  std::optional<StringRef> streams[] = {StringRef(), StringRef(messages), StringRef(messages)};
  SmallVector<StringRef> arguments = {*linker, "--threads=1", "-o", output};
  append_range(arguments, options);
  append_range(arguments, inputs);
  arguments.push_back(builtins);
  // The linker's status is lost in a process that ignores its children (SIGCHLD) or waits for all
  // of them. Its output has a name once it is whole, so that alone tells.
  sys::ExecuteAndWait(*linker, arguments, std::nullopt, streams, 0, 0, &reason);
  ErrorOr<std::unique_ptr<MemoryBuffer>> linked = MemoryBuffer::getFile(output);
  if (!linked) {
    std::string said = readText(messages);
    return createStringError("compiled code cannot be linked: " + (said.empty() ? reason : said));
  }
  ArrayRef<uint8_t> bytes = arrayRefFromStringRef((*linked)->getBuffer());
  return bytes.vec();
}

Expected<std::vector<uint8_t>> lowbit::linkSharedObject(ArrayRef<StringRef> objects,
                                                        StringRef architecture) {
  return link(
      objects,
      {"-shared", "-Bsymbolic", "--gc-sections", "--hash-style=gnu", "-znow", "--exclude-libs=ALL"},
      architecture);
}

Expected<std::vector<uint8_t>> lowbit::linkRelocatable(ArrayRef<StringRef> objects,
                                                       ArrayRef<std::string> symbols,
                                                       StringRef architecture) {
  SmallVector<StringRef> options = {"-r", "--gc-sections"};
  for (StringRef symbol : symbols)
    append_values(options, "-u", symbol);
  return link(objects, options, architecture);
}
