// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=vnni512 | FileCheck %s --check-prefixes=CHECK,VNNI512
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=vnni256 | FileCheck %s --check-prefixes=CHECK,VNNI256
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=avx2 | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=usdot | FileCheck %s --check-prefixes=CHECK,USDOT
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=avx512 | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=ssse3 | FileCheck %s --check-prefixes=CHECK,SSSE3
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=sdot | FileCheck %s --check-prefixes=CHECK,SDOT
// RUN: lowbit-opt %s --lowbit-lower-lanes=kind=neon | FileCheck %s --check-prefixes=CHECK,NEON
// RUN: lowbit-opt %s --lowbit-lower-lanes | FileCheck %s --check-prefixes=CHECK,GENERIC --implicit-check-not=llvm.call_intrinsic
// RUN: not lowbit-opt %s --lowbit-lower-lanes=kind=sse9 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown kind of instructions 'sse9'; known: vnni512, avx512, vnni256, avx2, ssse3, usdot, sdot, neon, generic

// CHECK-LABEL: func @dot(
// CHECK-SAME:    %[[SUMS:.*]]: vector<16xi32>, %[[W:.*]]: vector<64xi8>, %[[X:.*]]: vector<64xi8>
// CHECK-NOT:   lowbit.dot4
// VNNI512:     llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[SUMS]], %[[W]], %[[X]]) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// VNNI256-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"(%{{.*}}, %{{.*}}, %{{.*}}) : (vector<8xi32>, vector<32xi8>, vector<32xi8>) -> vector<8xi32>
// The bytes of weights are unsigned, those of activations signed.
// AVX2:        vector.bitcast %{{.*}} : vector<32xi8> to vector<16xi16>
// AVX2:        arith.andi
// AVX2:        arith.shli
// AVX2:        arith.shrsi
// AVX2:        llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2:        arith.shrui
// AVX2:        arith.shrsi
// AVX2:        llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2-COUNT-2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX512-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// SSSE3-COUNT-8: llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
// USDOT-COUNT-4: llvm.call_intrinsic "llvm.aarch64.neon.usdot.v4i32.v16i8"
// Weights that may be 128 or more: less 128, which comes in again as 128 times the activations' sum.
// SDOT:        %[[ONES:.*]] = arith.constant dense<1> : vector<16xi8>
// SDOT:        %[[SUM:.*]] = llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"(%{{.*}}, %[[ONES]], %[[BYTES:.*]]) :
// SDOT:        %[[SEVEN:.*]] = arith.constant dense<7> : vector<4xi32>
// SDOT:        %[[MORE:.*]] = arith.shli %[[SUM]], %[[SEVEN]]
// SDOT:        %[[SUMS2:.*]] = arith.addi %{{.*}}, %[[MORE]]
// SDOT:        %[[FLIP:.*]] = arith.constant dense<-128> : vector<16xi8>
// SDOT:        %[[SIGNED:.*]] = arith.xori %{{.*}}, %[[FLIP]]
// SDOT:        llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"(%[[SUMS2]], %[[SIGNED]], %[[BYTES]]) :
// NEON:        arith.muli
// GENERIC:     arith.shrui
// GENERIC:     arith.shrsi
// GENERIC:     arith.muli
// GENERIC:     arith.addi
// CHECK:       return
func.func @dot(%sums: vector<16xi32>, %w: vector<64xi8>, %x: vector<64xi8>) -> vector<16xi32> {
  %r = lowbit.dot4 %w, %x into %sums : vector<64xi8>, vector<16xi32>
  return %r : vector<16xi32>
}

// CHECK-LABEL: func @bytes(
// CHECK-SAME:    %[[TABLE:.*]]: vector<16xi8>, %[[CODES:.*]]: vector<64xi8>
// CHECK-NOT:   lowbit.lookup
// VNNI512:     %[[TABLES:.*]] = vector.shuffle %[[TABLE]], %[[TABLE]] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, {{.*}}] : vector<16xi8>, vector<16xi8>
// VNNI512:     llvm.call_intrinsic "llvm.x86.avx512.pshuf.b.512"(%[[TABLES]], %[[CODES]])
// VNNI256-COUNT-2: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// AVX2-COUNT-2: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// AVX512:      llvm.call_intrinsic "llvm.x86.avx512.pshuf.b.512"
// SSSE3-COUNT-4: llvm.call_intrinsic "llvm.x86.ssse3.pshuf.b.128"
// SDOT:        llvm.call_intrinsic "llvm.aarch64.neon.tbl1.v16i8"
// NEON:        llvm.call_intrinsic "llvm.aarch64.neon.tbl1.v16i8"
// USDOT:       llvm.call_intrinsic "llvm.aarch64.neon.tbl1.v16i8"(%[[TABLE]], %{{.*}})
// GENERIC-COUNT-64: vector.extract %{{.*}}[%{{.*}}] : i8 from vector<16xi8>
// CHECK:       return
func.func @bytes(%table: vector<16xi8>, %codes: vector<64xi8>) -> vector<64xi8> {
  %r = lowbit.lookup %table, %codes : vector<16xi8>, vector<64xi8> -> vector<64xi8>
  return %r : vector<64xi8>
}

// A vector that an instruction does not divide goes the generic way.
// CHECK-LABEL: func @short(
// CHECK-NOT:   lowbit.
// CHECK-NOT:   call_intrinsic
// CHECK:       arith.muli
// CHECK:       return
func.func @short(%sums: vector<3xi32>, %w: vector<12xi8>, %x: vector<12xi8>) -> vector<3xi32> {
  %r = lowbit.dot4 %w, %x into %sums : vector<12xi8>, vector<3xi32>
  return %r : vector<3xi32>
}

// Codes of four bits are below 128.
// CHECK-LABEL: func @small(
// CHECK-NOT:   lowbit.
// SDOT-NOT:    arith.xori
// SDOT-COUNT-4: llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"
// SDOT-NOT:    llvm.call_intrinsic
// CHECK:       return
func.func @small(%sums: vector<16xi32>, %w: vector<64xi8>, %x: vector<64xi8>) -> vector<16xi32> {
  %mask = arith.constant dense<15> : vector<64xi8>
  %codes = arith.andi %w, %mask : vector<64xi8>
  %r = lowbit.dot4 %codes, %x into %sums : vector<64xi8>, vector<16xi32>
  return %r : vector<16xi32>
}
