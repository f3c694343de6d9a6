//===- Formats.td - Number formats ---------------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_FORMATS_TD
#define LOWBIT_IR_FORMATS_TD

include "lowbit/IR/AttrBase.td"

class Lowbit_Format<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<FormatAttrInterface, extra>]>;

def Lowbit_IntFormatAttr : Lowbit_Format<"IntFormat", "int",
    ["getCodeType", "buildDecode", "buildEncode"]> {
  let summary = "signed integer of 1 to 16 bits, two's complement";
  let description = [{
    Levels `-2^(bits-1) ... 2^(bits-1) - 1`. Rounds to nearest even and saturates. `narrow` leaves out the lowest level, so that
    the range is symmetric: an encode never writes its code, a decode takes it for what it is.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    #lowbit.quantized<int<8, narrow>, scale = f32 per axis 0>
    #lowbit.quantized<int<12>, scale = f32 per [1, 64]>
    ```
  }];
  let parameters = (ins "unsigned":$bits, DefaultValuedParameter<"bool", "false">:$narrow);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_UIntFormatAttr : Lowbit_Format<"UIntFormat", "uint",
    ["getCodeType", "buildDecode", "buildEncode"]> {
  let summary = "unsigned integer of 1 to 16 bits";
  let description = [{
    Levels `0 ... 2^bits - 1`. Rounds to nearest even and saturates: without `zero` or `min`, negative values
    become 0.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>
    ```
  }];
  let parameters = (ins "unsigned":$bits);
  let assemblyFormat = "`<` custom<Bits>($bits) `>`";
  let genVerifyDecl = 1;
}

def Lowbit_MinifloatFormatAttr : Lowbit_Format<"MinifloatFormat", "fp", ["buildDecode", "buildEncode"]> {
  let summary = "floating-point number of 3 to 8 bits";
  let description = [{
    `fp<E, M>`: a sign, E exponent bits, M mantissa bits, subnormals, bias `2^(E-1) - 1`. After these, in any order: `bias = N`;
    `unsigned`, without the sign bit; and which codes are no finite numbers:

    | word | codes | for example |
    |---|---|---|
    | none | every code is a finite number | `e3m2`, `e2m3`, `e2m1` |
    | `fn` | all exponent and mantissa bits set: NaN | `e4m3`, `ue4m3`, `ue5m3` |
    | `ieee` | all exponent bits set: infinity and NaN | `e5m2` |
    | `fnuz` | the code of -0 is the only NaN; the bias is one higher unless given | `e4m3fnuz`, `e5m2fnuz` |
    | `fnu` | unsigned, M = 0, no zero: code c is `2^(c - bias)`, all bits set is NaN | `e8m0` |

    Inside an encoding these are written by their short names, like `f16`: `e4m3`, `e5m2`, `e4m3fnuz`, `e5m2fnuz`, `e3m2`, `e2m3`, `e2m1`,
    `e8m0`, `ue4m3`, `ue5m3`. An encode rounds to nearest even; what is larger than the largest finite number, infinity too, becomes that
    number; NaN stays where the format has one and is taken as 0 elsewhere; negative numbers become 0 where there is no sign.

    ```mlir
    #lowbit.quantized<e2m1, scale = e8m0 per [1, 32]>
    #lowbit.quantized<fp<2, 2>, scale = f16 per [1, 32]>
    #lowbit.quantized<fp<3, 2, bias = 5, unsigned>, scale = f32 per axis 0>
    ```
  }];
  let parameters = (ins "unsigned":$exponentBits, "unsigned":$mantissaBits, "int":$bias, "bool":$isSigned,
                        "::lowbit::numerics::SpecialCodes":$special);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The same parameters for the scalar library.
    numerics::Minifloat getParameters() const;
  }];
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
    The code is an index into a table of finite f32 levels, in any order; several codes may have the same level. Encodes to the nearest
    level, of several codes to the lowest. A table is written out, or named, with its arguments if it has any:

    | name | arguments | levels |
    |---|---|---|
    | `af4` | block | 4-bit AbnormalFloat; `block` is 64 (Yoshida 2023) |
    | `apot`, `apot_unsigned` | bits | additive powers of two (Li et al. 2020) |
    | `binary`, `ternary` |  | -1, 1; -1, 0, 1 |
    | `dynamic`, `dynamic_unsigned` | bits | dynamic exponent of 8-bit and 4-bit optimizer states: S8, S4; U8, DE4 (Dettmers et al. 2021) |
    | `dynamic_nonzero` | bits | `dynamic_unsigned` without zero: DE-0 (Li et al. 2023) |
    | `fp4` |  | bitsandbytes' FP4, in its order of codes |
    | `gaussian` | bits | Lloyd-Max levels of a standard normal variable |
    | `iq4_nl`, `mxfp4_ggml` |  | tables of ggml's IQ4_NL and MXFP4 |
    | `linear`, `linear_unsigned` | bits | equal steps from -1 to 1 or 0 to 1, with zero |
    | `linear_nonzero` | bits | (i + 1) / 2^bits (Li et al. 2023) |
    | `linear_square` | bits | Linear-2 of 4-bit Shampoo (Wang et al. 2024) |
    | `log2`, `log2_signed` | bits, octaves | equal steps of the logarithm from 2^-octaves to 1; signed with zero |
    | `nf4` |  | 4-bit NormalFloat (Dettmers et al. 2023, appendix E) |
    | `power` | bits, exponent | sign(i) * abs(i / (2^(bits-1) - 1))^exponent (Yvinec et al. 2023) |
    | `softsign`, `sqrt` | bits | companded: equal steps of 2 x / (1 + abs(x)), with both signs, and of the square root (Gonzalez Ortiz et al. 2026) |
    | `sqrt_nonzero` | bits | the codes of `sqrt`, without zero |

    ```mlir
    #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>
    #lowbit.quantized<codebook<dynamic_unsigned, 8>, scale = f32 per [1, 256]>
    #lowbit.quantized<codebook<power, 4, 1.5>, scale = f16 per [1, 32]>
    #lowbit.quantized<codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor>
    ```
  }];
  let parameters = (ins StringRefParameter<"name of a published table, or empty">:$name,
                        "::mlir::DenseF64ArrayAttr":$arguments,
                        "::mlir::DenseF32ArrayAttr":$levels);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_PrefixFormatAttr : Lowbit_Format<"PrefixFormat", "prefix"> {
  let summary = "the high bits of the codes of another format";
  let description = [{
    A code of `prefix<4, int<8>>` is the four high bits of a code of `int<8>`, and decodes to the mean of the levels whose codes begin so: the value
    that is nearest to them all. With `layout = planes<4, 4>` the high plane of a tensor of `int<8>` is a tensor of its prefix as it lies:
    `lowbit.convert` between the two moves nothing, and `lowbit-take-prefix` makes a program read no more than that. At most 8 bits, less
    than the other format has; that has finite levels and up to 16 bits. Encodes like a table of these levels.

    ```mlir
    #lowbit.quantized<prefix<4, int<8>>, scale = f32 per axis 0>
    #lowbit.quantized<prefix<3, codebook<nf4>>, scale = f16 per [1, 64]>
    ```
  }];
  let parameters = (ins "unsigned":$bits, "::mlir::Attribute":$parent);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_LearnedFormatAttr : Lowbit_Format<"LearnedFormat", "learned",
    ["getTables", "verifyShape", "getReferenceLevels", "buildDecodeTile", "buildEncodeTile"]> {
  let summary = "1 to 8 bits, an index into levels that the tensor brings";
  let description = [{
    `learned<4, f16 per axis 0>`: the component `levels` has a table of 16 f16 for each index of axis 0, in ascending order; a code decodes
    to its entry. Tables are shared like scales: `per tensor`, `per axis N` or `per [1, 128]`. The reference encoder learns them: optimal
    k-means of the elements, over their scale if there is one (a scale takes them to -1 ... 1). An encode in a program keeps the tables
    of its destination and takes the nearest level; exactly between two, that of the even code. No zero point.

    ```mlir
    #lowbit.quantized<learned<4, f16 per axis 0>>
    #lowbit.quantized<learned<3, bf16 per [1, 256]>, scale = f16 per axis 0>
    ```
  }];
  let parameters = (ins "unsigned":$bits, "::lowbit::ScaleLevelAttr":$levels);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_FORMATS_TD
