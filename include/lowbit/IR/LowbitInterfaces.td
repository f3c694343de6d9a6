//===- LowbitInterfaces.td - What encodings tell the compiler -*- tablegen -*-===//
//
// Contracts: a format (what one code means), a scale (a tree of factors), a layout (how the
// components lie in bytes), an encoding (a term on a tensor type), and outliers (a term that takes
// single elements out of a tensor). Passes, packing, reference and
// tests ask these interfaces and know no scheme by name; a third party implements them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IR_LOWBITINTERFACES_TD
#define LOWBIT_IR_LOWBITINTERFACES_TD

include "mlir/IR/OpBase.td"

def FormatAttrInterface : AttrInterface<"FormatAttrInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    A number format: what one stored code decodes to. A scalar format of up to 8 bits is its table
    of levels; everything else has a default that follows from the table. Integers of 9 to 16 bits
    say how they are computed; f16, bf16 and f32 store their values as such.
  }];
  let methods = [
    InterfaceMethod<"The scalar reference of this format: width, levels, rounding.",
      "::lowbit::numerics::Format", "getReference", (ins)>,
    InterfaceMethod<[{How many values one code decodes to. 1 for scalar formats; a vector format gives
                     d, along the last axis.}],
      "int64_t", "getValuesPerCode", (ins), "", "return 1;">,
    InterfaceMethod<[{Element type of an unpacked code: i8 for up to 8 bits and i16 for up to 16
                     (zero-extended bits of the code), the float type itself for stored floats.}],
      "::mlir::Type", "getCodeType", (ins), "",
      "return ::mlir::IntegerType::get($_attr.getContext(), 8);">,
    InterfaceMethod<"Scalar IR: the f32 level of `code` (of the code type).",
      "::mlir::Value", "buildDecode",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::Value":$code), "",
      "return ::lowbit::buildTableDecode(b, loc, $_attr.getReference(), code);">,
    InterfaceMethod<"Scalar IR: the code (of the code type) of the level nearest to the f32 `value`.",
      "::mlir::Value", "buildEncode",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::Value":$value), "",
      "return ::lowbit::buildTableEncode(b, loc, $_attr.getReference(), value);">,
    InterfaceMethod<[{Tables that are stored with the tensor, without which a code means nothing: named, over blocks of a tensor of
                     this shape. A format that has any decodes and encodes whole tiles, below, instead of single codes.}],
      "::llvm::SmallVector<::lowbit::ScaleLevel>", "getTables",
      (ins "::llvm::ArrayRef<int64_t>":$shape), "", "return {};">,
    InterfaceMethod<"Checks the tables against the shape of a tensor.",
      "::llvm::LogicalResult", "verifyShape",
      (ins "::llvm::ArrayRef<int64_t>":$shape,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError), "",
      "return ::mlir::success();">,
    InterfaceMethod<"The tables for the scalar reference.",
      "::std::optional<::lowbit::numerics::ScaleLevel>", "getReferenceLevels", (ins), "",
      "return ::std::nullopt;">,
    InterfaceMethod<"IR: the f32 levels of a tile of codes. `tables` are the unpacked tiles of the region.",
      "::mlir::Value", "buildDecodeTile",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::llvm::ArrayRef<int64_t>":$shape,
           "::mlir::Value":$codes, "::mlir::ValueRange":$tables), "", "return {};">,
    InterfaceMethod<"IR: the codes of the levels nearest to a tile of f32 values.",
      "::mlir::Value", "buildEncodeTile",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::llvm::ArrayRef<int64_t>":$shape,
           "::mlir::Value":$values, "::mlir::ValueRange":$tables), "", "return {};">,
  ];
}

def ScaleAttrInterface : AttrInterface<"ScaleAttrInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    A tree of factors over a tensor: scales, and zero points of either kind. A scale has *levels*,
    outermost first; each is a tensor of codes of its own format. Levels are given and taken as
    *unpacked* tiles: a layout brings them from and to bytes.
  }];
  let methods = [
    InterfaceMethod<"Checks this scale against the shape of a tensor.",
      "::llvm::LogicalResult", "verifyShape",
      (ins "::llvm::ArrayRef<int64_t>":$shape,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError)>,
    InterfaceMethod<"The stored levels, outermost first.",
      "::llvm::SmallVector<::lowbit::ScaleLevel>", "getLevels", (ins "::llvm::ArrayRef<int64_t>":$shape)>,
    InterfaceMethod<"The scalar reference.", "::lowbit::numerics::Scale", "getReference", (ins)>,
    InterfaceMethod<[{IR: the f32 factors of a tile. `levels` are the unpacked level tiles of `region`,
                     `block` receives how many elements share a factor along each axis (kWhole: all of the tile).}],
      "::mlir::Value", "buildFactors",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::llvm::ArrayRef<int64_t>":$shape,
           "::mlir::ValueRange":$levels, "const ::lowbit::Box &":$region,
           "::llvm::SmallVectorImpl<int64_t> &":$block)>,
    InterfaceMethod<[{IR: the factor of an element from the f32 values that its levels decode to, scalars or vectors of
                     lanes. Failure: it is more than that.}],
      "::mlir::FailureOr<::mlir::Value>", "buildFactor",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::ValueRange":$levels), "",
      "return ::mlir::failure();">,
    InterfaceMethod<[{IR: encodes wanted factors (f32, on the grid that `buildFactors` gives) into level tiles,
                     outermost first. `saturate`: beyond an element's range to its largest finite value, else as the
                     element's conversion says.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildEncodeFactors",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::llvm::ArrayRef<int64_t>":$shape,
           "::mlir::Value":$wanted, "bool":$saturate), "", "return ::mlir::failure();">,
    InterfaceMethod<[{IR: levels that need the whole tensor: tilable ops over `magnitudes` =
                     `whole` / largest level. Empty: the levels are local to a block.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildStatistics",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::Value":$whole,
           "float":$largest), "",
      "return ::llvm::SmallVector<::mlir::Value>();">,
  ];
}

def LayoutAttrInterface : AttrInterface<"LayoutAttrInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    How the components of a `quantized` term lie in bytes. Every layout of a term holds the same
    codes: unpacking gives a `Fields`, packing takes one. A layout never rounds.
  }];
  let methods = [
    InterfaceMethod<"Checks that this layout can hold `term` on a tensor of this shape.",
      "::llvm::LogicalResult", "verifyTerm",
      (ins "const ::lowbit::QuantizedAttr &":$term, "::llvm::ArrayRef<int64_t>":$shape,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError)>,
    InterfaceMethod<"Stored components.", "::llvm::SmallVector<::lowbit::EncodingComponent>", "getComponents",
      (ins "const ::lowbit::QuantizedAttr &":$term, "::mlir::RankedTensorType":$type)>,
    InterfaceMethod<"Per axis: a tile starts and ends at multiples of this.",
      "::llvm::SmallVector<int64_t>", "getTileMultiples",
      (ins "const ::lowbit::QuantizedAttr &":$term, "::mlir::RankedTensorType":$type)>,
    InterfaceMethod<"The part of component `index` that belongs to a region.",
      "::lowbit::Box", "getComponentRegion",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "unsigned":$index, "const ::lowbit::Box &":$region)>,
    InterfaceMethod<"IR: unpacked codes and levels of a tile, from whole components.",
      "::lowbit::Fields", "buildUnpack",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$components,
           "const ::lowbit::Box &":$region)>,
    InterfaceMethod<[{IR: packs the fields of a tile into the payload tiles `destinations`; returns them in order.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildPack",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "const ::lowbit::Fields &":$fields,
           "::mlir::ValueRange":$destinations), "", "return ::mlir::failure();">,
    InterfaceMethod<"The scalar reference of this layout.",
      "::std::shared_ptr<const ::lowbit::numerics::Layout>", "getReference", (ins)>,
    InterfaceMethod<[{Whether a contraction can read a matrix [outputs, inputs] vector by vector, by the methods that follow.}],
      "bool", "hasInnerTiles", (ins), "", "return false;">,
    InterfaceMethod<"Columns that whole vectors of inner tiles hold: places in a step of a multiple of them are known.",
      "int64_t", "getInnerColumns", (ins "const ::lowbit::QuantizedAttr &":$term), "", "return 1;">,
    InterfaceMethod<[{IR on buffers: a vector of 64 x i8, row by row, with the codes of the 16 rows from 16 * `group` on and the 4
                     columns from `at` on; the highest bit of a code of int<k> is flipped.}],
      "::mlir::Value", "buildInnerTile",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$components, "::mlir::Value":$group,
           "const ::lowbit::StepColumn &":$at), "", "return {};">,
    InterfaceMethod<[{IR on buffers: a prefetch of each vector with codes of these rows that begins within the 4 columns from `at` on,
                     `distance` bytes ahead, into the cache of level `locality` (as memref.prefetch has it).}],
      "void", "buildInnerPrefetch",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$components, "::mlir::Value":$group,
           "const ::lowbit::StepColumn &":$at, "int64_t":$distance, "unsigned":$locality), "", "return;">,
    InterfaceMethod<[{IR on buffers: the codes of level `level` (of the scale, then of the zero point) for these rows and column: a
                     vector of 16, or a scalar where all rows share it. Null: this level's blocks are cut by groups of rows.}],
      "::mlir::Value", "buildInnerLevel",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "const ::lowbit::QuantizedAttr &":$term,
           "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$components, "unsigned":$level,
           "::mlir::Value":$group, "const ::lowbit::StepColumn &":$at), "", "return {};">,
  ];
}

def EncodingAttrInterface : AttrInterface<"EncodingAttrInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    What a tensor encoding tells the compiler about itself. `type` is always the whole tensor that
    this term denotes (its encoding is this attribute); a `region` is in coordinates of that whole;
    `components` are all stored components, flat, whole.
  }];
  let methods = [
    InterfaceMethod<"Checks this term against a shape; called wherever a type of it is made or used.",
      "::llvm::LogicalResult", "verifyTerm",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError), "",
      "return ::mlir::success();">,
    InterfaceMethod<"Stored components, flat; combinators concatenate their children's.",
      "::llvm::SmallVector<::lowbit::EncodingComponent>", "getComponents", (ins "::mlir::RankedTensorType":$type)>,
    InterfaceMethod<"Run-time extents of the whole tensor; what the type leaves open comes from the components.",
      "::llvm::SmallVector<::mlir::OpFoldResult>", "getExtents",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::ValueRange":$components), "",
      "return ::lowbit::extentsOf(b, loc, type, components[0]);">,
    InterfaceMethod<[{Per axis: a legal tile starts and ends at multiples of this, or at the end of
                     the axis; kWhole: a tile spans the axis.}],
      "::llvm::SmallVector<int64_t>", "getTileMultiples",
      (ins "::mlir::RankedTensorType":$type, "::lowbit::TileUse":$use)>,
    InterfaceMethod<"The part of component `index` that belongs to a legal tile.",
      "::lowbit::Box", "getComponentRegion",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::ValueRange":$components, "unsigned":$index, "const ::lowbit::Box &":$region)>,
    InterfaceMethod<"IR that decodes one legal tile from whole components.",
      "::mlir::Value", "buildDecodeTile",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::ValueRange":$components, "const ::lowbit::Box &":$region)>,
    InterfaceMethod<[{IR that encodes one legal tile. `components`: one for each component, payload as
                     destination tiles, others whole. Returns the payload tiles in order. Failure: read-only.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildEncodeTile",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::Value":$tile, "::mlir::ValueRange":$components, "const ::lowbit::Box &":$region),
      "", "return ::mlir::failure();">,
    InterfaceMethod<"IR: statistics phase over the whole plain value; returns the Statistic components in order.",
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildStatistics",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::Value":$whole, "::mlir::ValueRange":$components),
      "", "return ::llvm::SmallVector<::mlir::Value>();">,
    InterfaceMethod<[{Whether an encode of the whole runs tile by tile (`buildStatistics`, then `buildEncodeTile`);
                     otherwise it is `buildEncode`.}],
      "bool", "isEncodedInTiles", (ins "::mlir::RankedTensorType":$type), "", "return true;">,
    InterfaceMethod<[{IR that encodes a whole plain value over the stored `components`, where tiles do not do it: what a
                     combinator's terms store depends on each other or on its structure. Returns all components,
                     structure as it was; a term is encoded by `lowbit::encodeWhole`. Failure: read-only.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildEncode",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::Value":$whole, "::mlir::ValueRange":$components),
      "", "return ::mlir::failure();">,
    InterfaceMethod<[{The whole tensors of the terms that can be read in layouts of their own, in the order of their components,
                     which are the last ones of this one's; a leaf has none.}],
      "::llvm::SmallVector<::mlir::RankedTensorType>", "getChildren", (ins "::mlir::RankedTensorType":$type), "",
      "return ::llvm::SmallVector<::mlir::RankedTensorType>();">,
    InterfaceMethod<"Terms this one consists of and how they combine; a leaf returns Leaf.",
      "::lowbit::Pieces", "getPieces",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::ValueRange":$components),
      "", "return ::lowbit::Pieces();">,
    InterfaceMethod<[{Optional: a contraction straight on the components of input `operand` (sparse terms);
                     failure means: decode tiles instead.}],
      "::mlir::FailureOr<::mlir::Value>", "buildContraction",
      (ins "::mlir::OpBuilder &":$b, "::mlir::linalg::LinalgOp":$op, "unsigned":$operand,
           "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$components),
      "", "return ::mlir::failure();">,
    InterfaceMethod<[{Scalar reference: decodes stored components (one for each of getComponents, with
                     run-time shapes) into row-major f32 values.}],
      "::llvm::Error", "referenceDecode",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "::llvm::ArrayRef<::lowbit::BufferRef>":$components,
           "::llvm::MutableArrayRef<float>":$values)>,
    InterfaceMethod<"Scalar reference: encodes row-major f32 values into components.",
      "::llvm::Expected<std::vector<::lowbit::Buffer>>", "referenceEncode",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "::llvm::ArrayRef<float>":$values), "",
      [{return ::llvm::createStringError("this encoding is read-only: it has no reference encoder");}]>,
    InterfaceMethod<[{Checks stored components that compiled code will read, since it trusts them: their extents, and the
                     structure by which it finds its way (positions, columns, orders, cuts). `type` is that of the whole tensor in
                     the program, some extents perhaps open, `shape` has all of them; `components` are one for each of
                     getComponents(type), with run-time shapes.}],
      "::llvm::Error", "verifyComponents",
      (ins "::mlir::RankedTensorType":$type, "::llvm::ArrayRef<int64_t>":$shape,
           "::llvm::ArrayRef<::lowbit::BufferRef>":$components), "",
      "return ::llvm::Error::success();">,
  ];
}

def OutlierAttrInterface : AttrInterface<"OutlierAttrInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    An encoding that holds single elements at places which it stores. As a term of a `sum` it chooses its elements first, the other
    terms see +0 there, and it stores what they leave at its places. Implemented beside `EncodingAttrInterface`, whose
    `buildEncode` stores the elements of a value at the places that the components have.
  }];
  let methods = [
    InterfaceMethod<"Scalar reference: the linear indices, ascending, of the elements that this term takes.",
      "::std::vector<int64_t>", "referenceChoose",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "::llvm::ArrayRef<float>":$values)>,
    InterfaceMethod<"Scalar reference: the components that hold `elements`, one for each of `places`.",
      "::llvm::Expected<std::vector<::lowbit::Buffer>>", "referenceEncodeAt",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "::llvm::ArrayRef<int64_t>":$places,
           "::llvm::ArrayRef<float>":$elements)>,
    InterfaceMethod<"IR: the plain value `whole` with +0 at the places that the components have.",
      "::mlir::Value", "buildTakeOut",
      (ins "::mlir::OpBuilder &":$b, "::mlir::Location":$loc, "::mlir::RankedTensorType":$type,
           "::mlir::Value":$whole, "::mlir::ValueRange":$components)>,
  ];
}

#endif // LOWBIT_IR_LOWBITINTERFACES_TD
