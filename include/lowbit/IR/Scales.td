//===- Scales.td - Trees of factors --------------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_SCALES_TD
#define LOWBIT_IR_SCALES_TD

include "lowbit/IR/AttrBase.td"

def Lowbit_ScaleLevelAttr : Lowbit_Attr<"ScaleLevel_", "scale_level"> {
  let cppClassName = "ScaleLevelAttr";
  let summary = "one level of a scale: an element format and who shares an element";
  let description = [{
    `f16 per [1, 32]`: one f16 for each block of 1 x 32 elements. `per tensor`: one in all. `per axis 0`: one for
    each index of axis 0. Blocks tile the tensor from index 0; the last block of an axis may be partial.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    #lowbit.quantized<int<8>, scale = f32 per tensor>
    #lowbit.quantized<int<8>, scale = f32 per axis 0>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$element, "::lowbit::GranularityKind":$kind,
                        ArrayRefParameter<"int64_t">:$values);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Elements along each axis that share a value; kWhole: the whole axis.
    ::llvm::SmallVector<int64_t> getBlock(int64_t rank) const;
    ::lowbit::FormatAttrInterface getFormat() const;
    /// Checks the axes against the shape of a tensor.
    ::llvm::LogicalResult verifyShape(::llvm::ArrayRef<int64_t> shape,
                                      ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError) const;
    ::lowbit::numerics::ScaleLevel getReference() const;
  }];
}

class Lowbit_Scale<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<ScaleAttrInterface, extra>]>;

def Lowbit_BlockScaleAttr : Lowbit_Scale<"BlockScale", "block_scale",
    ["buildFactor", "buildEncodeFactors"]> {
  let summary = "a product of levels, outermost first";
  let description = [{
    Levels multiply from the outermost inwards, each product rounded to f32. Every level's block is a multiple of
    the next one's. An offset, if there is one, is added to the product.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 256] * uint<6> per [1, 32]>
    #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 256] * int<8> per [1, 64] + f32 per tensor>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::lowbit::ScaleLevelAttr">:$levels,
                        OptionalParameter<"::lowbit::ScaleLevelAttr">:$offset);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_Rank1ScaleAttr : Lowbit_Scale<"Rank1Scale", "rank1_scale", ["buildStatistics"]> {
  let summary = "a row and a column vector, combined to one scale for each element";
  let description = [{
    The scale of element (i, j) is made of `row[i]` and `column[j]`, two vectors that are statistics of the whole tensor.
    `min` takes the smaller one (Li et al. 2023, "Memory Efficient Optimizers with 4-bit States", section 4.2).
    `product` multiplies them: the rows are largest magnitudes, the columns those of what the rows leave. `geo<alpha>`
    multiplies the power alpha of the row's largest magnitude with the power 1 - alpha of the column's (CrossQuant).

    ```mlir
    #lowbit.quantized<int<4>, scale = f32 rank1<min>>
    #lowbit.quantized<int<4>, scale = f32 rank1<product>>
    #lowbit.quantized<int<8>, scale = f32 rank1<geo<0.15>>>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$element, "::lowbit::Rank1Combiner":$combiner,
                        OptionalParameter<"::mlir::FloatAttr", "geo: the power of the row">:$alpha);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_SCALES_TD
