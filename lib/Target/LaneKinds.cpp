//===- LaneKinds.cpp - Instructions on lanes of bytes ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/LaneKinds.h"
#include "llvm/ADT/STLExtras.h"

using namespace lowbit;

// LLVM has one name for vpdpbusd of AVX-512 and of AVX-VNNI, and takes the encoding that there is.
static const LaneKind kinds[] = {
    {"vnni512", "avx512vnni avx512bw", 64, "llvm.x86.avx512.vpdpbusd.512", "", "",
     "llvm.x86.avx512.pshuf.b.512", "llvm.x86.avx512.permvar.sf.512",
     "llvm.x86.avx512.vpermi2var.ps.512", "llvm.x86.avx512.mask.fixupimm.ps.512",
     "llvm.x86.avx512.rcp14.ps.512", "llvm.x86.avx512.rsqrt14.ps.512"},
    {"avx512", "avx512bw", 64, "", "", "llvm.x86.avx512.pmaddw.d.512",
     "llvm.x86.avx512.pshuf.b.512", "llvm.x86.avx512.permvar.sf.512",
     "llvm.x86.avx512.vpermi2var.ps.512", "llvm.x86.avx512.mask.fixupimm.ps.512",
     "llvm.x86.avx512.rcp14.ps.512", "llvm.x86.avx512.rsqrt14.ps.512"},
    {"vnni256", "avxvnni avx2|avx512vnni avx512vl", 32, "llvm.x86.avx512.vpdpbusd.256", "", "",
     "llvm.x86.avx2.pshuf.b"},
    {"avx2", "avx2", 32, "", "", "llvm.x86.avx2.pmadd.wd", "llvm.x86.avx2.pshuf.b"},
    {"ssse3", "ssse3", 16, "", "", "llvm.x86.sse2.pmadd.wd", "llvm.x86.ssse3.pshuf.b.128"},
    {"usdot", "i8mm", 16, "llvm.aarch64.neon.usdot.v4i32.v16i8", "", "",
     "llvm.aarch64.neon.tbl1.v16i8"},
    {"sdot", "dotprod", 16, "", "llvm.aarch64.neon.sdot.v4i32.v16i8", "",
     "llvm.aarch64.neon.tbl1.v16i8"},
    {"neon", "neon", 16, "", "", "", "llvm.aarch64.neon.tbl1.v16i8"},
    {"generic", "", 16},
};

llvm::ArrayRef<LaneKind> lowbit::getLaneKinds() { return kinds; }

const LaneKind *lowbit::findLaneKind(llvm::StringRef name) {
  const LaneKind *found =
      llvm::find_if(kinds, [&](const LaneKind &kind) { return kind.name == name; });
  return found == std::end(kinds) ? nullptr : found;
}
