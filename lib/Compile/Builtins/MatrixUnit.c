//===- MatrixUnit.c - Asks the system for the matrix unit -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Also a part of the runtime, which asks before it loads code that would end the process.
//
//===----------------------------------------------------------------------===//

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Linux keeps the tiles' state, eight kilobytes of each thread, only for processes that ask for
/// it. 0: there is no matrix unit (AMX), or this system does not know it.
int lowbitRequestMatrixUnit(void) {
  static int granted;
  if (__atomic_load_n(&granted, __ATOMIC_RELAXED))
    return 1;
#if defined(__x86_64__) && defined(SYS_arch_prctl)
  enum { requestPermission = 0x1023, tileData = 18 }; // asm/prctl.h, the state's number
  if (syscall(SYS_arch_prctl, requestPermission, tileData) == 0) {
    __atomic_store_n(&granted, 1, __ATOMIC_RELAXED);
    return 1;
  }
#endif
  return 0;
}

/// At the start of an entry with instructions of AMX.
void lowbitRequireMatrixUnit(void) {
  if (lowbitRequestMatrixUnit())
    return;
  fputs("lowbit: this code uses the matrix unit (AMX), which this machine or its system does not "
        "have\n",
        stderr);
  abort();
}
