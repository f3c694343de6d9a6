//===- EmbeddedModule.cpp - Compiled code as a C program sees it ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmbeddedModule.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace llvm;
using namespace lowbit;

static std::string makeIdentifier(StringRef text) {
  std::string name;
  for (char c : text)
    name += isAlnum(c) ? c : '_';
  // Names that begin with an underscore are the C library's.
  if (name.empty() || !isAlpha(name.front()))
    name.insert(0, "lowbit_");
  return name;
}

Expected<EmbeddedModule> EmbeddedModule::create(StringRef stem, const Session &session) {
  const ModuleSignature &signature = session.getSignature();
  EmbeddedModule module;
  module.name = makeIdentifier(sys::path::filename(stem));
  module.usesThreads = signature.usesThreads;

  // The header's own names; two entries may become one identifier as well.
  StringSet<> taken;
  for (StringRef own : {"parameter", "parameters", "set_parameters", "weights_bytes"})
    taken.insert((module.name + "_" + own).str());
  auto takeArrays = [&](ArrayRef<ValueType> types) {
    for (const ValueType &type : types)
      for (StringRef own : {"lowbit_array", "lowbit_make_array"})
        taken.insert((own + Twine(type.shape.size())).str());
  };
  for (const EntrySignature &entry : signature.entries)
    takeArrays(entry.arguments);
  for (const ParameterSignature &parameter : signature.parameters)
    takeArrays(parameter.type);
  auto makeName = [&](const Twine &text) {
    std::string name = module.name + "_" + makeIdentifier(text.str());
    while (!taken.insert(name).second)
      name += "_";
    return name;
  };
  for (const EntrySignature *entry : signature.getCallable())
    module.entries.push_back({entry, makeName(entry->name), makeName(entry->name + "_packed")});
  if (module.entries.empty())
    return createStringError("the module has no entry to call: mark functions with the attribute "
                             "'lowbit.entry'");

  assert(session.getParameters().size() == signature.parameters.size() && "parameters are not set");
  std::map<std::pair<const uint8_t *, size_t>, uint64_t> places;
  for (auto [parameter, value] : zip_equal(signature.parameters, session.getParameters())) {
    auto [place, isNew] =
        places.try_emplace({value.data.data(), value.data.size()}, module.weightsBytes);
    if (isNew)
      module.weightsBytes += alignTo(value.data.size(), alignment);
    module.parameters.push_back({&parameter, &value,
                                 makeName("parameter_" + Twine(module.parameters.size())),
                                 place->second});
  }
  return module;
}
