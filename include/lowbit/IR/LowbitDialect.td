//===- LowbitDialect.td - The dialect ---------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITDIALECT_TD
#define LOWBIT_IR_LOWBITDIALECT_TD

include "mlir/IR/DialectBase.td"

def Lowbit_Dialect : Dialect {
  let name = "lowbit";
  let cppNamespace = "::lowbit";
  let summary = "Tensors and optimizer states in few bits";
  let description = [{
    Precision is a property of a tensor's type. A program is plain `linalg`; an encoding on a tensor
    type says what is stored in how many bits. A tensor with an encoding denotes its decoded values.

    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @linear(%x: tensor<1x64xf32>, %w: tensor<8x64xf32, #w4>, %y: tensor<1x8xf32>)
        -> tensor<1x8xf32> {
      %d = lowbit.decode %w : tensor<8x64xf32, #w4>
      %r = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                                          affine_map<(m, n, k) -> (n, k)>,
                                          affine_map<(m, n, k) -> (m, n)>]
        ins(%x, %d : tensor<1x64xf32>, tensor<8x64xf32>) outs(%y : tensor<1x8xf32>)
        -> tensor<1x8xf32>
      return %r : tensor<1x8xf32>
    }
    ```
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Ops live in another file than attributes.
    void registerOperations();
    /// Encodings are printed once, above the module that uses them.
    void registerAliases();

    /// On a function: for each result the number of the argument whose storage it updates, or -1.
    static constexpr ::llvm::StringLiteral kUpdatesAttrName = "lowbit.updates";
    /// On a function: it is called from outside; gets a wrapper that takes buffers.
    static constexpr ::llvm::StringLiteral kEntryAttrName = "lowbit.entry";
    /// On a parameter, or an argument that takes one: what is multiplied with it is encoded as; "f32":
    /// it is not. See lowbit-quantize-activations.
    static constexpr ::llvm::StringLiteral kActivationsAttrName = "lowbit.activations";
    /// On an op: it computes statistics that an encode of the whole tensor must know first.
    static constexpr ::llvm::StringLiteral kStatisticsAttrName = "lowbit.statistics";
    /// On i64 arguments of a function: what lowbit.draw_origin is.
    static constexpr ::llvm::StringLiteral kDrawNumberAttrName = "lowbit.draw_number";
    static constexpr ::llvm::StringLiteral kDrawRowAttrName = "lowbit.draw_row";
    static constexpr ::llvm::StringLiteral kDrawColumnAttrName = "lowbit.draw_column";
  }];
}

#endif // LOWBIT_IR_LOWBITDIALECT_TD
