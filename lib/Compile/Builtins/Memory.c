//===- Memory.c - Memory of compiled code's temporaries -------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call of compiled code allocates the same temporaries as the one before. From the system each of
// them would come with fresh pages, which the kernel clears one fault at a time; so large blocks
// are kept for the next call. Each shared object keeps its own, and frees them when it is unloaded.
//
//===----------------------------------------------------------------------===//

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/// In front of every block: a cache line, which keeps what follows aligned.
typedef struct Block {
  size_t size;
  struct Block *next; ///< while it is kept
  char padding[64 - sizeof(size_t) - sizeof(void *)];
} Block;

enum {
  alignment = 64,
  leastKept = 1 << 16,
  largePage = 1 << 21,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Block *kept;
static size_t keptBytes, usedBytes, mostUsedBytes;

static void account(ptrdiff_t used) {
  usedBytes += used;
  if (usedBytes > mostUsedBytes)
    mostUsedBytes = usedBytes;
}

/// Bytes of a block that has room for `size`, its line in front included; 0 on overflow.
static size_t blockBytes(size_t size) {
  if (size > SIZE_MAX - largePage - sizeof(Block))
    return 0;
  size_t total = size + sizeof(Block);
  size_t unit = total >= 2 * largePage ? largePage : alignment;
  return (total + unit - 1) / unit * unit;
}

/// Takes the smallest block that fits without much waste out of the list.
static Block *reuse(size_t size) {
  size_t enough = blockBytes(size) + size / 4;
  Block **best = NULL;
  for (Block **at = &kept; *at; at = &(*at)->next)
    if ((*at)->size >= size && (*at)->size <= enough && (!best || (*at)->size < (*best)->size))
      best = at;
  if (!best)
    return NULL;
  Block *block = *best;
  *best = block->next;
  keptBytes -= block->size;
  return block;
}

static Block *allocate(size_t size) {
  size_t total = blockBytes(size);
  if (total == 0)
    return NULL;
  int isLarge = total >= 2 * largePage;
  Block *block = aligned_alloc(isLarge ? largePage : alignment, total);
  if (!block)
    return NULL;
  if (isLarge)
    madvise(block, total, MADV_HUGEPAGE);
  block->size = total - sizeof(Block);
  return block;
}

void *_mlir_memref_to_llvm_alloc(size_t size) {
  Block *block = NULL;
  if (size < leastKept) {
    block = allocate(size);
  } else {
    pthread_mutex_lock(&mutex);
    block = reuse(size);
    pthread_mutex_unlock(&mutex);
    if (!block)
      block = allocate(size);
  }
  if (!block)
    abort(); // as code that wrote through a null pointer would end, but here
  if (block->size >= leastKept) {
    pthread_mutex_lock(&mutex);
    account(block->size);
    pthread_mutex_unlock(&mutex);
  }
  return block + 1;
}

void _mlir_memref_to_llvm_free(void *pointer) {
  if (!pointer)
    return;
  Block *block = (Block *)pointer - 1;
  if (block->size < leastKept) {
    free(block);
    return;
  }
  Block *given = NULL;
  pthread_mutex_lock(&mutex);
  account(-(ptrdiff_t)block->size);
  block->next = kept;
  kept = block;
  keptBytes += block->size;
  // No more than twice what was ever in use at once: what was kept for longest goes.
  while (keptBytes + usedBytes > 2 * mostUsedBytes && kept->next) {
    Block **last = &kept;
    while ((*last)->next)
      last = &(*last)->next;
    keptBytes -= (*last)->size;
    (*last)->next = given;
    given = *last;
    *last = NULL;
  }
  pthread_mutex_unlock(&mutex);
  while (given) {
    Block *next = given->next;
    free(given);
    given = next;
  }
}

__attribute__((destructor)) static void freeKept(void) {
  while (kept) {
    Block *next = kept->next;
    free(kept);
    kept = next;
  }
}
