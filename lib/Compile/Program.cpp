//===- Program.cpp - From MLIR text to results ----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Program.h"

#include "Stopwatch.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace lowbit;

/// How many values of the compiled program stand for one of this type.
static unsigned countComponents(mlir::Type type) {
  EncodingAttrInterface encoding = getEncoding(type);
  return encoding ? encoding.getComponents(cast<mlir::RankedTensorType>(type)).size() : 1;
}

/// The compiled arguments that hold the results of `function`. The compiled entry has the arguments
/// and then the fresh results, both flat.
static SmallVector<unsigned> placeResults(mlir::func::FuncOp function) {
  SmallVector<unsigned> starts;
  unsigned next = 0;
  for (mlir::Type type : function.getArgumentTypes()) {
    starts.push_back(next);
    next += countComponents(type);
  }
  auto updates = function->getAttrOfType<mlir::DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  SmallVector<unsigned> places;
  for (auto [index, type] : enumerate(function.getResultTypes())) {
    int64_t argument = updates ? updates.asArrayRef()[index] : -1;
    unsigned &place = argument >= 0 ? starts[argument] : next;
    for (unsigned count = countComponents(type); count; --count)
      places.push_back(place++);
  }
  return places;
}

/// Compiled code trusts what it finds its way by.
Error Program::noteStructure(mlir::func::FuncOp function) {
  unsigned first = 0;
  for (mlir::Type type : function.getArgumentTypes()) {
    unsigned start = std::exchange(first, first + countComponents(type));
    EncodingAttrInterface encoding = getEncoding(type);
    // Of a term alone the types say everything.
    if (!encoding || isa<QuantizedAttr>(mlir::Attribute(encoding)) ||
        !cast<mlir::RankedTensorType>(type).hasStaticShape())
      continue;
    if (!encodings)
      encodings = std::make_unique<EncodingContext>();
    std::string text;
    raw_string_ostream(text) << mlir::Attribute(encoding);
    Expected<TensorEncoding> read = encodings->read(text);
    if (!read)
      return read.takeError();
    structured[function.getName()].push_back(
        {start, *read, SmallVector<int64_t>(cast<mlir::RankedTensorType>(type).getShape())});
  }
  return Error::success();
}

Error Program::checkStructure(StringRef entry, ArrayRef<Array> inputs) const {
  auto found = structured.find(entry);
  if (found == structured.end())
    return Error::success();
  for (const StructuredArgument &argument : found->second) {
    Expected<std::vector<ComponentType>> types = argument.encoding.getComponents(argument.shape);
    if (!types)
      return types.takeError();
    SmallVector<Component> components;
    for (auto [type, array] : zip(*types, inputs.drop_front(argument.first)))
      components.push_back(
          {type.name, array.getDType(), SmallVector<int64_t, 4>(array.getShape()), array.bytes()});
    if (Error error = argument.encoding.verify(argument.shape, argument.shape, components))
      return createStringError("the encoded tensor from input " + Twine(argument.first) +
                               " of entry '" + entry + "' on: " + toString(std::move(error)));
  }
  return Error::success();
}

/// The pipeline with the options that have a name here.
static Expected<std::string> getPipeline(const ProgramOptions &options) {
  StringRef activations = options.activations;
  if (activations == "f32")
    activations = "";
  if (activations == "int8")
    activations = "int<8>, scale = f32 per [1, 32]";
  if (activations == "int15")
    activations = "int<15>, scale = f32 per [1, 32], layout = planes<7, 8>";
  std::string named;
  if (!activations.empty())
    named += " activations='" + activations.str() + "'";
  if (options.outlierThreshold)
    named += " outlier-threshold=" + llvm::formatv("{0:e17}", options.outlierThreshold).str();
  if (!options.parallel)
    named += " parallel=false";
  if (named.empty())
    return options.pipeline;
  StringRef given = options.pipeline;
  if (!given.consume_front("cpu") ||
      !(given.empty() || (given.consume_front("{") && given.consume_back("}"))))
    return createStringError(
        "activations, outliers and threads are chosen for the pipeline 'cpu', not for '" +
        options.pipeline + "'");
  return "cpu{" + given.str() + named + "}";
}

Expected<std::unique_ptr<Program>> Program::compile(mlir::ModuleOp module,
                                                    const ProgramOptions &options) {
  Stopwatch stopwatch;
  std::unique_ptr<Program> program(new Program);
  // While the functions still have their results.
  for (auto function : module.getOps<mlir::func::FuncOp>())
    if (function->hasAttr(LowbitDialect::kEntryAttrName)) {
      program->results[function.getName()] = placeResults(function);
      if (Error error = program->noteStructure(function))
        return std::move(error);
    }
  Expected<CpuTarget> target = CpuTarget::create(options.code.cpu);
  if (!target)
    return target.takeError();
  if (options.prefixBits)
    if (Error error = runPipeline(module,
                                  "builtin.module(lowbit-materialize,lowbit-take-prefix{bits=" +
                                      std::to_string(options.prefixBits) + "})",
                                  *target, *options.code.cancellation))
      return std::move(error);
  Expected<std::string> pipeline = getPipeline(options);
  if (!pipeline)
    return pipeline.takeError();
  if (Error error = runPipeline(module, *pipeline, *target, *options.code.cancellation))
    return std::move(error);
  program->times.lower = stopwatch.lap();
  Expected<CompiledModule> compiled = compileModule(module, options.code, program->times);
  if (!compiled)
    return compiled.takeError();
  Expected<std::unique_ptr<Session>> session = Session::load(std::move(*compiled), options.threads);
  if (!session)
    return session.takeError();
  program->session = std::move(*session);
  for (const EntrySignature &entry : program->session->getSignature().entries) {
    auto [slot, isNew] = program->results.try_emplace(entry.name);
    if (isNew)
      append_range(slot->second,
                   seq<unsigned>(entry.arguments.size() - entry.outputs, entry.arguments.size()));
  }
  return program;
}

Expected<std::unique_ptr<Program>> Program::compileText(StringRef text, StringRef name,
                                                        const ProgramOptions &options) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = parseModule(text, name, context.get());
  if (!module)
    return module.takeError();
  return compile(**module, options);
}

Expected<std::unique_ptr<Program>>
Program::load(StringRef text, StringRef name, const ProgramOptions &options,
              ArrayRef<std::shared_ptr<const Archive>> archives) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = parseModule(text, name, context.get());
  if (!module)
    return module.takeError();
  if (Error error = adoptEncodings(**module, archives))
    return std::move(error);
  Expected<std::unique_ptr<Program>> program = compile(**module, options);
  if (!program)
    return program.takeError();
  if (Error error = bindParameters((*program)->getSession(), archives, *options.code.cancellation))
    return std::move(error);
  return program;
}

Expected<std::unique_ptr<Program>> Program::load(StringRef text, StringRef name,
                                                 const ProgramOptions &options,
                                                 ArrayRef<std::string> paths) {
  std::vector<std::shared_ptr<const Archive>> archives;
  for (StringRef path : paths) {
    Expected<std::unique_ptr<Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    archives.push_back(std::move(*archive));
  }
  return load(text, name, options, archives);
}

static Error checkInput(StringRef entry, unsigned number, const ValueType &type,
                        const Array &input) {
  if (type.acceptsDType(input.getDType()) && type.acceptsShape(input.getShape()))
    return Error::success();
  std::string expected =
      type.isMemRef ? type.str() : "a scalar " + type.str() + " (an array of rank 0)";
  return createStringError("input " + Twine(number) + " of entry '" + entry + "' is " + expected +
                           ", not " + formatArrayType(input.getDType(), input.getShape()));
}

Expected<std::vector<Array>> Program::run(StringRef name, std::vector<Array> arrays) {
  Expected<const EntrySignature *> entry = session->getSignature().find(name);
  if (!entry)
    return entry.takeError();
  ArrayRef<ValueType> types = (*entry)->arguments;
  ArrayRef<ValueType> inputTypes = types.drop_back((*entry)->outputs);
  if (arrays.size() != inputTypes.size()) {
    std::string list;
    for (const ValueType &type : inputTypes)
      list += (list.empty() ? ": " : ", ") + type.str();
    return createStringError("entry '" + name + "' takes " + Twine(inputTypes.size()) +
                             " inputs, not " + Twine(arrays.size()) + list);
  }
  for (auto [number, type] : enumerate(inputTypes))
    if (Error error = checkInput(name, number, type, arrays[number]))
      return std::move(error);
  if (Error error = checkStructure(name, arrays))
    return std::move(error);
  for (const ValueType &type : types.take_back((*entry)->outputs)) {
    Expected<Array> output = Array::allocate(type.dtype, type.shape);
    if (!output)
      return output.takeError();
    arrays.push_back(std::move(*output));
  }

  std::vector<MemRefDescriptor> descriptors;
  descriptors.reserve(arrays.size());
  SmallVector<void *> arguments;
  for (auto [type, array] : zip_equal(types, arrays)) {
    descriptors.emplace_back(array.bytes().data(), array.getShape());
    arguments.push_back(type.isMemRef ? descriptors.back().get() : array.bytes().data());
  }
  if (Error error = session->invoke(name, arguments))
    return std::move(error);
  std::vector<Array> outputs;
  for (unsigned place : results.find(name)->second)
    outputs.push_back(std::move(arrays[place]));
  return outputs;
}
