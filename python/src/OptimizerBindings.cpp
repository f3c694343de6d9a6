//===- OptimizerBindings.cpp - Rules, and steps on many tensors -----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Compile/EncodedTensor.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/Compile/Rule.h"
#include "lowbit/Runtime/TensorBatch.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static nb::dict describeRule(const std::string &text, const std::string &name) {
  Rule rule = unwrap(readRule(text, name));
  nb::list arguments;
  for (const RuleArgument &argument : rule.arguments) {
    nb::dict fields;
    fields["name"] = argument.name;
    fields["tensor"] = argument.isTensor;
    fields["updated"] = argument.isUpdated;
    fields["nonnegative"] = argument.isNonnegative;
    fields["shape"] = std::vector<int64_t>(argument.shape.begin(), argument.shape.end());
    fields["axes"] = std::vector<int64_t>(argument.axes.begin(), argument.axes.end());
    fields["dtype"] = getDTypeName(argument.dtype).str();
    fields["default"] =
        argument.defaultValue ? nb::cast(*argument.defaultValue) : nb::object(nb::none());
    arguments.append(fields);
  }
  nb::dict result;
  result["arguments"] = arguments;
  result["elementwise"] = rule.isElementwise;
  nb::dict schemes;
  for (const auto &[scheme, assignments] : rule.schemes)
    schemes[scheme.c_str()] = assignments;
  result["schemes"] = schemes;
  return result;
}

static std::vector<std::vector<std::string>>
assign(const std::string &text, const std::string &name, const std::string &assignments,
       const std::vector<std::pair<std::string, std::vector<int64_t>>> &tensors) {
  std::vector<RuleTensor> given;
  for (const auto &[tensor, shape] : tensors)
    given.push_back({tensor, SmallVector<int64_t, 2>(shape.begin(), shape.end())});
  return unwrap(assignStates(text, name, assignments, given));
}

static std::vector<std::tuple<std::string, std::string, std::vector<int64_t>>>
describeComponents(const std::string &text, const std::vector<int64_t> &shape) {
  EncodingContext encodings;
  std::vector<std::tuple<std::string, std::string, std::vector<int64_t>>> result;
  for (const ComponentType &type : unwrap(unwrap(encodings.read(text)).getComponents(shape)))
    result.emplace_back(type.name, getDTypeName(type.dtype).str(),
                        std::vector<int64_t>(type.shape.begin(), type.shape.end()));
  return result;
}

static std::vector<int64_t> getEncodeMultiples(const std::string &text,
                                               const std::vector<int64_t> &shape) {
  EncodingContext encodings;
  SmallVector<int64_t> multiples = unwrap(unwrap(encodings.read(text)).getEncodeMultiples(shape));
  return std::vector<int64_t>(multiples.begin(), multiples.end());
}

namespace {
/// An entry and the tensors that it is called on.
struct Batch {
  TensorBatch tensors;
  const EntrySignature *entry;
  std::vector<int64_t> columns;
};
} // namespace

static Batch makeBatch(Program &program, const std::string &entry,
                       const std::vector<int64_t> &columns,
                       const std::vector<std::vector<InputArray>> &tensors) {
  TensorBatch batch = unwrap(TensorBatch::create(program.getSession(), entry, columns));
  for (const std::vector<InputArray> &arrays : tensors) {
    SmallVector<ArrayView, 8> views;
    for (const InputArray &array : arrays)
      views.push_back({getDType(array), getShape(array), const_cast<void *>(array.data())});
    raise(batch.add(views));
  }
  return {std::move(batch), unwrap(program.getSession().getSignature().find(entry)), columns};
}

static void runBatch(const Batch &batch, const std::vector<InputArray> &shared, unsigned threads) {
  const std::string &entry = batch.entry->name;
  SmallVector<void *> numbers;
  for (auto [type, width] : zip_equal(batch.entry->arguments, batch.columns)) {
    if (width != TensorBatch::shared || numbers.size() == shared.size())
      continue;
    const InputArray &number = shared[numbers.size()];
    if (number.ndim() != 0 || !type.acceptsDType(getDType(number)))
      throw Failure("number " + std::to_string(numbers.size()) + " of '" + entry + "' is no " +
                    type.str() + " of rank 0");
    numbers.push_back(const_cast<void *>(number.data()));
  }
  if (numbers.size() != shared.size())
    throw Failure("entry '" + entry + "' takes " + std::to_string(numbers.size()) + " numbers");
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    return batch.tensors.run(numbers, threads);
  }();
  raise(std::move(error));
}

void python::bindOptimizers(nb::module_ &module, nb::class_<Program> program) {
  module.def("rule", &describeRule, nb::arg("text"), nb::arg("name"),
             "The arguments of an optimizer's rule, whether it is elementwise, and its schemes.");
  module.def("assign_states", &assign, nb::arg("text"), nb::arg("name"), nb::arg("assignments"),
             nb::arg("tensors"),
             "For each (name, shape) the encoding of each argument of the rule, '' where there is "
             "none, as lowbit-assign-states gives them.");
  module.def("component_types", &describeComponents, nb::arg("encoding"), nb::arg("shape"),
             "Name, element type and shape of each component.");
  module.def("encode_multiples", &getEncodeMultiples, nb::arg("encoding"), nb::arg("shape"),
             "Per axis: at multiples of this a tensor can be cut into parts that are encoded by "
             "themselves; -1: nowhere.");
  nb::class_<Batch>(module, "Batch", "An entry and the tensors that it is called on.")
      .def("run", &runBatch, nb::arg("shared"), nb::arg("threads") = 0,
           "Calls the entry for each of the tensors, in pieces that threads share. shared: the "
           "numbers for all, arrays of rank 0.");
  program.def("batch", &makeBatch, nb::arg("entry"), nb::arg("columns"), nb::arg("tensors"),
              nb::keep_alive<0, 1>(), nb::keep_alive<0, 4>(),
              "An entry that updates its arguments, for many tensors, where their arrays lie; "
              "fails if these are not of its types. columns: for each argument 0 (a number for "
              "all), the columns of a piece, -1 (taken whole), or -1 - columns (the first column "
              "of such a piece, counted from what the tensor gives); tensors: for each its arrays "
              "and, as int64 of rank 0, extents and other numbers, which must not change as long "
              "as the batch is in use.");
}
