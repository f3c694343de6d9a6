// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-peel-tiles,canonicalize,cse))' | FileCheck %s

#size = affine_map<(i)[n] -> (n - i, 256)>

// Tiles in the first loop are whole; that of the second keeps its bound, which buffers need.

// CHECK-LABEL: func @columns(
// CHECK-SAME: %[[X:.*]]: tensor<?x?xf32>, %[[M:.*]]: index, %[[N:[a-z0-9]+]]: index
// CHECK: %[[WHOLE:.*]] = affine.apply #{{.*}}()[%[[N]]]
// CHECK: %[[FIRST:.*]] = scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (%[[M]], %[[WHOLE]]) step (1, 256)
// CHECK-NOT: affine.min
// CHECK: linalg.exp {{.*}}tensor<1x256xf32>
// CHECK: scf.forall (%{{.*}}, %{{.*}}) = (0, %[[WHOLE]]) to (%[[M]], %[[N]]) step (1, 256) shared_outs(%{{.*}} = %[[FIRST]])
// CHECK: affine.min
// CHECK: linalg.exp {{.*}}tensor<1x?xf32>
func.func @columns(%x: tensor<?x?xf32>, %m: index, %n: index) -> tensor<?x?xf32> {
  %r = scf.forall (%i, %j) = (0, 0) to (%m, %n) step (1, 256) shared_outs(%all = %x) -> (tensor<?x?xf32>) {
    %size = affine.min #size(%j)[%n]
    %old = tensor.extract_slice %all[%i, %j] [1, %size] [1, 1] : tensor<?x?xf32> to tensor<1x?xf32>
    %new = linalg.exp ins(%old : tensor<1x?xf32>) outs(%old : tensor<1x?xf32>) -> tensor<1x?xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %new into %all[%i, %j] [1, %size] [1, 1] : tensor<1x?xf32> into tensor<?x?xf32>
    }
  }
  return %r : tensor<?x?xf32>
}

// Steps of one iteration, and known ranges, have no last tile of their own.

// CHECK-LABEL: func @rows(
// CHECK-COUNT-1: scf.forall (
// CHECK-NOT: scf.forall (
func.func @rows(%x: tensor<?x64xf32>, %m: index) -> tensor<?x64xf32> {
  %r = scf.forall (%i) = (0) to (%m) step (1) shared_outs(%all = %x) -> (tensor<?x64xf32>) {
    %old = tensor.extract_slice %all[%i, 0] [1, 64] [1, 1] : tensor<?x64xf32> to tensor<1x64xf32>
    %new = linalg.exp ins(%old : tensor<1x64xf32>) outs(%old : tensor<1x64xf32>) -> tensor<1x64xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %new into %all[%i, 0] [1, 64] [1, 1] : tensor<1x64xf32> into tensor<?x64xf32>
    }
  }
  return %r : tensor<?x64xf32>
}
