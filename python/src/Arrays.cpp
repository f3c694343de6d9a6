//===- Arrays.cpp - Errors and arrays ------------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "llvm/Support/JSON.h"

#include <future>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

std::vector<std::string> python::toStrings(const std::vector<Path> &paths) {
  return std::vector<std::string>(paths.begin(), paths.end());
}

void python::raise(Error error) {
  if (!error)
    return;
  std::string message = json::fixUTF8(toString(std::move(error))); // file names need not be
  if (PyErr_Occurred())
    throw nb::python_error();
  throw Failure(message);
}

Error python::checkInterrupt() {
  nb::gil_scoped_acquire lock;
  return PyErr_CheckSignals() ? createStringError("interrupted") : Error::success();
}

Error python::runCancellable(Cancellation &cancellation, function_ref<Error()> work) {
  nb::gil_scoped_release unlocked;
  std::future<Error> done = std::async(std::launch::async, work);
  Error interrupt = Error::success();
  while (!interrupt && done.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout)
    interrupt = checkInterrupt();
  if (interrupt)
    cancellation.request();
  return joinErrors(done.get(), std::move(interrupt));
}

static std::optional<DType> findDType(nb::dlpack::dtype type) {
  using Code = nb::dlpack::dtype_code;
  if (type.lanes != 1)
    return std::nullopt;
  switch (static_cast<Code>(type.code)) {
  case Code::Bool:
    return DType::Bool;
  case Code::Int:
    switch (type.bits) {
    case 8:
      return DType::I8;
    case 16:
      return DType::I16;
    case 32:
      return DType::I32;
    case 64:
      return DType::I64;
    }
    return std::nullopt;
  case Code::UInt:
    switch (type.bits) {
    case 8:
      return DType::U8;
    case 16:
      return DType::U16;
    case 32:
      return DType::U32;
    case 64:
      return DType::U64;
    }
    return std::nullopt;
  case Code::Float:
    switch (type.bits) {
    case 16:
      return DType::F16;
    case 32:
      return DType::F32;
    case 64:
      return DType::F64;
    }
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

DType python::getDType(const InputArray &array) {
  std::optional<DType> dtype = findDType(array.dtype());
  if (!dtype)
    throw Failure("an array has an element type that is not supported: convert it with astype() "
                  "to bool, an integer or float16 to float64 (bf16: its bits as uint16)");
  return *dtype;
}

SmallVector<int64_t, 4> python::getShape(const InputArray &array) {
  return SmallVector<int64_t, 4>(array.shape_ptr(), array.shape_ptr() + array.ndim());
}

Array python::toArray(const InputArray &input) {
  Array array = unwrap(Array::allocate(getDType(input), getShape(input)));
  if (!array.bytes().empty())
    memcpy(array.bytes().data(), input.data(), array.bytes().size());
  return array;
}

static nb::dlpack::dtype getNumpyType(DType dtype) {
  using Code = nb::dlpack::dtype_code;
  auto make = [&](Code code) {
    return nb::dlpack::dtype{static_cast<uint8_t>(code), static_cast<uint8_t>(getBitWidth(dtype)),
                             1};
  };
  switch (dtype) {
  case DType::Bool:
    return make(Code::Bool);
  case DType::I8:
  case DType::I16:
  case DType::I32:
  case DType::I64:
    return make(Code::Int);
  case DType::F16:
  case DType::F32:
  case DType::F64:
    return make(Code::Float);
  case DType::U8:
  case DType::U16:
  case DType::BF16:
  case DType::U32:
  case DType::U64:
    return make(Code::UInt);
  default:
    throw Failure("numpy has no element type for " + getDTypeName(dtype).str());
  }
}

template <typename... Options>
static nb::object makeNumpy(DType dtype, ArrayRef<int64_t> shape, const uint8_t *data,
                            nb::handle owner) {
  SmallVector<size_t> extents(shape.begin(), shape.end());
  using Result = nb::ndarray<nb::numpy, nb::device::cpu, nb::c_contig, Options...>;
  return nb::cast(Result(const_cast<uint8_t *>(data), extents.size(), extents.data(), owner,
                         nullptr, getNumpyType(dtype)));
}

nb::object python::makeView(DType dtype, ArrayRef<int64_t> shape, ArrayRef<uint8_t> bytes,
                            nb::handle owner) {
  return makeNumpy<nb::ro>(dtype, shape, bytes.data(), owner);
}

nb::object python::toNumpy(Array array) {
  auto *owned = new Array(std::move(array));
  nb::capsule owner(owned, [](void *pointer) noexcept { delete static_cast<Array *>(pointer); });
  return makeNumpy(owned->getDType(), owned->getShape(), owned->bytes().data(), owner);
}
