//===- Session.cpp - Compiled code with its parameters, to call -----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Session.h"

#include "OpenMPRuntime.h"
#include "lowbit/Runtime/Version.h"

#include <cerrno>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace lowbit;

// lib/Compile/Builtins/MatrixUnit.c
extern "C" int lowbitRequestMatrixUnit(void);

MemRefDescriptor::MemRefDescriptor(const void *data, ArrayRef<int64_t> shape) {
  int64_t address = reinterpret_cast<int64_t>(data);
  words = {address, address, 0};
  append_range(words, shape);
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis > 1; --axis)
    strides[axis - 2] = strides[axis - 1] * shape[axis - 1];
  append_range(words, strides);
}

std::string Session::getPackedName(StringRef entry) { return ("_lowbit_packed_" + entry).str(); }

static Error makeLoadError(const Twine &what) {
  return createStringError("compiled code cannot be loaded: " + what);
}

/// A file in memory: the dynamic linker reads files.
static Expected<int> writeToMemory(ArrayRef<uint8_t> code) {
  int file = memfd_create("lowbit-code", MFD_CLOEXEC);
  while (file >= 0 && !code.empty()) {
    ssize_t count = write(file, code.data(), code.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    code = code.drop_front(count);
  }
  if (file >= 0 && code.empty())
    return file;
  Error error = makeLoadError(std::error_code(errno, std::generic_category()).message());
  if (file >= 0)
    close(file);
  return std::move(error);
}

Expected<std::unique_ptr<Session>> Session::load(CompiledModule module, unsigned threads) {
  std::unique_ptr<Session> session(new Session(std::move(module)));
  const ModuleSignature &signature = session->module.signature;
  bool packsOnly = !session->module.packing.empty();
  if (!packsOnly)
    if (Error error = checkProcessor(signature))
      return std::move(error);
  if (signature.usesThreads) {
    Expected<const OpenMPRuntime *> openMP = OpenMPRuntime::get();
    if (!openMP)
      return openMP.takeError();
    session->openMP = *openMP;
    session->threads = threads ? threads : (*openMP)->getThreads();
  }
  if (signature.usesMatrixUnit && !packsOnly && !lowbitRequestMatrixUnit())
    return createStringError("the code uses the matrix unit (AMX), which this machine or its "
                             "system does not have: compile it here, or with the option "
                             "matrix-unit=none");
  Expected<int> file = writeToMemory(packsOnly ? session->module.packing : session->module.code);
  if (!file)
    return file.takeError();
  // Open as long as the session lives: the dynamic linker takes equal names for the same object,
  // and the number in this one must not come up again.
  session->file = *file;
  // Code calls the mathematical library, which not every process has in its global scope.
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  std::string path = "/proc/self/fd/" + std::to_string(*file);
  session->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!session->handle)
    return makeLoadError(dlerror());
  auto find = [&](const std::string &symbol, SmallVectorImpl<void *> &addresses) -> Error {
    addresses.push_back(dlsym(session->handle, symbol.c_str()));
    return addresses.back() ? Error::success()
                            : createStringError("the compiled code has no symbol '" + symbol + "'");
  };
  std::vector<const EntrySignature *> callable = signature.getCallable();
  for (const EntrySignature &entry : signature.entries)
    if (packsOnly && is_contained(callable, &entry))
      session->entryAddresses.push_back(nullptr);
    else if (Error error = find(getPackedName(entry.name), session->entryAddresses))
      return std::move(error);
  for (const ParameterSignature &parameter : signature.parameters)
    if (Error error = find(parameter.symbol, session->parameterAddresses))
      return std::move(error);
  session->hasParameters = signature.parameters.empty();
  return session;
}

Session::~Session() {
  if (handle)
    dlclose(handle);
  if (file >= 0)
    close(file);
}

void Session::setParameters(std::vector<ParameterValue> values) {
  assert(values.size() == module.signature.parameters.size() && "one value for each parameter");
  parameters = std::move(values);
  for (auto [parameter, value, address] :
       zip_equal(module.signature.parameters, parameters, parameterAddresses)) {
    if (!parameter.type.isMemRef) {
      memcpy(address, value.data.data(), sizeof(int64_t));
      continue;
    }
    MemRefDescriptor descriptor(value.data.data(), value.shape);
    memcpy(address, descriptor.getWords().data(), descriptor.getWords().size() * sizeof(int64_t));
  }
  hasParameters = true;
}

Expected<void *> Session::lookup(StringRef entry) const {
  Expected<const EntrySignature *> found = module.signature.find(entry);
  if (!found)
    return found.takeError();
  void *address = entryAddresses[*found - module.signature.entries.data()];
  if (!address)
    return checkProcessor(module.signature);
  return address;
}

void Session::call(const EntrySignature &entry, ArrayRef<void *> arguments) const {
  // A setting of the calling thread, which may not be the one that called before.
  if (openMP)
    openMP->setThreads(threads);
  auto function = reinterpret_cast<void (*)(void *const *)>(
      entryAddresses[&entry - module.signature.entries.data()]);
  function(arguments.data());
}

Error Session::invoke(StringRef entry, ArrayRef<void *> arguments) const {
  Expected<const EntrySignature *> found = module.signature.find(entry);
  if (!found)
    return found.takeError();
  if (arguments.size() != (*found)->arguments.size())
    return createStringError("entry '" + entry + "' takes " + Twine((*found)->arguments.size()) +
                             " arguments, not " + Twine(arguments.size()));
  if (!hasParameters)
    return createStringError("the module's parameters are not bound: entry '" + entry +
                             "' cannot run before an archive has been given");
  if (Expected<void *> address = lookup(entry); !address)
    return address.takeError();
  call(**found, arguments);
  return Error::success();
}
