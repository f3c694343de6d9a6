//===- Combinators.td - Encodings made of encodings ----------*- tablegen -*-===//
#ifndef LOWBIT_IR_COMBINATORS_TD
#define LOWBIT_IR_COMBINATORS_TD

include "lowbit/IR/Encodings.td"

//===----------------------------------------------------------------------===//
// Terms that add up, and terms for them
//===----------------------------------------------------------------------===//

def Lowbit_SumAttr : Lowbit_Encoding<"Sum", "sum",
    ["verifyTerm", "getExtents", "getChildren", "getPieces", "buildEncodeTile", "isEncodedInTiles", "buildEncode",
     "referenceEncode", "verifyComponents"]> {
  let summary = "terms that add up";
  let description = [{
    Denotes the f32 sum of its terms, from left to right. An encode lets `sparse` terms choose their elements first; then each other
    term, in order, encodes what those before it leave of the rest; what is then left at the chosen places is stored there.

    ```mlir
    #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>
    #lowbit.sum<#lowbit.quantized<int<4>, scale = f16 per [1, 32]>, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::Attribute">:$terms);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_SparseAttr : Lowbit_Encoding<"Sparse", "sparse",
    ["verifyTerm", "getExtents", "isEncodedInTiles", "buildEncode", "buildContraction", "referenceEncode", "verifyComponents"],
    [DeclareAttrInterfaceMethods<OutlierAttrInterface>]> {
  let summary = "compressed sparse rows of single values";
  let description = [{
    Denotes its stored values and zero elsewhere. An encode of an archive keeps the `floor(density * elements)` values of largest
    magnitude; an encode in a program keeps the places of its destination and writes the values there.

    ```mlir
    #lowbit.sparse<f16, density = 0.01>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$element, "::mlir::FloatAttr":$density);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_NOfMAttr : Lowbit_Encoding<"NOfM", "n_m",
    ["verifyTerm", "getExtents", "isEncodedInTiles", "buildEncode", "referenceEncode", "verifyComponents"]> {
  let summary = "the N largest of each M neighbours along the last axis";
  let description = [{
    Of each group of M elements of the last axis (M a power of two, 2 to 256, that divides the axis) N are kept, the others are zero. Components:
    `positions`, the places within the groups as `uint<log2 M>` codes in planes, and those of the term, which encodes the kept
    elements as a tensor of their own, N for each group.

    ```mlir
    #lowbit.n_m<2, 4, #lowbit.quantized<int<4>, scale = f16 per [1, 16]>>
    ```
  }];
  let parameters = (ins "unsigned":$kept, "unsigned":$group, "::mlir::Attribute":$term);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_BlockSparseAttr : Lowbit_Encoding<"BlockSparse", "block_sparse",
    ["verifyTerm", "getExtents", "isEncodedInTiles", "buildEncode", "referenceEncode", "verifyComponents"]> {
  let summary = "compressed sparse rows of blocks";
  let description = [{
    A matrix cut into blocks, of which some are stored and the others are zero. Components: `positions` and `columns` count and place the
    blocks of each row of blocks; the term encodes the stored ones, one below the other. An encode of an archive keeps the
    `floor(density * blocks)` blocks of largest sum of squares; an encode in a program keeps the places of its destination.

    ```mlir
    #lowbit.block_sparse<[16, 32], density = 0.5, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$block, "::mlir::FloatAttr":$density, "::mlir::Attribute":$term);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_LowRankAttr : Lowbit_Encoding<"LowRank", "low_rank",
    ["verifyTerm", "getExtents", "isEncodedInTiles", "buildContraction", "referenceEncode", "verifyComponents"]> {
  let summary = "the product of two narrow matrices";
  let description = [{
    Denotes L times R, of `rank` columns and rows, each in an encoding of its own; products are summed in f32 in their order. An encode of
    an archive takes the best approximation of this rank; a program cannot encode it.

    ```mlir
    #lowbit.low_rank<rank = 16, #lowbit.quantized<f16>, #lowbit.quantized<f16>>
    ```
  }];
  let parameters = (ins "unsigned":$rank, "::mlir::Attribute":$left, "::mlir::Attribute":$right);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Terms over parts of a tensor, or over its elements in another order
//===----------------------------------------------------------------------===//

def Lowbit_PartAttr : Lowbit_Encoding<"Part", "part",
    ["verifyTerm", "getExtents", "getChildren", "getPieces", "buildEncodeTile", "buildStatistics", "isEncodedInTiles",
     "buildEncode", "referenceEncode", "verifyComponents"]> {
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

def Lowbit_OutlierColumnsAttr : Lowbit_Encoding<"OutlierColumns", "outlier_columns",
    ["verifyTerm", "getExtents", "getChildren", "isEncodedInTiles", "buildEncode", "buildContraction", "referenceEncode", "verifyComponents"]> {
  let summary = "some columns of a matrix in an encoding of their own";
  let description = [{
    Column `columns[i]` of the matrix is row i of what the second term encodes, [number of columns, rows]; all others are those of the
    first term, which has codes for every column and of which these are not read. So the first term's blocks lie as they do
    without, and a product reads it with inputs that are 0 there: when the inputs are rounded, outliers do not widen the range of the
    others (LLM.int8(), QUIK, OWQ). An encode of an archive takes the `floor(density * columns)` columns of largest sum of squares; an
    encode in a program keeps the columns of its destination.

    ```mlir
    #lowbit.outlier_columns<density = 0.01, #lowbit.quantized<int<8>, scale = f16 per [1, 32]>, #lowbit.quantized<f16>>
    ```
  }];
  let parameters = (ins "::mlir::FloatAttr":$density, "::mlir::Attribute":$base, "::mlir::Attribute":$outliers);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_PermutedAttr : Lowbit_Encoding<"Permuted", "permuted",
    ["verifyTerm", "getExtents", "getChildren", "isEncodedInTiles", "buildEncode", "buildContraction", "referenceEncode", "verifyComponents"]> {
  let summary = "an axis stored in another order";
  let description = [{
    Index i of axis `axis` lies at index `position[i]` of the tensor that the term encodes; with `block = b` whole groups of b
    neighbours move. A `part` of it gives encodings to any set of rows, columns or groups. An encode of an archive orders by falling
    magnitude; an encode in a program keeps the order of its destination.

    ```mlir
    #lowbit.permuted<axis = 1, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
    #lowbit.permuted<axis = 1, block = 32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
    ```
  }];
  let parameters = (ins "unsigned":$axis, "int64_t":$block, "::mlir::Attribute":$term);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lowbit_FlattenedAttr : Lowbit_Encoding<"Flattened", "flattened",
    ["verifyTerm", "getExtents", "buildEncodeTile", "buildStatistics", "isEncodedInTiles", "buildEncode",
     "referenceEncode", "verifyComponents"]> {
  let summary = "a tensor as the row of its elements";
  let description = [{
    The term encodes the one-dimensional tensor of all elements in row-major order: blocks run across rows, as in the optimizer states and
    weights of bitsandbytes.

    ```mlir
    #lowbit.flattened<#lowbit.quantized<codebook<nf4>, scale = f32 per [64]>>
    ```
  }];
  let parameters = (ins "::mlir::Attribute":$term);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // LOWBIT_IR_COMBINATORS_TD
