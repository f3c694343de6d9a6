//===- CalibrationBindings.cpp - split_stages, import_model ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Compile/Stages.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

using Sink = std::tuple<int64_t, int64_t, std::vector<int64_t>, std::vector<int64_t>>;
using Member = std::tuple<std::string, int64_t, int64_t, std::string, bool>;
using Basis = std::tuple<std::vector<int64_t>, int64_t, bool, std::vector<Member>,
                         std::vector<std::string>, std::string>;
using Stage =
    std::tuple<std::string, std::vector<std::string>, std::vector<std::string>,
               std::vector<std::vector<std::string>>, std::vector<std::vector<Sink>>,
               std::vector<std::string>, std::vector<Basis>, std::string, std::vector<int64_t>>;
using Shift = std::tuple<std::string, int64_t, std::vector<int64_t>, std::vector<int64_t>, int64_t,
                         std::string>;
using Entry =
    std::tuple<std::vector<std::string>, std::vector<std::vector<std::string>>, std::vector<Basis>,
               std::vector<std::vector<Shift>>, std::vector<std::string>>;

static std::vector<Basis> toTuples(const std::vector<BasisDescription> &bases) {
  std::vector<Basis> tuples;
  for (const BasisDescription &basis : bases) {
    std::vector<Member> members;
    for (const MemberDescription &member : basis.members)
      members.emplace_back(member.parameter, member.axis, member.stride, member.gain,
                           member.isDivided);
    tuples.emplace_back(basis.taps, basis.extent, basis.keepsOnes, std::move(members), basis.gains,
                        basis.reason);
  }
  return tuples;
}

static std::tuple<std::string, std::vector<Stage>>
split(const std::string &text, const std::vector<std::string> &statistics, const std::string &entry,
      bool output, bool onlyParameters, bool gradients, const std::string &name) {
  StagedProgram program;
  Cancellation cancellation;
  raise(runCancellable(cancellation, [&] {
    return splitStages(text, name, statistics, entry, output, onlyParameters, gradients,
                       cancellation)
        .moveInto(program);
  }));
  std::vector<Stage> stages;
  for (StageDescription &stage : program.stages) {
    std::vector<std::vector<Sink>> sinks;
    for (const std::vector<ScaleSink> &tap : stage.sinks) {
      auto &list = sinks.emplace_back();
      for (const ScaleSink &sink : tap)
        list.emplace_back(sink.argument, sink.axis, sink.digits, sink.strides);
    }
    stages.emplace_back(std::move(stage.function), std::move(stage.arguments),
                        std::move(stage.types), std::move(stage.feeds), std::move(sinks),
                        std::move(stage.refusals), toTuples(stage.bases), std::move(stage.gradient),
                        std::move(stage.differentiated));
  }
  return {std::move(program.text), std::move(stages)};
}

static std::vector<Entry> describe(const std::string &text, const std::string &name) {
  std::vector<EntryDescription> found;
  Cancellation cancellation;
  raise(runCancellable(cancellation,
                       [&] { return describeEntries(text, name, cancellation).moveInto(found); }));
  std::vector<Entry> entries;
  for (const EntryDescription &entry : found) {
    std::vector<std::vector<Shift>> shifts;
    for (const std::vector<ShiftSink> &tap : entry.shifts) {
      std::vector<Shift> &list = shifts.emplace_back();
      for (const ShiftSink &sink : tap)
        list.emplace_back(sink.parameter, sink.axis, sink.digits, sink.strides, sink.sign,
                          sink.weight);
    }
    entries.emplace_back(entry.parameters, entry.feeds, toTuples(entry.bases), std::move(shifts),
                         entry.refusals);
  }
  return entries;
}

static std::string import(const Archive &archive, uint64_t contextLength,
                          const std::string &kvCache) {
  return unwrap(importModel(archive, contextLength, kvCache));
}

using Cache = std::tuple<std::string, std::vector<int64_t>, std::string>;

static std::vector<Cache> list(const Archive &archive, uint64_t contextLength,
                               const std::string &kvCache) {
  std::vector<Cache> caches;
  for (CacheDescription &cache : unwrap(listCaches(archive, contextLength, kvCache)))
    caches.emplace_back(std::move(cache.name), std::move(cache.shape), std::move(cache.encoding));
  return caches;
}

void python::bindCalibration(nb::module_ &module) {
  module.def(
      "split_stages", &split, nb::arg("text"), nb::arg("statistics"), nb::arg("entry") = "",
      nb::arg("output") = false, nb::arg("only_parameters") = false, nb::arg("gradients") = false,
      nb::arg("name") = "module",
      "A program as a chain of functions that keep statistics: the module's text, and of "
      "each stage its function, what its arguments are, the types of all (statistics come last), "
      "what each of its taps feeds, and of each tap the parameters that take factors of its "
      "channels (argument, axis, digits, strides), or the reason why none do; what can be "
      "permuted with its taps, as describe_entries has it; and, with gradients, its "
      "vector-Jacobian "
      "product, or '', and the numbers of the arguments that it is for. With only_parameters "
      "values "
      "that are no parameters stay encoded.");
  module.def(
      "describe_entries", &describe, nb::arg("text"), nb::arg("name") = "module",
      "For each entry of a program: its parameters, what each of its taps feeds, bases of "
      "rotations "
      "(taps, extent, whether ones stay, members (parameter, axis, stride, gain, whether divided "
      "by "
      "it), gains, reason), and for each tap what takes a shift of its channels (parameter, axis, "
      "digits, strides, sign, weight), or the reason why nothing does.");
  module.def("import_model", &import, nb::arg("archive"), nb::arg("context_length"),
             nb::arg("kv_cache") = "f32",
             "The program of a language model, with keys and values as `kv_cache` says.");
  module.def("list_caches", &list, nb::arg("archive"), nb::arg("context_length"),
             nb::arg("kv_cache") = "f32",
             "Name, shape and encoding ('' is f32) of each key-value cache of a language model, in "
             "the order of its entries' arguments.");
}
