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
    along the last axis, little end first. See docs/Numerics.md, "Storage".

    ```mlir
    #lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes>  // prints without its layout
    ```
  }];
  let parameters = (ins);
}

def Lowbit_GgmlLayoutAttr : Lowbit_Layout<"GgmlLayout", "ggml", ["buildPack"]> {
  let summary = "interleaved block structs of a GGUF file";
  let description = [{
    Blocks of 32 elements of the last axis, scale first, then codes; read where they lie in a GGUF file. The last axis
    is a multiple of 32.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    ```
  }];
  let parameters = (ins StringRefParameter<"name of the struct">:$block);
  let assemblyFormat = "`<` custom<Block>($block) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    const ::lowbit::numerics::BlockStruct &getStruct() const;
  }];
}

#endif // LOWBIT_IR_LAYOUTS_TD
