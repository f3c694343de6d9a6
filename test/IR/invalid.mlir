// One case for each constraint on an attribute, and for syntax that is none: one error that says what to do.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// Formats.
// expected-error @below {{an integer format has 1 to 16 bits, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<0>>>)

// -----

// expected-error @below {{an integer format has 1 to 16 bits, not 17}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<17>>>)

// -----

// expected-error @below {{integer value too large}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<99999999999999999999>>>)

// -----

// expected-error @below {{an integer format has 1 to 16 bits, not -4}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<-4>>>)

// -----

// expected-error @below {{expected integer value}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<>>>)

// -----

// expected-error @below {{a stored float is f16, bf16 or f32, not 'f64'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<float<f64>>>)

// -----

// expected-error @below {{expected a number format such as int<4>, f16 or codebook<nf4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f64>>)

// -----

// expected-error @below {{expected a number format such as int<4>, f16 or codebook<nf4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<i4>>)

// -----

// expected-error @below {{expected a number format, a scale or a layout before '>'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<>>)

// -----

// expected-error @below {{expected '<'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized>)

// -----

// expected-error @below {{expected a number format such as int<4>, f16 or codebook<nf4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<planes>>)

// -----

// expected-error @below {{unknown lowbit attribute 'bits'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<bits<4>>>)

// -----

// expected-error @below {{unknown attribute}}
func.func private @f(tensor<8x64xf32, #lowbit.bits<4>>)

// -----

// expected-error @below {{no codebook is named 'nf5'; known: af4, apot, apot_unsigned, binary, dynamic, dynamic_nonzero, dynamic_unsigned, fp4, gaussian, iq4_nl, linear, linear_nonzero, linear_square, linear_unsigned, log2, log2_signed, mxfp4_ggml, nf4, power, softsign, sqrt, sqrt_nonzero, ternary; or give the levels: codebook<[-1.0, 0.0, 1.0]>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<nf5>>>)

// -----

// expected-error @below {{a codebook has 2 to 256 levels, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[]>>>)

// -----

// expected-error @below {{a codebook has 2 to 256 levels, not 1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[1.0]>>>)

// -----

// expected-error @below {{a codebook has 2 to 256 levels, not 300}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0, 33.0, 34.0, 35.0, 36.0, 37.0, 38.0, 39.0, 40.0, 41.0, 42.0, 43.0, 44.0, 45.0, 46.0, 47.0, 48.0, 49.0, 50.0, 51.0, 52.0, 53.0, 54.0, 55.0, 56.0, 57.0, 58.0, 59.0, 60.0, 61.0, 62.0, 63.0, 64.0, 65.0, 66.0, 67.0, 68.0, 69.0, 70.0, 71.0, 72.0, 73.0, 74.0, 75.0, 76.0, 77.0, 78.0, 79.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0, 86.0, 87.0, 88.0, 89.0, 90.0, 91.0, 92.0, 93.0, 94.0, 95.0, 96.0, 97.0, 98.0, 99.0, 100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0, 110.0, 111.0, 112.0, 113.0, 114.0, 115.0, 116.0, 117.0, 118.0, 119.0, 120.0, 121.0, 122.0, 123.0, 124.0, 125.0, 126.0, 127.0, 128.0, 129.0, 130.0, 131.0, 132.0, 133.0, 134.0, 135.0, 136.0, 137.0, 138.0, 139.0, 140.0, 141.0, 142.0, 143.0, 144.0, 145.0, 146.0, 147.0, 148.0, 149.0, 150.0, 151.0, 152.0, 153.0, 154.0, 155.0, 156.0, 157.0, 158.0, 159.0, 160.0, 161.0, 162.0, 163.0, 164.0, 165.0, 166.0, 167.0, 168.0, 169.0, 170.0, 171.0, 172.0, 173.0, 174.0, 175.0, 176.0, 177.0, 178.0, 179.0, 180.0, 181.0, 182.0, 183.0, 184.0, 185.0, 186.0, 187.0, 188.0, 189.0, 190.0, 191.0, 192.0, 193.0, 194.0, 195.0, 196.0, 197.0, 198.0, 199.0, 200.0, 201.0, 202.0, 203.0, 204.0, 205.0, 206.0, 207.0, 208.0, 209.0, 210.0, 211.0, 212.0, 213.0, 214.0, 215.0, 216.0, 217.0, 218.0, 219.0, 220.0, 221.0, 222.0, 223.0, 224.0, 225.0, 226.0, 227.0, 228.0, 229.0, 230.0, 231.0, 232.0, 233.0, 234.0, 235.0, 236.0, 237.0, 238.0, 239.0, 240.0, 241.0, 242.0, 243.0, 244.0, 245.0, 246.0, 247.0, 248.0, 249.0, 250.0, 251.0, 252.0, 253.0, 254.0, 255.0, 256.0, 257.0, 258.0, 259.0, 260.0, 261.0, 262.0, 263.0, 264.0, 265.0, 266.0, 267.0, 268.0, 269.0, 270.0, 271.0, 272.0, 273.0, 274.0, 275.0, 276.0, 277.0, 278.0, 279.0, 280.0, 281.0, 282.0, 283.0, 284.0, 285.0, 286.0, 287.0, 288.0, 289.0, 290.0, 291.0, 292.0, 293.0, 294.0, 295.0, 296.0, 297.0, 298.0, 299.0]>>>)

// -----

// expected-error @below {{the levels of a codebook are all the same; it has at least two}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[1.0, 1.0, 1.0]>>>)

// -----

// expected-error @below {{codebook level 1 is not finite}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[0.0, 0x7FC00000]>>>)

// -----

// expected-error @below {{codebook level 1 is not finite}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[0.0, 1.0e+39]>>>)

// -----

// expected-error @below {{expected floating point literal}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[0.0, nan]>>>)

// -----

// expected-error @below {{unexpected decimal integer literal for a floating point value}}
// expected-note @below {{add a trailing dot to make the literal a float}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<[-1, 1]>>>)

// -----

// Scales.
// expected-error @below {{the elements of a scale need a number format, not #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = planes per tensor>>)

// -----

// expected-error @below {{expected 'per'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16>>)

// -----

// expected-error @below {{after 'per': expected tensor, axis N or a block [1, 32]}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per>>)

// -----

// expected-error @below {{after 'per': expected tensor, axis N or a block [1, 32]}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per row>>)

// -----

// expected-error @below {{a block has an extent for each axis of the tensor, as in [1, 32]}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per []>>)

// -----

// expected-error @below {{a block extent is at least 1, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 0]>>)

// -----

// expected-error @below {{a block extent is at least 1, not -32}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, -32]>>)

// -----

// expected-error @below {{integer value too large}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 99999999999999999999]>>)

// -----

// expected-error @below {{'per axis' takes one axis number, from 0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per axis -1>>)

// -----

// expected-error @below {{'per axis 2' needs a tensor with more than 2 axes, this one has 2}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per axis 2>>)

// -----

// expected-error @below {{'per axis 9223372036854775807' needs a tensor with more}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per axis 9223372036854775807>>)

// -----

// expected-error @below {{a block of 1 axes does not tile a tensor of 2 axes}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [32]>>)

// -----

// expected-error @below {{the blocks of an inner scale level divide those of the level outside it}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 48] * f16 per [1, 32]>>)

// -----

// expected-error @below {{the blocks of an inner scale level divide those of the level outside it}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32] * f16 per tensor>>)

// -----

// expected-error @below {{expected a number format, a scale or a layout before '>'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32] *>>)

// -----

// expected-error @below {{unknown rank-1 combiner 'max'; known: min, product, geo<alpha>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<max>>>)

// -----

// expected-error @below {{expected '<'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1>>)

// -----

// expected-error @below {{the vectors of a rank-1 scale are f16, bf16 or f32}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = int<8> rank1<min>>>)

// -----

// expected-error @below {{the vectors of a rank-1 scale are f16, bf16 or f32}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = planes rank1<min>>>)

// -----

// expected-error @below {{expected a block_scale}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #lowbit.block_scale<f32 rank1<min>>>>)

// -----

// expected-error @below {{expected a rank1_scale}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #lowbit.rank1_scale<f32 per tensor>>>)

// -----

// expected-error @below {{expected a number format, a scale or a layout before '>'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #lowbit.block_scale<>>>)

// -----

// Terms.
// expected-error @below {{unknown field 'size'; known: scale, zero, min, rule, rounding, layout}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, size = 4>>)

// -----

// expected-error @below {{expected '='}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale f16>>)

// -----

// expected-error @below {{expected '>'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4> scale = f16 per tensor>>)

// -----

// expected-error @below {{expected valid keyword}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>,>>)

// -----

// expected-error @below {{'scale' after another one of its kind: a term has at most one scale}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, scale = f16 per tensor>>)

// -----

// expected-error @below {{'min' after another one of its kind: a term has at most one zero point}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, zero = uint<4> per tensor, min = f16 per tensor>>)

// -----

// expected-error @below {{the power of a row in geo<alpha> lies between 0 and 1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<geo<1.5>>>>)

// -----

// expected-error @below {{expected '<'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<geo>>>)

// -----

// expected-error @below {{the blocks of the innermost scale level divide those of the offset}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32] + f32 per [1, 48]>>)

// -----

// expected-error @below {{'per axis 2' needs a tensor with more than 2 axes, this one has 2}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor + f32 per axis 2>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, zero = uint<4> per tensor + uint<4> per tensor>>)

// -----

// expected-error @below {{a percentile lies above 0 and is at most 100}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = percentile<0.0>>>)

// -----

// expected-error @below {{a percentile lies above 0 and is at most 100}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = percentile<100.5>>>)

// -----

// expected-error @below {{expected '<'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = percentile>>)

// -----

// expected-error @below {{an mse search takes 1 to 1024 steps, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = mse<steps = 0>>>)

// -----

// expected-error @below {{an mse search takes 1 to 1024 steps, not -4}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = mse<steps = -4>>>)

// -----

// expected-error @below {{the least fraction that an mse search tries lies between 0 and 1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = mse<least = 1.0>>>)

// -----

// expected-error @below {{unknown field 'most' of mse; known: steps, least}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = mse<most = 1.0>>>)

// -----

// expected-error @below {{a rule chooses a scale, and this term has none}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, rule = absmax>>)

// -----

// expected-error @below {{a rank1 scale is chosen by the absmax rule}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<min>, rule = mse>>)

// -----

// expected-error @below {{the min-max rule and a zero point go together}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rule = min_max>>)

// -----

// expected-error @below {{the min-max rule and a zero point go together}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, min = f16 per tensor, rule = mse>>)

// -----

// expected-error @below {{the signed-max rule needs scales that can be negative, not uint<6>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = uint<6> per tensor, rule = signed_max>>)

// -----

// expected-error @below {{the layout ggml<q2_k> chooses codes by an encoder of its own, which takes no rounding: leave it out, or give a rule beside it, as in 'rule = min_max'}}
func.func private @f(tensor<8x256xf32, #lowbit.quantized<uint<2>, scale = f16 per [1, 256] * uint<4> per [1, 16], min = f16 per [1, 256] * uint<4> per [1, 16], rounding = half_up, layout = ggml<q2_k>>>)

// -----

// expected-error @below {{unknown rounding 'down'; known: default, nearest_even, half_away, half_up, stochastic<SEED>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rounding = down>>)

// -----

// expected-error @below {{rounding halves in another way than to even needs an integer format, not f16}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f16, rounding = half_up>>)

// -----

// expected-error @below {{stochastic rounding has nothing to round in f32 codes}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f32, rounding = stochastic<1>>>)

// -----

// expected-error @below {{expected '<'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rounding = stochastic>>)

// -----

// expected-error @below {{'rounding' after another one of its kind: a term has at most one rounding}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rounding = half_up, rounding = half_up>>)

// -----

// expected-error @below {{an encode rule that says nothing is left out}}
func.func private @f() attributes {rule = #lowbit.encode_rule<rule = default>}

// -----

// expected-error @below {{unknown field 'seed'; known: rule, rounding}}
func.func private @f() attributes {rule = #lowbit.encode_rule<seed = 1>}

// -----

// expected-error @below {{stochastic rounding of a tensor of 4 axes needs static extents between the first axis and the last two}}
func.func private @f(tensor<?x?x8x64xf32, #lowbit.quantized<int<4>, scale = f16 per tensor, rounding = stochastic<1>>>)

// -----

// expected-error @below {{a scale that is given lies apart from the codes, in the layout 'planes'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], rule = given, layout = ggml<q4_0>>>)

// -----

// expected-error @below {{a rule chooses a scale, and this term has none}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, rule = given>>)

// -----

// expected-error @below {{a rank1 scale is chosen by the absmax rule}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<min>, rule = given>>)

// -----

// expected-error @below {{unknown encode rule 'best'; known: default, absmax, signed_max, min_max, mx_floor, mx_ceil, percentile}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, rule = best>>)

// -----

// expected-error @below {{'layout' takes a layout, not #lowbit.int<4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, layout = int<4>>>)

// -----

// expected-error @below {{unknown lowbit attribute 'rows'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, layout = rows>>)

// -----

// expected-error @below {{unknown checkpoint format 'hqq'; known: awq, bnb, gptq, gptq_v2}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, layout = checkpoint<hqq>>>)

// -----

// expected-error @below {{layout checkpoint<bnb> needs a tensor of static shape}}
func.func private @f(tensor<?x64xf32, #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64], layout = checkpoint<bnb>>>)

// -----

// expected-error @below {{layout tiled needs a tensor of static shape}}
func.func private @f(tensor<?x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>>)

// -----

// expected-error @below {{layout tiled holds tensors of 2 axes, not 3}}
func.func private @f(tensor<8x8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 1, 32], layout = tiled>>)

// -----

// expected-error @below {{layout records needs a tensor of static shape}}
func.func private @f(tensor<?x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = records>>)

// -----

// expected-error @below {{layout tiled holds codes of up to 8 bits whose levels are not data, not int<9>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<9>, scale = f16 per [1, 32], layout = tiled>>)

// -----

// expected-error @below {{layout tiled holds codes of up to 8 bits whose levels are not data, not f16}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f16, layout = tiled>>)

// -----

// expected-error @below {{layout tiled holds codes of up to 8 bits whose levels are not data, not learned<4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, f16 per axis 0>, layout = tiled>>)

// -----

// expected-error @below {{layout tiled holds scales by blocks, not rank1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<min>, layout = tiled>>)

// -----

// expected-error @below {{unknown ggml block 'q9_9'; known: q4_0, q4_1, q5_0, q5_1, q8_0, iq4_nl, mxfp4, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_xs, tq1_0, tq2_0}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, layout = ggml<q9_9>>>)

// -----

// expected-error @below {{a zero point needs a scale}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, min = f16 per tensor>>)

// -----

// expected-error @below {{a zero point needs an integer or codebook format, not f16}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f16, scale = f16 per tensor, min = f16 per tensor>>)

// -----

// expected-error @below {{a rank-1 scale and a zero point cannot be combined}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 rank1<min>, min = f16 per tensor>>)

// -----

// expected-error @below {{a rank-1 scale and a zero point cannot be combined}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, min = f16 rank1<min>>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format, on integer codes; an additive one is written 'min = ...'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, zero = f16 per tensor>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<nf4>, scale = f16 per tensor, zero = uint<4> per tensor>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per tensor, zero = uint<4> per tensor * uint<4> per axis 0>>)

// -----

// expected-error @below {{layout ggml<q4_0> stores int<4>, scale = f16 per [1, 32], and nothing else}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q4_0>>>)

// -----

// expected-error @below {{layout ggml<q4_1> stores uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], and}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], layout = ggml<q4_1>>>)

// -----

// expected-error @below {{layout ggml<q8_0> stores int<8>, scale}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<8>, scale = f16 per [32, 1], layout = ggml<q8_0>>>)

// -----

// Combinators.
// expected-error @below {{the values of a sparse term are f16, bf16 or f32}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<int<4>, density = 0.01>>)

// -----

// expected-error @below {{a density is between 0 and 1, as in density = 0.01}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<f16, density = 1.5>>)

// -----

// expected-error @below {{a density is between 0 and 1, as in density = 0.01}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<f16, density = -0.1>>)

// -----

// expected-error @below {{a density is between 0 and 1, as in density = 0.01}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<f16, density = 0x7FF8000000000000>>)

// -----

// expected-error @below {{expected ','}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<f16>>)

// -----

// expected-error @below {{expected 'density'}}
func.func private @f(tensor<8x64xf32, #lowbit.sparse<f16, share = 0.1>>)

// -----

// expected-error @below {{a sum has at least two terms}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<>>)

// -----

// expected-error @below {{a sum has at least two terms}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<#lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a term of a sum is an encoding, not #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.planes>>)

// -----

// expected-error @below {{a term of a sum is an encoding, not f32}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<#lowbit.quantized<f16>, f32>>)

// -----

// expected-error @below {{a block of 1 axes does not tile a tensor of 2 axes}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.quantized<int<4>, scale = f16 per [32]>>>)

// -----

// expected-error @below {{a part with 1 cuts has 2 terms, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [4]>>)

// -----

// expected-error @below {{a part with 0 cuts has 1 terms, not 1}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [], #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a term of a part is an encoding, not #lowbit.int<4>}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [4], #lowbit.quantized<f16>, #lowbit.int<4>>>)

// -----

// expected-error @below {{the cuts of a part rise from 0, but -1 comes after 0}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [-1], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{the cuts of a part rise from 0, but -1 comes after 0}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [-9223372036854775808], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{the cuts of a part rise from 0, but 4 comes after 5}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [5, 4], #lowbit.quantized<f16>, #lowbit.quantized<f32>, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{the cut at 9 lies beyond the axis, which has 8 elements}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [9], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{the cut at 9223372036854775807 lies beyond the axis}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [9223372036854775807], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{integer value too large}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 0, at = [9223372036854775808], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{a part of axis 2 needs a tensor with more axes than 2}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 2, at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{a part cuts an axis, counted from 0, not -1}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = -1, at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{expected 'axis'}}
func.func private @f(tensor<8x64xf32, #lowbit.part<at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{layout ggml<q8_0> stores int<8>, scale}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 1, at = [32], #lowbit.quantized<f16>, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q8_0>>>>)

// -----

// expected-error @below {{layout ggml<q4_0> needs a last axis that is a multiple of 32, not 16}}
func.func private @f(tensor<8x64xf32, #lowbit.part<axis = 1, at = [48], #lowbit.quantized<f16>, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>>>)

// -----

// expected-error @below {{lowbit attributes are nested more than 64 deep}}
func.func private @f(tensor<8x64xf32, #lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.sum<#lowbit.quantized<f16>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>)

// -----

// expected-error @below {{lowbit attributes are nested more than 64 deep}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<#lowbit.block_scale<f16 per tensor>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>)

// -----

// Shapes and element types.
// expected-error @below {{a quantized tensor denotes f32 values; its element type is 'f16'}}
func.func private @f(tensor<8x64xf16, #lowbit.quantized<int<4>, scale = f16 per tensor>>)

// -----

// expected-error @below {{a quantized tensor has at least one axis}}
func.func private @f(tensor<f32, #lowbit.quantized<int<4>, scale = f16 per tensor>>)

// -----

// expected-error @below {{a rank-1 scale needs a tensor of 2 axes, this one has 1}}
func.func private @f(tensor<8xf32, #lowbit.quantized<int<4>, scale = f32 rank1<min>>>)

// -----

// expected-error @below {{layout ggml<q4_0> needs a last axis that is a multiple of 32, not 48}}
func.func private @f(tensor<8x48xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>>)

// -----

// expected-error @below {{a sparse tensor denotes f32 values; its element type is 'i32'}}
func.func private @f(tensor<8x64xi32, #lowbit.sparse<f16, density = 0.01>>)

// -----

// expected-error @below {{a sparse term needs a tensor of 2 axes, this one has 1}}
func.func private @f(tensor<8xf32, #lowbit.sparse<f16, density = 0.01>>)

// -----

// expected-error @below {{a sparse term needs a tensor of 2 axes, this one has 3}}
func.func private @f(tensor<8x64x2xf32, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.sparse<f16, density = 0.01>>>)

// -----

// expected-error @below {{a part of axis 0 needs a tensor with more axes than 0}}
func.func private @f(tensor<f32, #lowbit.part<axis = 0, at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{an encoded tensor has fewer elements than this shape}}
func.func private @f(tensor<4294967296x4294967296xf32, #lowbit.quantized<int<4>, scale = f16 per tensor>>)

// -----

// expected-error @below {{an encoded tensor has fewer elements than this shape}}
func.func private @f(tensor<9223372036854775807xf32, #lowbit.quantized<f32>>)

// -----

// expected-error @below {{an encoded tensor has fewer elements than this shape}}
func.func private @f(tensor<4294967296x4294967296xf32, #lowbit.sparse<f16, density = 0.01>>)

// -----

// expected-error @below {{an encoded tensor has fewer elements than this shape}}
func.func private @f(tensor<?x9223372036854775807xf32, #lowbit.part<axis = 0, at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// An element type that is none has its error; the encoding adds nothing.
// expected-error @below {{expected non-function type}}
func.func private @f(tensor<8x64xq4, #lowbit.quantized<f16>>)

// -----

// expected-error @below {{expected non-function type}}
func.func private @f(tensor<8x64x, #lowbit.sparse<f16, density = 0.01>>)

// -----

// expected-error @below {{expected non-function type}}
func.func private @f(tensor<8x64x, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.quantized<f32>>>)

// -----

// expected-error @below {{expected non-function type}}
func.func private @f(tensor<8x64x, #lowbit.part<axis = 0, at = [4], #lowbit.quantized<f16>, #lowbit.quantized<f32>>>)
