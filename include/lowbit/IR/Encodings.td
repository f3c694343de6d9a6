//===- Encodings.td - Terms on tensor types ------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_ENCODINGS_TD
#define LOWBIT_IR_ENCODINGS_TD

include "lowbit/IR/AttrBase.td"
include "mlir/IR/TensorEncoding.td"

class Lowbit_Encoding<string name, string mnemonic, list<string> extra = [], list<Trait> traits = []>
    : Lowbit_Attr<name, mnemonic, [
        DeclareAttrInterfaceMethods<EncodingAttrInterface, extra>,
        DeclareAttrInterfaceMethods<VerifiableTensorEncoding>] # traits> {
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::verifyEncoding(
        ::llvm::ArrayRef<int64_t> shape, ::mlir::Type elementType,
        ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError) const {
      // MLIR's parser asks even where it could not read the element type.
      return elementType ? verifyTerm(shape, elementType, emitError) : ::llvm::failure();
    }
  }];
}

def Lowbit_EncodeRuleAttr : Lowbit_Attr<"EncodeRule", "encode_rule"> {
  let summary = "how an encode chooses scales and rounds codes";
  let description = [{
    Never changes what is decoded. The rules: `absmax`, `signed_max`, `min_max`, `mx_floor`, `mx_ceil`,
    `percentile<99.5>`, `mse<steps = 16, least = 0.5>`, and `given`: scales and zero points stay those of the destination. The roundings: `nearest_even`, `half_away`, `half_up`,
    `stochastic<seed>`. What is left out is the layout's own rule or, without one, `absmax` (`min_max` with a zero point)
    and nearest even. docs/Numerics.md spells them out.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32], rule = mse<steps = 40, least = 0.2>>
    #lowbit.quantized<int<8>, scale = f32 per axis 0, rule = percentile<99.9>, rounding = stochastic<42>>
    #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
    ```
  }];
  let parameters = (ins "::lowbit::RuleKind":$choice,
                        OptionalParameter<"::mlir::FloatAttr", "percentile, or least fraction of mse">:$value,
                        DefaultValuedParameter<"unsigned", "0", "of mse">:$steps,
                        "::lowbit::RoundingKind":$rounding,
                        DefaultValuedParameter<"uint64_t", "0", "of stochastic rounding">:$seed);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::lowbit::numerics::EncodeRule getReference() const;
  }];
}

def Lowbit_QuantizedAttr : Lowbit_Encoding<"Quantized", "quantized",
    ["verifyTerm", "getExtents", "buildEncodeTile", "buildStatistics", "referenceEncode", "verifyComponents"]> {
  let summary = "codes of a number format times a tree of scales";
  let description = [{
    Denotes `scale * level`, `scale * (level - zero)` (`zero`: an integer zero point) or `scale * level + min` (`min`: an
    additive one), every step rounded to f32. `rule` and `rounding` say how an encode chooses scales and codes
    (`encode_rule`) and never change what is decoded. `layout` says how the components lie in bytes.

    ```mlir
    #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>
    #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$format, "::mlir::Attribute":$scale, "::mlir::Attribute":$zero,
                        "bool":$additive, OptionalParameter<"::lowbit::EncodeRuleAttr">:$rule,
                        "::mlir::Attribute":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::lowbit::FormatAttrInterface getCodeFormat() const;
    /// Null where the term has none.
    ::lowbit::ScaleAttrInterface getScaleTree() const;
    ::lowbit::ScaleAttrInterface getZeroTree() const;
    ::lowbit::LayoutAttrInterface getStorage() const;
    ::lowbit::numerics::Quantized getReferenceTerm() const;
    /// Whether an encode keeps the scales and zero points of its destination.
    bool hasGivenScales() const;
    /// Scalar reference: encodes row-major f32 values over the components of a destination.
    ::llvm::Expected<std::vector<::lowbit::Buffer>>
    referenceEncodeInto(::llvm::ArrayRef<int64_t> shape, ::llvm::ArrayRef<::lowbit::BufferRef> components,
                        ::llvm::ArrayRef<float> values) const;
    /// The same term in another layout, without an encode rule.
    ::lowbit::QuantizedAttr inLayout(::mlir::Attribute layout) const;
    /// Levels of the scale, then of the zero point, with the names of their components in `planes`.
    ::llvm::SmallVector<::lowbit::ScaleLevel> getAllLevels(::llvm::ArrayRef<int64_t> shape) const;
  }];
}

def Lowbit_SplitAttr : Lowbit_Encoding<"Split", "split",
    ["verifyTerm", "buildEncodeTile", "referenceEncode", "verifyComponents"]> {
  let summary = "a bfloat16 and an integer that says what it leaves";
  let description = [{
    Denotes the numbers that the high 24 or 32 bits of an f32 can be. Components: `high`, the nearest bfloat16, an array that others
    compute with as it is, and `low`, the distance to it as an integer of `bits` bits, 8 or 16, in units of the lowest bit. With 16 bits every
    f32 is kept. For the weights of a model and what an optimizer knows of them beyond that.

    ```mlir
    #lowbit.split<bf16, 8>
    #lowbit.split<bf16, 16>
    ```
  }];
  let parameters = (ins "unsigned":$bits);
  let assemblyFormat = "`<` `bf16` `,` $bits `>`";
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_ENCODINGS_TD
