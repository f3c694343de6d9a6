//===- Bindings.h - What the parts of the module share ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No MLIR headers here or in what is bound: this module hides its symbols, and
// MLIR's types would have other identities in it than in libLowbit.so.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_PYTHON_BINDINGS_H
#define LOWBIT_PYTHON_BINDINGS_H

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/Cancellation.h"
#include "lowbit/Runtime/Array.h"
#include "llvm/Support/Error.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <stdexcept>

namespace lowbit {
class Program;
} // namespace lowbit

namespace lowbit::python {

namespace nb = nanobind;

/// How file names come from Python: they need not be UTF-8.
using Path = std::filesystem::path;
std::vector<std::string> toStrings(const std::vector<Path> &paths);

/// Becomes _lowbit.Error.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws the exception that Python has pending, else a Failure, if there is an error. Needs the
/// interpreter's lock.
void raise(llvm::Error error);

template <typename T> T unwrap(llvm::Expected<T> value) {
  if (!value)
    raise(value.takeError());
  return std::move(*value);
}

/// For loops that run without the interpreter's lock: an error once the user has pressed Ctrl-C
/// (the KeyboardInterrupt is then pending).
llvm::Error checkInterrupt();

/// Work of the compiler, without the interpreter's lock and in a thread of its own, as Python
/// learns of Ctrl-C in the calling one only, which cancels the work (the KeyboardInterrupt is then
/// pending).
llvm::Error runCancellable(Cancellation &cancellation, llvm::function_ref<llvm::Error()> work);

using InputArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

DType getDType(const InputArray &array);
llvm::SmallVector<int64_t, 4> getShape(const InputArray &array);
/// A copy.
Array toArray(const InputArray &input);

/// A numpy array of these bytes, which `owner` keeps alive; bf16 becomes uint16.
nb::object makeView(DType dtype, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<uint8_t> bytes,
                    nb::handle owner);
/// A numpy array that owns what was in `array`.
nb::object toNumpy(Array array);

nb::object lookup(const Metadata &metadata, const std::string &key);

nb::class_<Archive> bindArchive(nb::module_ &module);
void bindArchiveWriter(nb::module_ &module);
/// Adds what needs the encodings' dialect.
void bindDecode(nb::class_<Archive> archive);
void bindEncodings(nb::module_ &module);
void bindPrograms(nb::module_ &module);
/// What it adds to programs, bindPrograms() calls it for.
void bindOptimizers(nb::module_ &module, nb::class_<Program> program);
void bindCalibration(nb::module_ &module);
void bindCompiler(nb::module_ &module);

} // namespace lowbit::python

#endif // LOWBIT_PYTHON_BINDINGS_H
