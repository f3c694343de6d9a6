//===- Layouts.td - How components lie in bytes --------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LAYOUTS_TD
#define LOWBIT_IR_LAYOUTS_TD

include "lowbit/IR/AttrBase.td"

class Lowbit_Layout<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<LayoutAttrInterface, extra>]>;

def Lowbit_PlanesLayoutAttr : Lowbit_Layout<"PlanesLayout", "planes", ["buildPack"]> {
  let summary = "one packed array for each component";
  let description = [{
    The default. The bits of a code are split into planes of 1, 2, 4 or 8 bits, low bits first; each plane is packed
    along the last axis, little end first. See docs/Numerics.md, "Storage". Widths may be given, low bits first: the high planes alone
    are then a tensor of fewer bits (`prefix`), whose bytes need not be moved.

    ```mlir
    #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes>  // prints without its layout
    #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes<2, 2, 4>>
    ```
  }];
  let parameters = (ins OptionalArrayRefParameter<"unsigned">:$widths);
  let builders = [AttrBuilder<(ins), "return $_get($_ctxt, ::llvm::ArrayRef<unsigned>());">];
  let assemblyFormat = "(`<` $widths^ `>`)?";
  let extraClassDeclaration = [{
    /// The planes of codes of this format.
    ::std::vector<::lowbit::numerics::Plane> getPlanes(const ::lowbit::numerics::Format &format) const;
    /// The levels of buildUnpack, without the codes.
    ::llvm::SmallVector<::mlir::Value>
    buildUnpackLevels(::mlir::OpBuilder &b, ::mlir::Location loc, const ::lowbit::QuantizedAttr &term,
                      ::mlir::RankedTensorType type, ::mlir::ValueRange components, const ::lowbit::Box &region) const;
  }];
}

def Lowbit_GgmlLayoutAttr : Lowbit_Layout<"GgmlLayout", "ggml", ["buildPack"]> {
  let summary = "interleaved block structs of a GGUF file";
  let description = [{
    Structs of 32 or 256 elements of the last axis with their scales; read where they lie in a GGUF file. The last axis
    is a multiple of that. Each struct stores one term and no other: see docs/Numerics.md, "Storage".

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    #lowbit.quantized<int<6>, scale = f16 per [1, 256] * int<8> per [1, 16], layout = ggml<q6_k>>
    ```
  }];
  let parameters = (ins StringRefParameter<"name of the struct">:$block);
  let assemblyFormat = "`<` custom<Block>($block) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    const ::lowbit::numerics::BlockStruct &getStruct() const;
  }];
}

def Lowbit_TiledLayoutAttr : Lowbit_Layout<"TiledLayout", "tiled",
    ["buildPack", "hasInnerTiles", "getInnerColumns", "buildInnerTile", "buildInnerPrefetch", "buildInnerLevel"]> {
  let summary = "inner tiles of 16 rows x 4 columns, which a contraction reads vector by vector";
  let description = [{
    Of a matrix with codes of up to 8 bits, `[outputs, inputs]` as a contraction reads it: 64 bytes hold the codes of 16 rows and
    of 4 or more columns, so that a vector instruction multiplies 16 rows with 4 inputs at once. See docs/Numerics.md, "Storage".

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    #lowbit.quantized<uint<4>, scale = f16 per [1, 256] * uint<6> per [1, 32], min = f16 per [1, 256] * uint<6> per [1, 32], layout = tiled>
    ```
  }];
  let assemblyFormat = "";
}

def Lowbit_RecordsLayoutAttr : Lowbit_Layout<"RecordsLayout", "records",
    ["buildPack", "hasInnerTiles", "getInnerColumns", "buildInnerTile", "buildInnerPrefetch", "buildInnerLevel"]> {
  let summary = "inner tiles with their scales, in one sequential stream for each 16 rows";
  let description = [{
    What `tiled` holds, in another order: the vectors of codes and the scales of 16 rows and some 64 columns lie together. Some
    processors read one stream faster than several, others do not: which layout weights get is an option (`lowbit-choose-layouts`) that
    `lowbit tune` measures. See docs/Numerics.md, "Storage".

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = records>
    ```
  }];
  let assemblyFormat = "";
}

def Lowbit_CheckpointLayoutAttr : Lowbit_Layout<"CheckpointLayout", "checkpoint", ["buildPack"]> {
  let summary = "words or bytes of codes, as in quantized checkpoints";
  let description = [{
    The arrays of a safetensors checkpoint of AutoGPTQ, GPTQModel, AutoAWQ or bitsandbytes; read where they lie in the
    file. See docs/Numerics.md, "Storage".

    - `gptq`, `gptq_v2`: `qweight`, `scales` and `qzeros` for codes of 2, 3, 4 or 8 bits. The tensor is [inputs, outputs];
      words hold codes of consecutive inputs, zero points of consecutive outputs, under `gptq` each less 1.
    - `awq`: the same names, 4 bits; a word holds eight codes of consecutive outputs in the order 0, 2, 4, 6, 1, 3, 5, 7.
    - `bnb`: `weight` and `absmax`, with double quantization `nested_absmax` and `nested_offset` too, in the order of the
      flattened tensor: two codes in a byte, the first in the high nibble. Blocks lie along the last axis.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [128, 1], zero = uint<4> per [128, 1], layout = checkpoint<gptq>>
    #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64], layout = checkpoint<bnb>>
    // Double quantization; blocks run on from row to row.
    #lowbit.flattened<#lowbit.quantized<codebook<nf4>,
      scale = f32 per [16384] * codebook<dynamic, 8> per [64] + f32 per tensor, layout = checkpoint<bnb>>>
    ```
  }];
  let parameters = (ins StringRefParameter<"name of the format">:$format);
  let assemblyFormat = "`<` custom<Block>($format) `>`";
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_LAYOUTS_TD
