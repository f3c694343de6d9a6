// Down the whole road, each pass adds what it decided: the loop, the register tile, the instructions.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-cpu-pipeline="activations='int<8>, scale = f32 per [1, 32]' lanes=vnni512 fail-on-fallback" --remarks-filter='lowbit.*(tiles|distribute|activations|contractions|lanes)' -o /dev/null

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
func.func @linear(%x: tensor<8x64xf32>, %y: tensor<8x256xf32>) -> tensor<8x256xf32> attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %w = lowbit.parameter "w" : tensor<256x64xf32, #w4>
  // expected-remark @+3 {{[Passed] contraction | Category:lowbit-inner-tiles | Function=linear | ActivationPlanes=1, Activations="#lowbit.quantized<int<8>, scale = f32 per [1, 32]>", Columns=64, Iterations=4, Kind="integer dot",}}
  // expected-remark @+2 {{[Analysis] register-tile | Category:lowbit-emit-contractions | Function=linear.body | BlockColumns=32, TileOutputs=32, TileRows=4, VectorsOfSums=16}}
  // expected-remark @+1 {{[Analysis] instructions | Category:lowbit-lower-lanes | Function=linear.body | Instructions=vnni512}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %w : tensor<8x64xf32>, tensor<256x64xf32, #w4>)
                     outs(%y : tensor<8x256xf32>) -> tensor<8x256xf32>
  return %r : tensor<8x256xf32>
}

// -----

// Terms of a sum one by one: the sparse one has a form of its own.
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.sum<#lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>, #lowbit.sparse<f16, density = 0.01>>
func.func @outliers(%x: tensor<1x64xf32>, %y: tensor<1x256xf32>) -> tensor<1x256xf32> attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %w = lowbit.parameter "w" : tensor<256x64xf32, #w>
  // expected-remark @+4 {{[Missed] activations | Category:lowbit-quantize-activations | Function=outliers | Outcome="activations stay f32", Reason="the contraction has integer activations and weights whose levels are no small integers: codebook<nf4>"}}
  // expected-remark @+3 {{[Passed] contraction | Category:lowbit-distribute | Function=outliers | Kind="own form of the encoding", Op=linalg.matmul, WeightBytes=?, Weights="#lowbit.sparse<f16, density = 0.01>"}}
  // expected-remark @+2 {{[Passed] contraction | Category:lowbit-inner-tiles | Function=outliers | Activations=f32, Columns=64, Iterations=4, Kind="f32 multiply-add",}}
  // expected-remark @+1 {{[Analysis] register-tile | Category:lowbit-emit-contractions | Function=outliers.body | BlockColumns=32, TileOutputs=64, TileRows=1, VectorsOfSums=8}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %w : tensor<1x64xf32>, tensor<256x64xf32, #w>)
                     outs(%y : tensor<1x256xf32>) -> tensor<1x256xf32>
  return %r : tensor<1x256xf32>
}
