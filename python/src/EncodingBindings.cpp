//===- EncodingBindings.cpp - encode_archive, encode, decode --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"
#include "lowbit/Quantize/ErrorFeedback.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Archive/GGMLTypes.h"
#include "lowbit/Compile/EncodeArchive.h"
#include "lowbit/Compile/EncodedTensor.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static Expected<Array> decodeTensor(const Archive &archive, const TensorInfo &tensor) {
  EncodingContext encodings;
  Expected<TensorEncoding> encoding = encodings.read(archive, tensor);
  if (!encoding)
    return encoding.takeError();
  Expected<Array> values = Array::allocate(DType::F32, tensor.shape);
  if (!values)
    return values.takeError();
  if (Error error = encoding->decode(archive, tensor, values->values<float>()))
    return std::move(error);
  return values;
}

static nb::object getValues(const Archive &archive, const std::string &name) {
  const TensorInfo *tensor = unwrap(archive.find(name));
  Expected<Array> values = [&] {
    nb::gil_scoped_release unlocked;
    return decodeTensor(archive, *tensor);
  }();
  return python::toNumpy(unwrap(std::move(values)));
}

void python::bindDecode(nb::class_<Archive> archive) {
  archive.def("tensor_f32", &getValues, nb::arg("name"));
}

static void encodeFile(const Path &path, const Path &out, const std::string &weights,
                       const std::vector<std::pair<std::string, std::string>> &keep,
                       nb::callable progress) {
  EncodeArchiveOptions options;
  options.weights = weights;
  options.keep = keep;
  auto report = [&](size_t done, size_t total, StringRef next) -> Error {
    nb::gil_scoped_acquire lock;
    try {
      progress(done, total, nb::str(next.data(), next.size()));
    } catch (nb::python_error &error) {
      error.restore(); // raise() throws it again
      return createStringError("the progress callback failed");
    }
    return checkInterrupt();
  };
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    return encodeArchive(path.native(), out.native(), options, report);
  }();
  raise(std::move(error));
}

static nb::object toNumpy(const EncodedComponent &component) {
  Array array = unwrap(Array::allocate(component.dtype, component.shape));
  if (!component.bytes.empty())
    memcpy(array.bytes().data(), component.bytes.data(), component.bytes.size());
  return python::toNumpy(std::move(array));
}

static nb::dict toNumpy(const std::vector<EncodedComponent> &components) {
  nb::dict result;
  for (const EncodedComponent &component : components)
    result[component.name.c_str()] = toNumpy(component);
  return result;
}

/// Precondition: the array's elements are of this type.
template <typename T> static ArrayRef<T> valuesOf(const InputArray &array) {
  return {static_cast<const T *>(array.data()), array.size()};
}

/// Components that numpy holds; `alive` keeps them.
static std::vector<Component> readComponents(nb::dict arrays, std::vector<InputArray> &alive) {
  std::vector<Component> components;
  for (auto [name, array] : arrays) {
    const InputArray &input = alive.emplace_back(nb::cast<InputArray>(array));
    ArrayRef<uint8_t> bytes(static_cast<const uint8_t *>(input.data()), input.nbytes());
    components.push_back({nb::cast<std::string>(name), getDType(input), getShape(input), bytes});
  }
  return components;
}

static nb::dict encodeArray(const InputArray &values, const std::string &text, nb::dict given) {
  if (getDType(values) != DType::F32)
    throw Failure("encode() takes float32 values: convert them with astype()");
  EncodingContext encodings;
  TensorEncoding encoding = unwrap(encodings.read(text));
  SmallVector<int64_t, 4> shape = getShape(values);
  std::vector<InputArray> alive;
  std::vector<Component> destination = readComponents(given, alive);
  auto encoded = [&] {
    nb::gil_scoped_release unlocked;
    return encoding.encode(shape, valuesOf<float>(values), destination);
  }();
  return toNumpy(unwrap(std::move(encoded)));
}

static nb::dict encodeArrayWeighted(const InputArray &values, const std::string &text,
                                    const InputArray &weights) {
  if (getDType(values) != DType::F32 || getDType(weights) != DType::F32)
    throw Failure("encode_weighted() takes float32 values and weights: convert them with astype()");
  EncodingContext encodings;
  TensorEncoding encoding = unwrap(encodings.read(text));
  SmallVector<int64_t, 4> shape = getShape(values);
  auto encoded = [&] {
    nb::gil_scoped_release unlocked;
    return encoding.encodeWeighted(shape, valuesOf<float>(values), valuesOf<float>(weights));
  }();
  return toNumpy(unwrap(std::move(encoded)));
}

static std::pair<nb::dict, double> encodeArrayWithFeedback(const InputArray &values,
                                                           const std::string &text,
                                                           const InputArray &moments,
                                                           double damping, bool fallingOrder,
                                                           unsigned sweeps) {
  if (getDType(values) != DType::F32 || getDType(moments) != DType::F64)
    throw Failure("encode_with_feedback() takes float32 values and float64 second moments");
  EncodingContext encodings;
  TensorEncoding encoding = unwrap(encodings.read(text));
  SmallVector<int64_t, 4> shape = getShape(values);
  auto encoded = [&] {
    nb::gil_scoped_release unlocked;
    return encoding.encodeWithFeedback(shape, valuesOf<float>(values), valuesOf<double>(moments),
                                       {damping, fallingOrder, sweeps});
  }();
  auto [components, error] = unwrap(std::move(encoded));
  return {toNumpy(components), error};
}

static nb::object decodeArray(const std::string &text, const std::vector<int64_t> &shape,
                              nb::dict arrays) {
  EncodingContext encodings;
  TensorEncoding encoding = unwrap(encodings.read(text));
  std::vector<InputArray> alive;
  std::vector<Component> components = readComponents(arrays, alive);
  Array values = unwrap(Array::allocate(DType::F32, shape));
  raise([&] {
    nb::gil_scoped_release unlocked;
    return encoding.decode(shape, components, values.values<float>());
  }());
  return python::toNumpy(std::move(values));
}

static std::vector<std::string> getComponentNames(const std::string &text,
                                                  const std::vector<int64_t> &shape) {
  EncodingContext encodings;
  std::vector<std::string> names;
  for (ComponentType &type : unwrap(unwrap(encodings.read(text)).getComponents(shape)))
    names.push_back(std::move(type.name));
  return names;
}

static std::optional<uint64_t> getEncodedBytes(const std::string &text,
                                               const std::vector<int64_t> &shape) {
  EncodingContext encodings;
  return unwrap(unwrap(encodings.read(text)).getBytes(shape));
}

static std::tuple<std::string, unsigned, unsigned> getGGMLType(const std::string &name,
                                                               unsigned rank) {
  const GGMLType *type = lookupGGMLType(name);
  std::optional<std::string> encoding;
  if (type)
    encoding = getEncodingOf(*type, rank);
  if (encoding)
    return {*encoding, type->blockSize, type->blockBytes};
  std::string known;
  for (const GGMLType &other : getGGMLTypes())
    if (other.hasEncoding())
      known += (known.empty() ? "" : ", ") + other.name.str();
  throw Failure("there is no encoding for the ggml type '" + name + "'; known: " + known);
}

void python::bindEncodings(nb::module_ &module) {
  module.def("encode_archive", &encodeFile, nb::arg("path"), nb::arg("out"), nb::arg("weights"),
             nb::arg("keep"), nb::arg("progress"));
  module.def("encode", &encodeArray, nb::arg("values"), nb::arg("encoding"),
             nb::arg("given") = nb::dict(),
             "The components of float32 values, rounded by the scalar reference.");
  module.def("encode_weighted", &encodeArrayWeighted, nb::arg("values"), nb::arg("encoding"),
             nb::arg("weights"), "Components with learned levels of least weighted squared error.");
  module.def("encode_with_feedback", &encodeArrayWithFeedback, nb::arg("values"),
             nb::arg("encoding"), nb::arg("moments"), nb::arg("damping"), nb::arg("falling_order"),
             nb::arg("sweeps") = 0,
             "Components for inputs of these second moments, and the error that is left.");
  module.def("decode", &decodeArray, nb::arg("encoding"), nb::arg("shape"), nb::arg("components"),
             "The float32 values of components, by the scalar reference.");
  module.def("encoded_bytes", &getEncodedBytes, nb::arg("encoding"), nb::arg("shape"),
             "Bytes of all components, exactly; None where only the values decide.");
  module.def("ggml_type", &getGGMLType, nb::arg("name"), nb::arg("rank"),
             "Encoding, elements and bytes of a block of a tensor type of ggml.");
  module.def("component_names", &getComponentNames, nb::arg("encoding"), nb::arg("shape"));
}
