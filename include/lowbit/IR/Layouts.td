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

class Lowbit_CheckpointLayout<string name, string mnemonic>
    : Lowbit_Layout<name, mnemonic, ["buildPack"]> {
  let parameters = (ins);
}

def Lowbit_GptqLayoutAttr : Lowbit_CheckpointLayout<"GptqLayout", "gptq"> {
  let summary = "words of codes along the inputs, as in GPTQ checkpoints";
  let description = [{
    `qweight`, `scales` and `qzeros` of AutoGPTQ and GPTQModel, for codes of 2, 4 or 8 bits. The tensor is [inputs, outputs];
    a word holds codes of consecutive inputs, zero points of consecutive outputs, each less 1.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [128, 1], zero = uint<4> per [128, 1], layout = gptq>
    ```
  }];
}

def Lowbit_AwqLayoutAttr : Lowbit_CheckpointLayout<"AwqLayout", "awq"> {
  let summary = "words of codes along the outputs, as in AWQ checkpoints";
  let description = [{
    `qweight`, `scales` and `qzeros` of AutoAWQ's GEMM version. The tensor is [inputs, outputs]; a word holds eight codes of
    consecutive outputs in the order 0, 2, 4, 6, 1, 3, 5, 7.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [128, 1], zero = uint<4> per [128, 1], layout = awq>
    ```
  }];
}

def Lowbit_BnbLayoutAttr : Lowbit_CheckpointLayout<"BnbLayout", "bnb"> {
  let summary = "two codes in a byte, high nibble first, as in bitsandbytes checkpoints";
  let description = [{
    `weight` and `absmax` of bitsandbytes' 4-bit tensors in the order of the flattened tensor. Blocks lie along the last
    axis.

    ```mlir
    #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64], layout = bnb>
    ```
  }];
}

#endif // LOWBIT_IR_LAYOUTS_TD
