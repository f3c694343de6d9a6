//===- Formats.td - Number formats ---------------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_FORMATS_TD
#define LOWBIT_IR_FORMATS_TD

include "lowbit/IR/AttrBase.td"

class Lowbit_Format<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<FormatAttrInterface, extra>]>;

def Lowbit_IntFormatAttr : Lowbit_Format<"IntFormat", "int", ["buildDecode", "buildEncode"]> {
  let summary = "signed integer of 1 to 8 bits, two's complement";
  let description = [{
    Levels `-2^(bits-1) ... 2^(bits-1) - 1`. Rounds to nearest even and saturates.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    ```
  }];
  let parameters = (ins "unsigned":$bits);
  let assemblyFormat = "`<` custom<Bits>($bits) `>`";
  let genVerifyDecl = 1;
}

def Lowbit_UIntFormatAttr : Lowbit_Format<"UIntFormat", "uint", ["buildDecode", "buildEncode"]> {
  let summary = "unsigned integer of 1 to 8 bits";
  let description = [{
    Levels `0 ... 2^bits - 1`. Rounds to nearest even and saturates. Nearly always used with a zero point.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>
    ```
  }];
  let parameters = (ins "unsigned":$bits);
  let assemblyFormat = "`<` custom<Bits>($bits) `>`";
  let genVerifyDecl = 1;
}

def Lowbit_FloatFormatAttr : Lowbit_Format<"FloatFormat", "float",
    ["getCodeType", "buildDecode", "buildEncode"]> {
  let summary = "f16, bf16 or f32 as stored numbers";
  let description = [{
    The code is the number itself. Written without its mnemonic inside another attribute. Rounds to nearest even.

    ```mlir
    #lowbit.quantized<f16>
    #lowbit.quantized<bf16, scale = f32 per tensor>
    ```
  }];
  let parameters = (ins "::mlir::FloatType":$type);
  let assemblyFormat = "`<` $type `>`";
  let genVerifyDecl = 1;
}

def Lowbit_CodebookFormatAttr : Lowbit_Format<"CodebookFormat", "codebook"> {
  let summary = "a table of 2 to 256 levels, by name or literal";
  let description = [{
    The code is an index into a strictly increasing table of f32 levels. `nf4` is the 4-bit NormalFloat table
    of QLoRA (Dettmers et al. 2023, appendix E). Encodes to the nearest level.

    ```mlir
    #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>
    #lowbit.quantized<codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor>
    ```
  }];
  let parameters = (ins StringRefParameter<"name of a published table, or empty">:$name,
                        "::mlir::DenseF32ArrayAttr":$levels);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_FORMATS_TD
