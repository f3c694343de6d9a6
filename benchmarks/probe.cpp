//===- probe.cpp - What this machine can do at most -------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read bandwidth and peak rates of arithmetic, by the OpenMP threads on which
// the kernels run that are measured against them. probe.py compiles and calls it.
//
//===----------------------------------------------------------------------===//

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <omp.h>
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#include <immintrin.h>
#endif

namespace {

// Vectors as wide as the machine's registers: wider ones would be split, and spill.
#if defined(__AVX512F__)
constexpr int kWidth = 64;
#elif defined(__AVX__)
constexpr int kWidth = 32;
#else
constexpr int kWidth = 16;
#endif
constexpr size_t kLine = 64;

using Ints = int32_t __attribute__((vector_size(kWidth)));
using Floats = float __attribute__((vector_size(kWidth)));

volatile int32_t sink;

enum Prefetch { None, T0, T1 };

template <Prefetch prefetch> void prefetchLine(const char *line) {
  if constexpr (prefetch == T0)
    __builtin_prefetch(line, 0, 3);
  else if constexpr (prefetch == T1)
    __builtin_prefetch(line, 0, 2);
}

/// Of streams that share out so many bytes. Not a power of two: lines that are such a distance
/// apart fall into the same sets of a cache and the same banks of memory.
size_t getStride(size_t bytes, int streams) {
  size_t lines = bytes / streams / kLine;
  return (lines < 1024 ? lines : lines - 67) * kLine;
}

/// Reads lines once each, as so many sequential streams that lie side by side.
template <int streams, Prefetch prefetch>
void readAll(const char *data, size_t stride, size_t distance) {
  Ints sums[streams] = {};
  for (size_t offset = 0; offset < stride; offset += kLine) {
#pragma clang loop unroll(full)
    for (int stream = 0; stream < streams; ++stream) {
      const char *line = data + stream * stride + offset;
      prefetchLine<prefetch>(line + distance);
#pragma clang loop unroll(full)
      for (size_t part = 0; part < kLine; part += kWidth)
        sums[stream] += *reinterpret_cast<const Ints *>(line + part);
    }
  }
  Ints sum = {};
  for (Ints &each : sums)
    sum += each;
  int32_t total = 0;
  for (int lane = 0; lane < int(kWidth / sizeof(int32_t)); ++lane)
    total += sum[lane];
  sink = total;
}

using Reader = void (*)(const char *, size_t, size_t);

template <int streams> Reader getReader(int prefetch) {
  switch (prefetch) {
  case T0:
    return readAll<streams, T0>;
  case T1:
    return readAll<streams, T1>;
  default:
    return readAll<streams, None>;
  }
}

/// Seconds from when all threads are ready to when the last one is done with `work(thread)`.
template <typename Work> double timeThreads(int threads, Work work) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start;
#pragma omp parallel num_threads(threads)
  {
#pragma omp barrier
#pragma omp master
    start = Clock::now();
    work(omp_get_thread_num());
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

thread_local unsigned char tileConfig[64];

// Enough independent chains to fill two ports of a latency of five.
constexpr int kChains = 12;

} // namespace

extern "C" {

/// How the matrix unit (AMX) is set up, of each thread of the pool: put aside, and set up so again.
/// ggml does it once for each thread and takes it for granted from then on.
void probe_save_tiles() {
#ifdef __AMX_TILE__
#pragma omp parallel
  _tile_storeconfig(tileConfig);
#endif
}
void probe_load_tiles() {
#ifdef __AMX_TILE__
#pragma omp parallel
  if (tileConfig[0]) // else it was not set up at all
    _tile_loadconfig(tileConfig);
#endif
}

/// Bytes per second of reading `bytes` once, but for a few lines; each thread reads a part of its
/// own. `prefetch` is 0 (none), 1 (to L1) or 2 (to L2), `distance` bytes ahead. Streams: 1, 4 or 8;
/// others give 0.
double probe_read(const char *data, size_t bytes, int streams, int prefetch, size_t distance,
                  int threads) {
  Reader reader = streams == 1   ? getReader<1>(prefetch)
                  : streams == 4 ? getReader<4>(prefetch)
                  : streams == 8 ? getReader<8>(prefetch)
                                 : nullptr;
  if (!reader)
    return 0;
  size_t part = bytes / threads / kLine * kLine;
  size_t stride = getStride(part, streams);
  double seconds =
      timeThreads(threads, [=](int thread) { reader(data + thread * part, stride, distance); });
  return double(stride) * streams * threads / seconds;
}

/// Bytes per second, read and written, of a step like an optimizer's: an array is read, three
/// others are read and written in place, `count` f32 each, one after the other in memory from
/// `data` on.
double probe_update(float *data, size_t count, int threads) {
  constexpr size_t lanes = sizeof(Floats) / sizeof(float);
  size_t part = count / threads / lanes * lanes;
  double seconds = timeThreads(threads, [=](int thread) {
    const float *read = data + thread * part;
    float *a = data + count + thread * part, *b = a + count, *c = b + count;
    for (size_t i = 0; i < part; i += lanes) {
      auto at = [i](float *array) -> Floats & { return *reinterpret_cast<Floats *>(array + i); };
      Floats x = *reinterpret_cast<const Floats *>(read + i);
      for (float *array : {a, b, c}) {
        __builtin_prefetch(array + i + 512, 1, 3);
        at(array) = at(array) * 0.5f + x;
      }
      __builtin_prefetch(read + i + 512, 0, 3);
    }
  });
  return 7.0 * sizeof(float) * part * threads / seconds;
}

/// f32 operations per second of fused multiply-adds in registers, each counted as two.
double probe_f32(int64_t steps, int threads) {
  double seconds = timeThreads(threads, [=](int) {
    Floats chains[kChains] = {};
    Floats factor = {}, addend = {};
    factor += 0.5f;
    addend += 1.0f;
    asm volatile("" : "+x"(factor), "+x"(addend)); // no constants to fold
    for (int64_t step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
      for (Floats &chain : chains) {
        chain = chain * factor + addend;
        asm volatile("" : "+x"(chain)); // no two steps in one
      }
    }
  });
  return 2.0 * (kWidth / sizeof(float)) * kChains * steps * threads / seconds;
}

/// int8 operations per second of vpdpbusd in registers, each multiplication and each addition
/// counted; 0 if the machine lacks it.
double probe_int8(int64_t steps, int threads) {
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#if defined(__AVX512VNNI__)
  using Register = __m512i;
  auto dot = [](Register sum, Register x) { return _mm512_dpbusd_epi32(sum, x, x); };
#else
  using Register = __m256i;
  auto dot = [](Register sum, Register x) { return _mm256_dpbusd_avx_epi32(sum, x, x); };
#endif
  double seconds = timeThreads(threads, [=](int) {
    Register chains[kChains] = {};
    Register operand = {};
    asm volatile("" : "+x"(operand));
    for (int64_t step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
      for (Register &chain : chains) {
        chain = dot(chain, operand);
        asm volatile("" : "+x"(chain));
      }
    }
  });
  return 2.0 * sizeof(Register) * kChains * steps * threads / seconds;
#else
  return 0;
#endif
}
}
