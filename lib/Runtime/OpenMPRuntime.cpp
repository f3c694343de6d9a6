//===- OpenMPRuntime.cpp - LLVM's OpenMP library, loaded on demand --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpenMPRuntime.h"

#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/FileSystem.h"

#include <cstdlib>
#include <dlfcn.h>
#include <mutex>

using namespace llvm;
using namespace lowbit;

// The entry point of a parallel region, in LLVM's and in Intel's library.
static constexpr char forkCall[] = "__kmpc_fork_call";

Expected<const OpenMPRuntime *> OpenMPRuntime::get() {
  static std::mutex mutex;
  static OpenMPRuntime runtime;
  std::lock_guard<std::mutex> lock(mutex);
  if (runtime.setNumThreads)
    return &runtime;

  // The process's own; else the one beside the LLVM that we are built with; else, where that is not
  // installed, the one that the dynamic linker finds.
  const char *path = sys::fs::exists(LOWBIT_LIBOMP_PATH) ? LOWBIT_LIBOMP_PATH : "libomp.so.5";
  Dl_info present;
  if (void *address = dlsym(RTLD_DEFAULT, forkCall); address && dladdr(address, &present))
    path = present.dli_fname;
  std::string reason;
  // Permanently, and for the whole process: compiled code finds it as it finds libm.
  sys::DynamicLibrary library = sys::DynamicLibrary::getPermanentLibrary(path, &reason);
  if (!library.isValid())
    return createStringError("the OpenMP library libomp.so.5 cannot be loaded (" + reason +
                             "): install libomp-22-dev (Debian), or name its folder in "
                             "LD_LIBRARY_PATH");
  auto setNumThreads = library.getAddressOfSymbol("omp_set_num_threads");
  auto getMaxThreads = library.getAddressOfSymbol("omp_get_max_threads");
  // GCC's interface to the same, which takes a plain function.
  auto startRegion = library.getAddressOfSymbol("GOMP_parallel");
  auto getThreadNumber = library.getAddressOfSymbol("omp_get_thread_num");
  if (!library.getAddressOfSymbol(forkCall) || !setNumThreads || !getMaxThreads ||
      !getThreadNumber || !startRegion)
    return createStringError(StringRef(path) +
                             " is not LLVM's OpenMP library: install libomp-22-dev (Debian)");
  // A waiting thread that yields gives its core away for milliseconds where anything else runs,
  // even at the lowest priority; regions of a model take microseconds. So it holds on, but not for
  // long: after 5 ms it sleeps. Before the library's first use.
  auto setDefaults = library.getAddressOfSymbol("kmp_set_defaults");
  if (setDefaults && !std::getenv("KMP_USE_YIELD") && !std::getenv("OMP_WAIT_POLICY"))
    reinterpret_cast<void (*)(const char *)>(setDefaults)("KMP_USE_YIELD=0|KMP_BLOCKTIME=5");
  runtime.getMaxThreads = reinterpret_cast<int (*)()>(getMaxThreads);
  runtime.getThreadNumber = reinterpret_cast<int (*)()>(getThreadNumber);
  runtime.startRegion = reinterpret_cast<decltype(runtime.startRegion)>(startRegion);
  runtime.setNumThreads = reinterpret_cast<void (*)(int)>(setNumThreads);
  return &runtime;
}

void OpenMPRuntime::parallel(unsigned threads, function_ref<void(unsigned)> body) const {
  auto inThread = [&] { body(getThreadNumber()); };
  auto call = [](void *data) { (*static_cast<decltype(inThread) *>(data))(); };
  startRegion(call, &inThread, threads, /*flags=*/0);
}
