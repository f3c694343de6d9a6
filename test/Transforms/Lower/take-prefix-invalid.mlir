// RUN: lowbit-opt %s --lowbit-take-prefix=bits=3 --verify-diagnostics

// expected-error @below {{no tensor of one term has codes whose planes end 3 bits below their top: encode them with a layout such as planes<4, 4>, low bits first}}
module {
  func.func @values(%w: tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<4, 4>>>) -> tensor<8x64xf32> {
    %d = lowbit.decode %w : tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<4, 4>>>
    return %d : tensor<8x64xf32>
  }
}
