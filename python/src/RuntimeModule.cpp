//===- RuntimeModule.cpp - lowbit._runtime ------------------------------ ===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SessionBindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Runtime/Artifact.h"
#include "lowbit/Runtime/Version.h"
#include "llvm/Support/JSON.h"

#include <nanobind/stl/string.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static ModelSession *open(const Path &given, unsigned threads) {
  const std::string &path = given.native();
  auto open = [&]() -> Expected<ModelSession> {
    nb::gil_scoped_release unlocked;
    Expected<std::unique_ptr<Artifact>> artifact = Artifact::open(path);
    if (!artifact)
      return artifact.takeError();
    Expected<std::unique_ptr<Session>> session = (*artifact)->load(threads);
    if (!session)
      return session.takeError();
    Expected<std::unique_ptr<LanguageModel>> model =
        LanguageModel::create(std::move(*session), path);
    if (!model)
      return model.takeError();
    return ModelSession{std::move(*model), {}};
  };
  return new ModelSession(unwrap(open()));
}

static std::string describeSignature(const Artifact &artifact) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream json(stream);
  artifact.getSignature().write(json);
  return text;
}

static nb::dict getSizes(const Artifact &artifact) {
  nb::dict sizes;
  for (const SafetensorsTensor &array : artifact.getArrays())
    sizes[array.name.c_str()] = array.data.size();
  return sizes;
}

/// Of an artifact, without loading it: its model's key-values and where it comes from.
static void bindArtifact(nb::module_ &module) {
  nb::class_<Artifact>(module, "Artifact", "A compiled model in a file, not loaded.")
      .def(nb::new_(
               [](const Path &path) { return unwrap(Artifact::open(path.native())).release(); }),
           nb::arg("path"))
      .def_prop_ro("origin", [](const Artifact &artifact) { return artifact.getOrigin().str(); })
      .def_prop_ro("signature", &describeSignature)
      .def_prop_ro("sizes", &getSizes)
      .def(
          "metadata",
          [](const Artifact &artifact, const std::string &key) {
            return lookup(artifact.metadata(), key);
          },
          nb::arg("key"), nb::sig("def metadata(self, key: str) -> object"));
}

NB_MODULE(_runtime, module) {
  module.doc() = "Archives and compiled models, without a compiler; see _runtime.pyi.";
  nb::exception<Failure>(module, "Error", PyExc_RuntimeError);
  bindArchive(module);
  bindArtifact(module);
  bindSession(module).def(nb::new_(&open), nb::arg("path"), nb::arg("threads") = 0);
  module.def("compiler_version", [] { return getCompilerVersion().str(); });
  module.def("processor", &describeProcessor);
}
