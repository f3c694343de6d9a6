// Functions that only the mathematical library has, in loops that become vectors.

// RUN: lowbit-run %s --input 0.5:40xf32 --output %t.npy
// RUN: %python -c "import math, numpy, sys; y = numpy.load(sys.argv[1]); \
// RUN:   assert y.shape == (40,); numpy.testing.assert_allclose(y, math.erf(0.5) + math.tan(0.5), rtol=3e-7)" %t.npy

#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<40xf32>) -> tensor<40xf32> attributes {lowbit.entry} {
  %e = tensor.empty() : tensor<40xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<40xf32>) outs(%e : tensor<40xf32>) {
  ^bb0(%a: f32, %b: f32):
    %erf = math.erf %a : f32
    %tan = math.tan %a : f32
    %s = arith.addf %erf, %tan : f32
    linalg.yield %s : f32
  } -> tensor<40xf32>
  return %y : tensor<40xf32>
}
