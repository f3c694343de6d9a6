//===- LowbitOps.td - Operations --------------------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITOPS_TD
#define LOWBIT_IR_LOWBITOPS_TD

include "lowbit/IR/ContractionOps.td"
include "lowbit/IR/LowbitDialect.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"

class Lowbit_Op<string mnemonic, list<Trait> traits = []>
    : Op<Lowbit_Dialect, mnemonic, !listconcat([Pure], traits)>;

def Lowbit_EncodedTensor : Type<
    CPred<"::lowbit::getEncoding($_self) != nullptr">, "tensor with a lowbit encoding", "::mlir::RankedTensorType">;
def Lowbit_PlainTensor : Type<
    CPred<"::llvm::isa<::mlir::RankedTensorType>($_self) && "
          "!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">,
    "tensor without an encoding", "::mlir::RankedTensorType">;
def Lowbit_ComponentValue : AnyTypeOf<[Lowbit_PlainTensor, Index], "component of an encoded tensor">;

//===----------------------------------------------------------------------===//
// On whole encoded tensors
//===----------------------------------------------------------------------===//

def Lowbit_DecodeOp : Lowbit_Op<"decode",
    [DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "the values that an encoded tensor denotes";
  let description = [{
    Exact: what a code decodes to is defined in docs/Numerics.md. Upstream patterns do not fold it.

    Example:
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @decode(%w: tensor<8x64xf32, #w4>) -> tensor<8x64xf32> {
      %v = lowbit.decode %w : tensor<8x64xf32, #w4>
      return %v : tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins Lowbit_EncodedTensor:$source);
  let results = (outs Lowbit_PlainTensor:$result);
  let assemblyFormat = "$source attr-dict `:` type($source)";
  let hasVerifier = 1;
}

def Lowbit_EncodeOp : Lowbit_Op<"encode", [AllTypesMatch<["dest", "result"]>]> {
  let summary = "rounds values into the storage of an encoded tensor";
  let description = [{
    The result has the values of `source`, rounded once by the encoding's rule on the whole tensor's blocks. `dest` gives
    the storage, and what an encode never writes (sparsity patterns, split points).

    Example:
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @encode(%x: tensor<8x64xf32>, %d: tensor<8x64xf32, #w4>) -> tensor<8x64xf32, #w4> {
      %e = lowbit.encode %x into %d : tensor<8x64xf32> into tensor<8x64xf32, #w4>
      return %e : tensor<8x64xf32, #w4>
    }
    ```
  }];
  let arguments = (ins Lowbit_PlainTensor:$source, Lowbit_EncodedTensor:$dest);
  let results = (outs Lowbit_EncodedTensor:$result);
  let assemblyFormat = "$source `into` $dest attr-dict `:` type($source) `into` type($dest)";
  let hasVerifier = 1;
}

def Lowbit_InsertOp : Lowbit_Op<"insert", [AllTypesMatch<["dest", "result"]>]> {
  let summary = "rounds values into a region of an encoded tensor";
  let description = [{
    The result has the values of `source`, rounded once by the encoding's rule, in the region that starts at the offsets and
    has the shape of `source`, and those of `dest` elsewhere: codes there stay as they are. The region consists of whole blocks, so
    nothing outside of it would be rounded again: along an axis with blocks its place is static and at their borders. An
    encoding whose scales come from the whole tensor cannot be written in part.

    Example: new rows of a cache, each with a scale of its own.
    ```mlir
    #kv = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>
    func.func @append(%k: tensor<3x?x64xf32>, %cache: tensor<3x512x64xf32, #kv>, %position: index) -> tensor<3x512x64xf32, #kv> {
      %new = lowbit.insert %k into %cache[0, %position, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #kv>
      return %new : tensor<3x512x64xf32, #kv>
    }
    ```
  }];
  let arguments = (ins Lowbit_PlainTensor:$source, Lowbit_EncodedTensor:$dest, Variadic<Index>:$offsets,
                       DenseI64ArrayAttr:$static_offsets);
  let results = (outs Lowbit_EncodedTensor:$result);
  let assemblyFormat = [{
    $source `into` $dest `` custom<DynamicIndexList>($offsets, $static_offsets) attr-dict
    `:` type($source) `into` type($dest)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$source, "::mlir::Value":$dest,
                                 "::llvm::ArrayRef<::mlir::OpFoldResult>":$offsets)>];
  let extraClassDeclaration = [{
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedOffsets();
  }];
  let hasVerifier = 1;
}

def Lowbit_ConvertOp : Lowbit_Op<"convert"> {
  let summary = "the same tensor in another encoding";
  let description = [{
    Between two layouts or encode rules of one term, moves bytes and never rounds. To the prefix of a term whose planes end there
    (`prefix`), takes the high planes as they lie. Between other terms, decodes and encodes. `tensor.cast` between encodings is illegal: it would fold away.

    Example:
    ```mlir
    #file = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
    #planes = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @convert(%w: tensor<8x64xf32, #file>) -> tensor<8x64xf32, #planes> {
      %p = lowbit.convert %w : tensor<8x64xf32, #file> to tensor<8x64xf32, #planes>
      return %p : tensor<8x64xf32, #planes>
    }
    ```
  }];
  let arguments = (ins Lowbit_EncodedTensor:$source);
  let results = (outs Lowbit_EncodedTensor:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `to` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Lowbit_AssembleOp : Lowbit_Op<"assemble"> {
  let summary = "an encoded tensor from its components";
  let description = [{
    The components in the order of the encoding's `getComponents`.

    Example:
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @assemble(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x64xf32, #w4> {
      %w = lowbit.assemble %codes, %scale : tensor<8x32xi8>, tensor<8x2xf16> to tensor<8x64xf32, #w4>
      return %w : tensor<8x64xf32, #w4>
    }
    ```
  }];
  let arguments = (ins Variadic<Lowbit_ComponentValue>:$components);
  let results = (outs Lowbit_EncodedTensor:$result);
  let assemblyFormat = "$components attr-dict `:` type($components) `to` type($result)";
  let hasVerifier = 1;
}

def Lowbit_DisassembleOp : Lowbit_Op<"disassemble"> {
  let summary = "the components of an encoded tensor";
  let description = [{
    Example:
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @scales(%w: tensor<8x64xf32, #w4>) -> tensor<8x2xf16> {
      %codes, %scale = lowbit.disassemble %w : tensor<8x64xf32, #w4> to tensor<8x32xi8>, tensor<8x2xf16>
      return %scale : tensor<8x2xf16>
    }
    ```
  }];
  let arguments = (ins Lowbit_EncodedTensor:$source);
  let results = (outs Variadic<Lowbit_ComponentValue>:$components);
  let assemblyFormat = "$source attr-dict `:` type($source) `to` type($components)";
  let hasVerifier = 1;
}

def Lowbit_ParameterOp : Lowbit_Op<"parameter"> {
  let summary = "a tensor of an archive, by name";
  let description = [{
    Weights live outside the IR: the key names a tensor of an archive (GGUF, safetensors) that the program is given when
    it is loaded. The type says how the archive stores it, unless `stored` does: then it is converted when it is loaded, by the
    entry `pack` (`lowbit-pack-parameters`).

    Example:
    ```mlir
    #q4_1 = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>
    func.func @query_weight() -> tensor<576x576xf32, #q4_1> {
      %w = lowbit.parameter "blk.0.attn_q.weight" : tensor<576x576xf32, #q4_1>
      return %w : tensor<576x576xf32, #q4_1>
    }
    ```
  }];
  let arguments = (ins StrAttr:$key, OptionalAttr<FlatSymbolRefAttr>:$pack, OptionalAttr<TypeAttr>:$stored);
  let results = (outs AnyRankedTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::StringAttr":$key), [{
    build($_builder, $_state, result, key, ::mlir::FlatSymbolRefAttr(), ::mlir::TypeAttr());
  }]>];
  let assemblyFormat = "$key (`packed` `by` $pack^ `from` $stored)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// What a program tells while it runs
//===----------------------------------------------------------------------===//

def Lowbit_ObserveOp : Op<Lowbit_Dialect, "observe", [MemoryEffects<[MemWrite]>]> {
  let summary = "keeps statistics of a value, for the passes that decide precision";
  let description = [{
    Every number of the last axis is a channel, everything before it rows. For each row x that passes here this adds x x^T to
    `moments` [channels, channels], or to an array [channels] its `squares` (the diagonal of the moments), `sums` or
    `magnitudes` (sums of absolute values), or widens its `maxima` or `minima`. `histogram` counts |x| of all channels together, by the high
    16 bits of the f32: an i64 array [32768], of which bin b holds the magnitudes from the f32 with the bits b << 16 up to the next one's. `feeds` are the parameters that the value is
    multiplied with; the first one names the tap. It changes nothing that is computed. `lowbit-insert-observers` places taps,
    `lowbit-lower-observers` makes arguments of them that the program updates.

    Example:
    ```mlir
    func.func @tap(%x: tensor<?x64xf32>) {
      lowbit.observe %x for ["blk.0.attn_q.weight", "blk.0.attn_k.weight"] [moments, maxima] : tensor<?x64xf32>
      return
    }
    ```
  }];
  let arguments = (ins Lowbit_PlainTensor:$value, StrArrayAttr:$feeds, DenseI32ArrayAttr:$statistics);
  let assemblyFormat = "$value `for` $feeds custom<Statistics>($statistics) attr-dict `:` type($value)";
  let extraClassDeclaration = [{
    ::llvm::SmallVector<::lowbit::StatisticKind> getKinds();
    int64_t getChannels() { return getValue().getType().getShape().back(); }
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// On components: what the road works on after `lowbit-components`
//===----------------------------------------------------------------------===//

defvar Lowbit_TilingMethods = ["getLoopIteratorTypes", "getIterationDomain", "getTiledImplementation",
                               "getResultTilePosition", "generateResultTileValue"];
defvar Lowbit_Reify = DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>;

def Lowbit_DecodeRegionOp : Lowbit_Op<"decode_region", [
    AttrSizedOperandSegments, Lowbit_Reify,
    DeclareOpInterfaceMethods<TilingInterface, Lowbit_TilingMethods>]> {
  let summary = "decodes a region of a tensor that is given by its components";
  let description = [{
    `whole` is the type of the whole encoded tensor, the region is in its coordinates: there are no slices of encoded
    types. Tilable where the encoding allows (`getTileMultiples`).

    Example:
    ```mlir
    // The right half of an 8x64 tensor.
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @right(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x32xf32> {
      %t = lowbit.decode_region tensor<8x64xf32, #w4> (%codes, %scale) [0, 32] [8, 32]
        : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x32xf32>
      return %t : tensor<8x32xf32>
    }
    ```
  }];
  let arguments = (ins TypeAttr:$whole, Variadic<Lowbit_ComponentValue>:$components,
                       Variadic<Index>:$offsets, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$static_offsets, DenseI64ArrayAttr:$static_sizes);
  let results = (outs Lowbit_PlainTensor:$result);
  let assemblyFormat = [{
    $whole `(` $components `)` custom<DynamicIndexList>($offsets, $static_offsets)
    custom<DynamicIndexList>($sizes, $static_sizes) attr-dict `:` type($components) `->` type($result)
  }];
  let builders = [OpBuilder<(ins "::mlir::RankedTensorType":$whole, "::mlir::ValueRange":$components,
                                 "const ::lowbit::Box &":$region)>];
  let extraClassDeclaration = [{
    ::lowbit::Box getTensorRegion();
    ::mlir::RankedTensorType getWholeType();
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Lowbit_EncodeRegionOp : Lowbit_Op<"encode_region", [
    AttrSizedOperandSegments, DestinationStyleOpInterface, Lowbit_Reify,
    DeclareOpInterfaceMethods<TilingInterface, !listconcat(Lowbit_TilingMethods,
      ["getTiledImplementationFromOperandTiles", "getIterationDomainTileFromOperandTiles"])>]> {
  let summary = "encodes a region of a tensor into tiles of its payload components";
  let description = [{
    `payload` are destination tiles, one for each payload component; `inputs` are the other components, whole.

    Example:
    ```mlir
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
    func.func @encode(%x: tensor<8x64xf32>, %codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>)
        -> (tensor<8x32xi8>, tensor<8x2xf16>) {
      %c, %s = lowbit.encode_region tensor<8x64xf32, #w4> %x into (%codes, %scale) with [] [0, 0] [8, 64]
        : (tensor<8x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> (tensor<8x32xi8>, tensor<8x2xf16>)
      return %c, %s : tensor<8x32xi8>, tensor<8x2xf16>
    }
    ```
  }];
  let arguments = (ins TypeAttr:$whole, Lowbit_PlainTensor:$source, Variadic<Lowbit_PlainTensor>:$payload,
                       Variadic<Lowbit_ComponentValue>:$inputs,
                       Variadic<Index>:$offsets, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$static_offsets, DenseI64ArrayAttr:$static_sizes);
  let results = (outs Variadic<Lowbit_PlainTensor>:$results);
  let assemblyFormat = [{
    $whole $source `into` `(` $payload `)` `with` `[` $inputs `]`
    custom<DynamicIndexList>($offsets, $static_offsets) custom<DynamicIndexList>($sizes, $static_sizes)
    attr-dict `:` functional-type(operands, results)
  }];
  let builders = [OpBuilder<(ins "::mlir::RankedTensorType":$whole, "::mlir::Value":$source,
                                 "::mlir::ValueRange":$payload, "::mlir::ValueRange":$inputs,
                                 "const ::lowbit::Box &":$region)>];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getPayloadMutable(); }
    ::lowbit::Box getTensorRegion();
    ::mlir::RankedTensorType getWholeType();
    /// All components in order: payload as the tiles held here, others whole.
    ::llvm::SmallVector<::mlir::Value> getAllComponents();
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

//===----------------------------------------------------------------------===//
// On numbers
//===----------------------------------------------------------------------===//

def Lowbit_QuotientOp : Lowbit_Op<"quotient",
    !listconcat(ElementwiseMappable.traits, [AllTypesMatch<["number", "scale", "result"]>])> {
  let summary = "a number by a scale, as far as codes tell quotients apart";
  let description = [{
    `number / scale`, rounded to nearest, where its magnitude is from 2^-90 to 2^70. Where it is smaller the result is any
    number that is smaller, where it is larger any that is larger, of the same sign; which sign a zero has is not said. (By a scale that is denormal, a quotient above 2^100 may become zero.) A scale of zero
    or one that is no number gives zero, and so does a number that is NaN. No format of few bits has thresholds beyond these bounds, so
    codes are those of the quotient, and one division is enough for all elements of a block (`lowbit-lower-quotients`).

    Example:
    ```mlir
    func.func @scaled(%x: f32, %scale: f32) -> f32 {
      %q = lowbit.quotient %x, %scale : f32
      return %q : f32
    }
    ```
  }];
  let arguments = (ins TypeOrValueSemanticsContainer<F32, "f32">:$number,
                       TypeOrValueSemanticsContainer<F32, "f32">:$scale);
  let results = (outs TypeOrValueSemanticsContainer<F32, "f32">:$result);
  let assemblyFormat = "$number `,` $scale attr-dict `:` type($result)";
}

def Lowbit_RankOp : Lowbit_Op<"rank",
    !listconcat(ElementwiseMappable.traits, [AllTypesMatch<["number", "scale"]>,
      TypesMatchWith<"ranks are i32, as many as numbers", "number", "result", "::lowbit::RankOp::getRankType($_self)">])> {
  let summary = "how many thresholds a number has reached, by a scale";
  let description = [{
    The number of `thresholds` that are not above `number / scale`, rounded to nearest. A scale of zero or one that is no finite number gives
    the rank of zero, and so does a number that is NaN. Thresholds ascend; their magnitudes are from 2^-80 to 2^60. `bounded`:
    the magnitude of a number is at most that of the scale, unless the number is NaN, or infinite and the scale infinite or the largest
    finite number. How it is found is left to `lowbit-lower-ranks`.

    Example:
    ```mlir
    func.func @ternary(%x: f32, %scale: f32) -> i32 {
      %rank = lowbit.rank %x by %scale in [-0.5, 0.5] bounded : f32
      return %rank : i32
    }
    ```
  }];
  let arguments = (ins TypeOrValueSemanticsContainer<F32, "f32">:$number,
                       TypeOrValueSemanticsContainer<F32, "f32">:$scale,
                       DenseF32ArrayAttr:$thresholds, UnitAttr:$bounded);
  let results = (outs TypeOrValueSemanticsContainer<I32, "i32">:$result);
  let assemblyFormat = "$number `by` $scale `in` custom<Numbers>($thresholds) (`bounded` $bounded^)? attr-dict `:` type($number)";
  let extraClassDeclaration = [{
    static ::mlir::Type getRankType(::mlir::Type numbers);
    /// Whether a threshold may be this number.
    static bool isThreshold(float number);
  }];
  let hasVerifier = 1;
}

def Lowbit_DrawOriginOp : Lowbit_Op<"draw_origin"> {
  let summary = "where the random numbers of a function begin";
  let description = [{
    Stochastic rounding draws by the seed of its rule and by the element's place. `number` is added to the upper half of the seed,
    so that each call can draw anew; `row` and `column` are the place of the first row and column, for a function that is called on pieces of a
    tensor. They are the arguments of the function with the attributes `lowbit.draw_number`, `lowbit.draw_row` and `lowbit.draw_column`, and zero
    without (`lowbit-resolve-draws`).

    Example:
    ```mlir
    func.func @origin(%step: i64 {lowbit.draw_number}) -> (i64, i64) {
      %number, %row, %column = lowbit.draw_origin
      return %number, %column : i64, i64
    }
    ```
  }];
  let results = (outs I64:$number, I64:$row, I64:$column);
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// On buffers
//===----------------------------------------------------------------------===//

def Lowbit_ParameterBufferOp : Lowbit_Op<"parameter_buffer"> {
  let summary = "the memory of one component of a parameter";
  let description = [{
    Becomes a load of a descriptor that the loader fills in; the component is read-only. `encoding` and `shape` are those of the
    whole tensor as the archive stores it, if it is encoded: the loader checks them, and the components by them. With `pack`, the
    loader calls that entry with the stored components, and this is its result number `output`.

    Example:
    ```mlir
    func.func @norm() -> memref<576xf32> {
      %m = lowbit.parameter_buffer "output_norm.weight"["values"] : memref<576xf32>
      return %m : memref<576xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$key, StrAttr:$component, OptionalAttr<StrAttr>:$encoding,
                       OptionalAttr<DenseI64ArrayAttr>:$shape, OptionalAttr<StrAttr>:$pack,
                       OptionalAttr<I64Attr>:$output);
  let results = (outs AnyTypeOf<[AnyStridedMemRef, Index]>:$result);
  let assemblyFormat = "$key `[` $component `]` attr-dict `:` type($result)";
}

#endif // LOWBIT_IR_LOWBITOPS_TD
