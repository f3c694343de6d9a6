//===- ContractionOps.td - Contractions on components ---------*- tablegen -*-===//
#ifndef LOWBIT_IR_CONTRACTIONOPS_TD
#define LOWBIT_IR_CONTRACTIONOPS_TD

include "lowbit/IR/LowbitDialect.td"
include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lowbit_StoredValue : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef, Index], "component, as a tensor or a buffer">;

def Lowbit_ContractOp : Op<Lowbit_Dialect, "contract", [
    AttrSizedOperandSegments, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<BufferizableOpInterface,
      ["bufferizesToMemoryRead", "bufferizesToMemoryWrite", "getAliasingValues", "bufferize"]>]> {
  let summary = "adds products of activations and encoded weights, straight on their components";
  let description = [{
    `init[m, n] += sum over k of lhs[m, k] * rhs[first + n, k]`, in f32, where `first` begins a group of 16 rows of `rhs`. `rhs_type` is the type of the whole weights, in a layout with
    inner tiles; `lhs_type` that of the activations: plain, or int<8> codes with scales by blocks of k. Scales stay outside of the sums:
    over a block in which both sides' scales are constant, codes are multiplied and added as they are, in integers if both sides
    have such. `sums` come of the sums of each such block's activations, by row and block: for integer activations and weights whose integer levels have an
    offset, i32, what that adds to a product of codes (the sum times the negated offset); for weights with zero points or minima, f32, what these
    are multiplied with (the sum, for minima times the activations' scale unless that is one for the row). Sums of codes are exact; blocks are added in f32, in order of k, by one multiply-add each.

    Example:
    ```mlir
    #a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
    #w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
    func.func @linear(%x: tensor<1x64xi8>, %xs: tensor<1x2xf32>, %offsets: tensor<1x2xi32>, %w: tensor<2x8x64xi8>,
                      %ws: tensor<2x2x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
      %first = arith.constant 0 : index
      %r = lowbit.contract tensor<1x64xf32, #a8> (%x, %xs) by tensor<32x64xf32, #w4> (%w, %ws) from %first sums (%offsets) into %y
        : (tensor<1x64xi8>, tensor<1x2xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x2xi32>, tensor<1x32xf32>)
          -> tensor<1x32xf32>
      return %r : tensor<1x32xf32>
    }
    ```
  }];
  let arguments = (ins TypeAttr:$lhs_type, TypeAttr:$rhs_type, Variadic<Lowbit_StoredValue>:$lhs,
                       Variadic<Lowbit_StoredValue>:$rhs, Index:$first, Variadic<Lowbit_StoredValue>:$sums,
                       Lowbit_StoredValue:$init);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $lhs_type `(` $lhs `)` `by` $rhs_type `(` $rhs `)` `from` $first (`sums` `(` $sums^ `)`)? `into` $init
    attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getLhsTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getLhsType()); }
    ::mlir::RankedTensorType getRhsTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getRhsType()); }
  }];
  let hasVerifier = 1;
}

class Lowbit_LanesOp<string mnemonic, list<Trait> traits = []>
    : Op<Lowbit_Dialect, mnemonic, !listconcat([Pure], traits)>;

def Lowbit_Dot4Op : Lowbit_LanesOp<"dot4", [
    AllTypesMatch<["lhs", "rhs"]>, AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "adds products of four bytes to each lane";
  let description = [{
    `result[i] = accumulator[i] + sum over j < 4 of lhs[4 i + j] * rhs[4 i + j]`, modulo 2^32, where the bytes of `lhs` are unsigned and
    those of `rhs` signed. Targets have an instruction for it; others compute it with wider multiplications
    (`lowbit-lower-lanes`).

    Example:
    ```mlir
    func.func @dot(%sum: vector<16xi32>, %w: vector<64xi8>, %x: vector<64xi8>) -> vector<16xi32> {
      %r = lowbit.dot4 %w, %x into %sum : vector<64xi8>, vector<16xi32>
      return %r : vector<16xi32>
    }
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I8]>:$lhs, VectorOfRankAndType<[1], [I8]>:$rhs,
                       VectorOfRankAndType<[1], [I32]>:$accumulator);
  let results = (outs VectorOfRankAndType<[1], [I32]>:$result);
  let assemblyFormat = "$lhs `,` $rhs `into` $accumulator attr-dict `:` type($lhs) `,` type($accumulator)";
  let hasVerifier = 1;
}

def Lowbit_LookupOp : Lowbit_LanesOp<"lookup"> {
  let summary = "an element of a table of 16 for each lane";
  let description = [{
    `result[i] = table[indices[i]]`, bytes by bytes or f32 by i32; indices are below 16.

    Example:
    ```mlir
    func.func @levels(%table: vector<16xi8>, %codes: vector<64xi8>) -> vector<64xi8> {
      %r = lowbit.lookup %table, %codes : vector<16xi8>, vector<64xi8> -> vector<64xi8>
      return %r : vector<64xi8>
    }
    ```
  }];
  let arguments = (ins VectorOfLengthAndType<[16], [I8, F32]>:$table, VectorOfRankAndType<[1], [I8, I32]>:$indices);
  let results = (outs VectorOfRankAndType<[1], [I8, F32]>:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` type($table) `,` type($indices) `->` type($result)";
  let builders = [OpBuilder<(ins "::mlir::Value":$table, "::mlir::Value":$indices)>];
  let hasVerifier = 1;
}

#endif // LOWBIT_IR_CONTRACTIONOPS_TD
