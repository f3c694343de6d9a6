//===- LlamaForward.cpp - Emits the forward pass of a llama ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LlamaForward.h"

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace llvm;
using namespace mlir;

namespace lowbit {

LlamaForward::LlamaForward(const LlamaModel &model, ModuleOp module, int64_t rows)
    : model(model), module(module), staticRows(rows), t(module.getContext()) {}

RankedTensorType LlamaForward::rowsType(int64_t columns) {
  return RankedTensorType::get({staticRows, columns}, t.get().getF32Type());
}

func::FuncOp LlamaForward::startFunction(StringRef name, FunctionType type,
                                         ArrayRef<std::string> arguments) {
  t.get().setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(t.get(), t.name(name), name, type);
  Block *entry = function.addEntryBlock();
  for (auto [argument, text] : zip_equal(entry->getArguments(), arguments))
    argument.setLoc(t.name(text));
  t.get().setInsertionPointToStart(entry);
  return function;
}

void LlamaForward::setRows(Value tensor) {
  rows = ShapedType::isDynamic(staticRows) ? OpFoldResult(t.dim("rows", tensor, 0))
                                           : t.size(staticRows);
}

Value LlamaForward::weight(StringRef role) const {
  Value found = weights.lookup(role);
  assert(found && "the model was checked to have every weight");
  return found;
}

//===----------------------------------------------------------------------===//
// Parts of a layer
//===----------------------------------------------------------------------===//

Value LlamaForward::norm(StringRef name, Value x, Value weight) {
  Value zeros = t.fill("zeros", 0, t.empty({rows}));
  Value squares = t.generic("squares", 2, {{x, {0, 1}}}, {zeros, {0}},
                            [](ImplicitLocOpBuilder &b, ValueRange e) {
                              Value square = arith::MulFOp::create(b, e[0], e[0]);
                              return arith::AddFOp::create(b, e[1], square).getResult();
                            });
  Value scale = t.elementwise(
      "scale", {{squares, {0}}}, t.empty({rows}), [&](ImplicitLocOpBuilder &b, ValueRange e) {
        Value mean = arith::DivFOp::create(b, e[0], constant(b, model.width));
        Value root =
            math::SqrtOp::create(b, arith::AddFOp::create(b, mean, constant(b, model.epsilon)));
        return arith::DivFOp::create(b, constant(b, 1), root).getResult();
      });
  return t.elementwise(name, {{x, {0, 1}}, {scale, {0}}, {weight, {1}}},
                       t.empty({rows, t.size(model.width)}),
                       [](ImplicitLocOpBuilder &b, ValueRange e) {
                         Value scaled = arith::MulFOp::create(b, e[0], e[1]);
                         return arith::MulFOp::create(b, scaled, e[2]).getResult();
                       });
}

Value LlamaForward::linear(StringRef name, Value x, Value init) {
  Value matrix = weight((name + ".weight").str());
  OpFoldResult columns = t.size(cast<RankedTensorType>(matrix.getType()).getDimSize(0));
  Value bias = weights.lookup((name + ".bias").str());
  if (bias && init)
    init = t.elementwise("biased", {{init, {0, 1}}, {bias, {1}}}, t.empty({rows, columns}),
                         [](ImplicitLocOpBuilder &b, ValueRange e) {
                           return arith::AddFOp::create(b, e[0], e[1]).getResult();
                         });
  else if (bias)
    init = t.elementwise("biases", {{bias, {1}}}, t.empty({rows, columns}),
                         [](ImplicitLocOpBuilder &, ValueRange e) { return e[0]; });
  else if (!init)
    init = t.fill("zeros", 0, t.empty({rows, columns}));
  return t.matmul(name, x, matrix, init);
}

Value LlamaForward::rotateLast(StringRef name, Value x, const LlamaModel::Rotation &rotation) {
  if (rotation.factors.empty())
    return x;
  // x as [..., n0, n1, ...], each of the last axes times the factor of its size.
  auto type = cast<RankedTensorType>(x.getType());
  unsigned first = type.getRank() - 1, count = rotation.factors.size();
  SmallVector<OpFoldResult> sizes = {rows};
  for (int64_t extent : type.getShape().drop_front().drop_back())
    sizes.push_back(t.size(extent));
  for (DenseElementsAttr factor : rotation.factors)
    sizes.push_back(t.size(cast<RankedTensorType>(factor.getType()).getDimSize(0)));
  if (count > 1)
    x = t.split("parts", x, first, sizes);
  for (auto [i, factor] : enumerate(rotation.factors)) {
    Value matrix = arith::ConstantOp::create(t.get(), t.name("rotation"), factor);
    unsigned axis = first + i, summed = sizes.size();
    SmallVector<unsigned> result = to_vector(seq<unsigned>(summed)), source = result;
    source[axis] = summed;
    Value zeros = t.fill("zeros", 0, t.empty(sizes));
    x = t.contraction(name, summed + 1, {x, source}, {matrix, {summed, axis}}, {zeros, result});
  }
  return count > 1 ? t.merge(name, x, first, count) : x;
}

Value LlamaForward::feedForward(Value x) {
  Value gate = linear("ffn_gate", x);
  Value up = linear("ffn_up", x);
  return t.elementwise("gated", {{gate, {0, 1}}, {up, {0, 1}}},
                       t.empty({rows, t.size(model.hiddenWidth)}),
                       [](ImplicitLocOpBuilder &b, ValueRange e) {
                         Value exponential = math::ExpOp::create(b, arith::NegFOp::create(b, e[0]));
                         Value denominator = arith::AddFOp::create(b, constant(b, 1), exponential);
                         Value silu = arith::DivFOp::create(b, e[0], denominator);
                         return arith::MulFOp::create(b, silu, e[1]).getResult();
                       });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

func::FuncOp LlamaForward::emitLayer(const LlamaLayer &layer, StringRef name) {
  RankedTensorType x = rowsType(model.width), table = rowsType(model.rotarySize / 2);
  SmallVector<Type> types = {x, table, table, t.get().getIndexType()};
  SmallVector<std::string> names = {"x", "cosine", "sine", "position"};
  for (const LlamaParameter &parameter : layer.parameters) {
    types.push_back(parameter.type);
    names.push_back(StringRef(parameter.role).ends_with(".weight")
                        ? StringRef(parameter.role).drop_back(strlen(".weight")).str()
                        : parameter.role);
  }
  types.append({layer.keyCache, layer.valueCache});
  names.append({"k_cache", "v_cache"});
  func::FuncOp function = startFunction(
      name, t.get().getFunctionType(types, {x, layer.keyCache, layer.valueCache}), names);
  function.setPrivate();
  for (auto [i, parameter] : enumerate(layer.parameters))
    if (parameter.activations)
      function.setArgAttr(4 + i, LowbitDialect::kActivationsAttrName, parameter.activations);

  Value stream = function.getArgument(0);
  cosine = function.getArgument(1);
  sine = function.getArgument(2);
  position = function.getArgument(3);
  setRows(stream);
  weights.clear();
  for (auto [i, parameter] : enumerate(layer.parameters))
    weights[parameter.role] = function.getArgument(4 + i);
  Value keyCache = function.getArgument(types.size() - 2);
  Value valueCache = function.getArgument(types.size() - 1);

  OpFoldResult kv = t.size(model.kvHeads), headSize = t.size(model.headSize);
  Value h = norm("attn_normed", stream, weight("attn_norm.weight"));
  Value q = rotate("q", linear("attn_q", h), {model.kvHeads, model.heads / model.kvHeads});
  q = rotateLast("q", q, model.headRotation);
  Value k = rotate("k", linear("attn_k", h), {model.kvHeads});
  k = headsFirst("k", rotateLast("k", k, model.headRotation));
  Value v = headsFirst("v", t.split("v", linear("attn_v", h), 1, {rows, kv, headSize}));
  keyCache = append("k_cache", k, keyCache);
  valueCache = append("v_cache", v, valueCache);
  stream = linear("attn_output", attend(q, keyCache, valueCache), stream);
  h = norm("ffn_normed", stream, weight("ffn_norm.weight"));
  Value gated = rotateLast("gated", feedForward(h), model.downRotation);
  stream = linear("ffn_down", gated, stream);
  func::ReturnOp::create(t.get(), t.name("return"), ValueRange{stream, keyCache, valueCache});
  return function;
}

Value LlamaForward::parameter(const LlamaParameter &parameter) {
  auto op = ParameterOp::create(t.get(), t.name(parameter.key), parameter.type,
                                t.get().getStringAttr(parameter.key));
  if (parameter.activations)
    op->setAttr(LowbitDialect::kActivationsAttrName, parameter.activations);
  return op;
}

Value LlamaForward::embed(Value tokens, Value table) {
  OpBuilder &builder = t.get();
  if (getEncoding(table.getType()))
    table = DecodeOp::create(builder, t.name("table"), table);
  OpFoldResult one = t.size(1), zero = t.size(0), width = t.size(model.width);
  Value first = t.index(0), last = t.index(model.vocabulary - 1);
  auto lookUp = [&](Value token) {
    Value id = tensor::ExtractOp::create(builder, t.name("id"), tokens, token);
    id = arith::IndexCastOp::create(builder, t.name("id"), builder.getIndexType(), id);
    // A wrong id must not read outside of the table.
    id = arith::MaxSIOp::create(builder, t.name("id"), id, first);
    id = arith::MinSIOp::create(builder, t.name("id"), id, last);
    return t.slice("row", table, {id, zero}, {one, width});
  };
  if (staticRows == 1)
    return lookUp(first);
  auto loop = scf::ForOp::create(builder, t.name("x"), first, cast<Value>(rows), t.index(1),
                                 ValueRange{t.empty({rows, width})});
  loop.getInductionVar().setLoc(t.name("m"));
  loop.getRegionIterArg(0).setLoc(t.name("filled"));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value m = loop.getInductionVar();
  Value filled = t.insert("filled", lookUp(m), loop.getRegionIterArg(0), {m, zero}, {one, width});
  scf::YieldOp::create(builder, t.name("yield"), filled);
  return loop.getResult(0);
}

void LlamaForward::emitRotaryTables() {
  OpBuilder &builder = t.get();
  int64_t pairs = model.rotarySize / 2;
  SmallVector<float> values;
  for (int64_t i = 0; i < pairs; ++i)
    values.push_back(
        float(std::pow(double(model.rotaryBase), -2.0 * double(i) / double(model.rotarySize))));
  auto type = RankedTensorType::get({pairs}, builder.getF32Type());
  Value frequencies = arith::ConstantOp::create(builder, t.name("frequencies"),
                                                DenseElementsAttr::get(type, ArrayRef(values)));
  auto table = [&](StringRef name, TensorBuilder::Access input, TensorBuilder::Body body) {
    return t.elementwise(name, {input}, t.empty({rows, t.size(pairs)}), body);
  };
  Value angles = table("angles", {frequencies, {1}}, [&](ImplicitLocOpBuilder &b, ValueRange e) {
    Value row = linalg::IndexOp::create(b, 0);
    Value integer =
        arith::IndexCastOp::create(b, b.getI64Type(), arith::AddIOp::create(b, position, row));
    Value number = arith::SIToFPOp::create(b, b.getF32Type(), integer);
    return arith::MulFOp::create(b, number, e[0]).getResult();
  });
  cosine = table("cosine", {angles, {0, 1}}, [](ImplicitLocOpBuilder &b, ValueRange e) {
    return math::CosOp::create(b, e[0]).getResult();
  });
  sine = table("sine", {angles, {0, 1}}, [](ImplicitLocOpBuilder &b, ValueRange e) {
    return math::SinOp::create(b, e[0]).getResult();
  });
}

void LlamaForward::emitEntry(StringRef name, ArrayRef<func::FuncOp> layerFunctions) {
  OpBuilder &builder = t.get();
  SmallVector<Type> types = {RankedTensorType::get({staticRows}, builder.getI64Type()),
                             builder.getIndexType()};
  SmallVector<std::string> names = {staticRows == 1 ? "token" : "tokens", "position"};
  for (auto [i, layer] : enumerate(model.layers)) {
    types.append({layer.keyCache, layer.valueCache});
    names.append({("k_" + Twine(i)).str(), ("v_" + Twine(i)).str()});
  }
  types.push_back(rowsType(model.vocabulary));
  names.push_back("logits");
  ArrayRef<Type> results = ArrayRef(types).drop_front(2);
  func::FuncOp function = startFunction(name, builder.getFunctionType(types, results), names);
  function->setAttr(LowbitDialect::kEntryAttrName, builder.getUnitAttr());
  function->setAttr(LowbitDialect::kUpdatesAttrName,
                    builder.getDenseI64ArrayAttr(to_vector(seq<int64_t>(2, types.size()))));

  Value tokens = function.getArgument(0);
  position = function.getArgument(1);
  Value logits = function.getArguments().back();
  setRows(tokens);
  Value table = parameter(model.embedding);
  Value x = embed(tokens, table);
  emitRotaryTables();

  SmallVector<Value> updated;
  for (auto [i, layer] : enumerate(model.layers)) {
    SmallVector<Value> arguments = {x, cosine, sine, position};
    for (const LlamaParameter &weight : layer.parameters)
      arguments.push_back(parameter(weight));
    arguments.append({function.getArgument(2 + 2 * i), function.getArgument(3 + 2 * i)});
    auto call = func::CallOp::create(builder, t.name(("layer_" + Twine(i)).str()),
                                     layerFunctions[layer.kind], arguments);
    x = call.getResult(0);
    updated.append({call.getResult(1), call.getResult(2)});
  }

  // Only the last rows have logits.
  if (staticRows != 1) {
    Value before = cast<Value>(rows);
    setRows(logits);
    Value skipped = t.subtract("skipped", before, cast<Value>(rows));
    x = t.slice("last", x, {skipped, t.size(0)}, {rows, t.size(model.width)});
  }
  x = norm("normed", x, parameter(model.finalNorm));
  Value head = model.head.key == model.embedding.key ? table : parameter(model.head);
  updated.push_back(t.matmul("logits", x, head, t.fill("zeros", 0, logits)));
  func::ReturnOp::create(builder, t.name("return"), updated);
}

void LlamaForward::emit(StringRef name) {
  SmallVector<func::FuncOp> layerFunctions;
  for (const LlamaLayer &layer : model.layers)
    if (layer.kind == layerFunctions.size())
      layerFunctions.push_back(emitLayer(
          layer, (name + "_layer" + (layer.kind ? "_" + Twine(layer.kind) : Twine())).str()));
  emitEntry(name, layerFunctions);
}

} // namespace lowbit
