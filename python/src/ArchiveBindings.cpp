//===- ArchiveBindings.cpp - Archive, TensorInfo --------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Archive/MergeArchives.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static nb::object toPython(StringRef text) { return nb::str(text.data(), text.size()); }

static nb::object toPython(const MetadataValue &value) {
  if (auto text = value.asString())
    return toPython(*text);
  if (auto flag = value.asBool())
    return nb::bool_(*flag);
  if (auto integer = value.asI64())
    return nb::int_(*integer);
  if (auto integer = value.asU64())
    return nb::int_(*integer);
  if (auto number = value.asF64())
    return nb::float_(*number);
  nb::list list;
  MetadataArray array = *value.asArray();
  for (size_t i = 0; i < array.size(); ++i)
    list.append(toPython(array[i]));
  return list;
}

/// A read-only view, whose owner outlives it: the archive, or what was made on demand.
static nb::object viewOf(const Component &component, nb::handle archive) {
  if (!component.owner)
    return makeView(component.dtype, component.shape, component.data, archive);
  auto *owned = new std::shared_ptr<const void>(component.owner);
  nb::capsule owner(owned, [](void *pointer) noexcept {
    delete static_cast<std::shared_ptr<const void> *>(pointer);
  });
  return makeView(component.dtype, component.shape, component.data, owner);
}

static nb::dict getComponents(nb::handle self, const std::string &name) {
  auto &archive = nb::cast<const Archive &>(self);
  nb::dict components;
  for (const Component &component : unwrap(archive.getComponents(*unwrap(archive.find(name)))))
    components[component.name.c_str()] = viewOf(component, self);
  return components;
}

using StoredTensor = std::tuple<std::string, std::vector<int64_t>, std::string, nb::dict>;

static void writeArchive(const Path &path, const std::map<std::string, std::string> &metadata,
                         const std::vector<StoredTensor> &tensors) {
  Metadata model(path.native());
  for (const auto &[key, text] : metadata)
    model.insert(model.internString(key), MetadataValue::makeString(model.internString(text)));
  std::vector<ArchiveWriter::TensorDeclaration> declarations;
  std::vector<InputArray> arrays;
  for (const auto &[name, shape, encoding, components] : tensors) {
    auto &declaration = declarations.emplace_back();
    declaration.name = name;
    declaration.shape.assign(shape.begin(), shape.end());
    declaration.encoding = encoding == "f32" ? "" : encoding; // as everywhere
    for (auto [component, array] : components) {
      const InputArray &input = arrays.emplace_back(nb::cast<InputArray>(array));
      // No encoding stores unsigned words: these are the bits of bf16.
      DType dtype = getDType(input) == DType::U16 ? DType::BF16 : getDType(input);
      declaration.components.push_back({nb::cast<std::string>(component), dtype, getShape(input)});
    }
  }
  raise([&]() -> Error {
    nb::gil_scoped_release unlocked;
    auto writer = ArchiveWriter::create(path.native(), declarations, model);
    if (!writer)
      return writer.takeError();
    for (const InputArray &array : arrays)
      if (Error error = (*writer)->append(
              ArrayRef(static_cast<const uint8_t *>(array.data()), array.nbytes())))
        return error;
    return (*writer)->commit();
  }());
}

static void merge(const Archive &base, const std::vector<Path> &paths,
                  const std::map<std::string, std::string> &metadata, const Path &output) {
  std::vector<std::unique_ptr<Archive>> replacements;
  for (const Path &path : paths)
    replacements.push_back(unwrap(Archive::open(path.native())));
  std::vector<std::pair<std::string, std::string>> texts(metadata.begin(), metadata.end());
  raise([&] {
    nb::gil_scoped_release unlocked;
    return mergeArchives(base, replacements, texts, output.native());
  }());
}

void python::bindArchiveWriter(nb::module_ &module) {
  module.def("merge_archives", &merge, nb::arg("base"), nb::arg("replacements"),
             nb::arg("metadata"), nb::arg("output"),
             "Writes an archive again with tensors and texts of others in the place of its own.");
  module.def("write_archive", &writeArchive, nb::arg("path"), nb::arg("metadata"),
             nb::arg("tensors"),
             "Writes an archive under a temporary name, then renames it. metadata: texts by key; "
             "tensors: (name, shape, encoding or '', arrays by component).");
}

nb::object python::lookup(const Metadata &metadata, const std::string &key) {
  auto value = metadata.lookup(key);
  return value ? toPython(*value) : nb::none();
}

nb::class_<Archive> python::bindArchive(nb::module_ &module) {
  nb::class_<TensorInfo>(module, "TensorInfo", "One tensor of an archive.")
      .def_ro("name", &TensorInfo::name)
      .def_prop_ro("shape",
                   [](const TensorInfo &tensor) {
                     return std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end());
                   })
      .def_prop_ro("encoding", &TensorInfo::describeEncoding)
      .def_prop_ro("bits_per_weight", &TensorInfo::getBitsPerWeight)
      .def_ro("bytes", &TensorInfo::bytes)
      .def("__repr__", [](const TensorInfo &tensor) {
        return "<TensorInfo '" + tensor.name + "' " + formatShape(tensor.shape) + " " +
               tensor.describeEncoding() + ">";
      });

  return nb::class_<Archive>(module, "Archive", "A memory-mapped GGUF or safetensors file.")
      .def(
          nb::new_([](const Path &path) { return unwrap(Archive::open(path.native())).release(); }),
          nb::arg("path"))
      .def_prop_ro("path",
                   [](const Archive &archive) {
                     StringRef path = archive.getPath();
                     return nb::steal<nb::str>(
                         PyUnicode_DecodeFSDefaultAndSize(path.data(), path.size()));
                   })
      .def_prop_ro("tensors", [](const Archive &archive) { return archive.tensors().vec(); })
      .def(
          "metadata",
          [](const Archive &archive, const std::string &key) {
            return lookup(archive.metadata(), key);
          },
          nb::arg("key"), nb::sig("def metadata(self, key: str) -> object"))
      .def("components", &getComponents, nb::arg("name"));
}
