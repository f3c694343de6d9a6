//===- LowbitAttrs.td - Formats, scales, layouts, encodings -*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITATTRS_TD
#define LOWBIT_IR_LOWBITATTRS_TD

include "lowbit/IR/LowbitDialect.td"
include "lowbit/IR/LowbitEnums.td"
include "lowbit/IR/LowbitInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/TensorEncoding.td"

class Lowbit_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Lowbit_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

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
  }];
}

class Lowbit_Scale<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<ScaleAttrInterface, extra>]>;

def Lowbit_BlockScaleAttr : Lowbit_Scale<"BlockScale", "block_scale", ["buildEncodeFactors"]> {
  let summary = "a product of levels, outermost first";
  let description = [{
    Levels multiply from the outermost inwards, each product rounded to f32. Every level's block is a multiple of
    the next one's.

    ```mlir
    #lowbit.quantized<uint<4>, scale = f16 per [1, 256] * uint<6> per [1, 32]>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::lowbit::ScaleLevelAttr">:$levels);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_Rank1ScaleAttr : Lowbit_Scale<"Rank1Scale", "rank1_scale", ["buildStatistics"]> {
  let summary = "a row and a column vector, combined to one scale for each element";
  let description = [{
    The scale of element (i, j) is `min(row[i], column[j])` (Li et al. 2023, "Memory Efficient Optimizers with 4-bit
    States", section 4.2). Both vectors are statistics of the whole tensor.

    ```mlir
    #lowbit.quantized<int<4>, scale = f32 rank1<min>>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$element, "::lowbit::Rank1Combiner":$combiner);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

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
  let parameters = (ins "::lowbit::GgmlBlock":$block);
  let assemblyFormat = "`<` custom<Block>($block) `>`";
}

//===----------------------------------------------------------------------===//
// Encodings
//===----------------------------------------------------------------------===//

class Lowbit_Encoding<string name, string mnemonic, list<string> extra = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<EncodingAttrInterface, extra>,
        DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]>;

def Lowbit_QuantizedAttr : Lowbit_Encoding<"Quantized", "quantized",
    ["verifyTerm", "getExtents", "buildEncodeTile", "buildStatistics", "referenceEncode"]> {
  let summary = "codes of a number format times a tree of scales";
  let description = [{
    Denotes `scale * level`, `scale * (level - zero)` (`zero`: an integer zero point) or `scale * level + min` (`min`: an
    additive one), every step rounded to f32. `rule` says how an encode chooses the scale and never changes what is
    decoded. `layout` says how the components lie in bytes.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$format, "::mlir::Attribute":$scale, "::mlir::Attribute":$zero,
                        "bool":$additive, "::lowbit::EncodeRule":$rule, "::mlir::Attribute":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::lowbit::FormatAttrInterface getCodeFormat() const;
    /// Null where the term has none.
    ::lowbit::ScaleAttrInterface getScaleTree() const;
    ::lowbit::ScaleAttrInterface getZeroTree() const;
    ::lowbit::LayoutAttrInterface getStorage() const;
    ::lowbit::numerics::Quantized getReferenceTerm() const;
    /// Levels of the scale, then of the zero point, with the names of their components in `planes`.
    ::llvm::SmallVector<::lowbit::ScaleLevel> getAllLevels(::llvm::ArrayRef<int64_t> shape) const;
  }];
}

def Lowbit_SparseAttr : Lowbit_Encoding<"Sparse", "sparse",
    ["verifyTerm", "getExtents", "buildContraction", "referenceEncode"]> {
  let summary = "compressed sparse rows of single values";
  let description = [{
    Denotes its stored values and zero elsewhere. An encode keeps the `floor(density * elements)` values of largest
    magnitude. Used as a term of a `sum`.

    ```mlir
    #lowbit.sparse<f16, density = 0.01>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$element, "::mlir::FloatAttr":$density);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_SumAttr : Lowbit_Encoding<"Sum", "sum",
    ["verifyTerm", "getExtents", "getPieces", "referenceEncode"]> {
  let summary = "terms that add up";
  let description = [{
    Denotes the f32 sum of its terms, from left to right. An encode of a base and a sparse term takes the outliers out of
    the base and stores what the base leaves of them in the sparse term.

    ```mlir
    #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::Attribute">:$terms);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_PartAttr : Lowbit_Encoding<"Part", "part",
    ["verifyTerm", "getExtents", "getPieces", "buildEncodeTile", "buildStatistics", "referenceEncode"]> {
  let summary = "ranges of one axis, each in an encoding of its own";
  let description = [{
    Axis `axis` is cut at the indices `at`; range i has encoding `terms[i]`. A cut of `?` is a component, known at run time.

    ```mlir
    #lowbit.part<axis = 0, at = [64], #lowbit.quantized<int<8>, scale = f32 per axis 0>,
                 #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
    ```
  }];
  let parameters = (ins "unsigned":$axis, ArrayRefParameter<"int64_t">:$at,
                        ArrayRefParameter<"::mlir::Attribute">:$terms);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_LOWBITATTRS_TD
