//===- Parameters.cpp - Points a module's parameters at archives ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/JitSession.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Runtime/EncodedTensor.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <set>
#include <tuple>

using namespace llvm;
using namespace lowbit;

namespace {
/// A parameter's tensor, and where it was found.
struct StoredTensor {
  const Archive *archive;
  const TensorInfo *info;
  std::vector<Component> components;
  std::string encoding; // as people read it
  std::string encodingText;
};
} // namespace

static Expected<StoredTensor> findTensor(StringRef key,
                                         ArrayRef<std::shared_ptr<const Archive>> archives) {
  for (const auto &archive : archives)
    if (const TensorInfo *info = archive->lookup(key)) {
      Expected<std::vector<Component>> components = archive->getComponents(*info);
      if (!components)
        return components.takeError();
      return StoredTensor{archive.get(), info, std::move(*components), info->describeEncoding(),
                          info->encoding};
    }
  if (archives.empty())
    return createStringError("the program has the parameter '" + key +
                             "', and no archive was given to take it from");
  if (archives.size() == 1) // its own error has the nearest name
    return archives.front()->find(key).takeError();
  std::string paths =
      join(map_range(archives, [](const auto &archive) { return archive->getPath().str(); }), ", ");
  return createStringError("no tensor '" + key + "' in any of " + paths);
}

/// True if stored components mean the same values under both encodings, given as text.
static bool decodeAlike(StringRef program, StringRef file) {
  if (program.empty() || program == file)
    return true;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler silent(&context, [](mlir::Diagnostic &) { return success(); });
  mlir::Attribute wanted = parseEncoding(program, &context), given = parseEncoding(file, &context);
  auto a = dyn_cast_or_null<QuantizedAttr>(wanted), b = dyn_cast_or_null<QuantizedAttr>(given);
  if (a && b) // the encode rule does not change what is decoded
    return isSameTerm(a, b) && a.getLayout() == b.getLayout();
  return wanted && wanted == given;
}

static Expected<const Component *> findComponent(const StoredTensor &tensor,
                                                 const ParameterSignature &parameter) {
  auto fail = [&](const Twine &given) {
    return createStringError(tensor.archive->getPath() + ": tensor '" + parameter.key +
                             "': the program reads component '" + parameter.component + "' as " +
                             parameter.type.str() + ", the file has " + given + " (stored as " +
                             tensor.encoding +
                             "): compile the program for this file, or give it the file that it "
                             "was compiled for");
  };
  auto found =
      find_if(tensor.components, [&](const Component &c) { return c.name == parameter.component; });
  if (found == tensor.components.end()) {
    std::string names = join(
        map_range(tensor.components, [](const Component &c) { return "'" + c.name + "'"; }), ", ");
    return fail("only " + names);
  }
  if (!decodeAlike(parameter.encoding, tensor.encodingText))
    return fail("another encoding than " + parameter.encoding);
  if (!parameter.type.acceptsDType(found->dtype) || !parameter.type.acceptsShape(found->shape))
    return fail(formatArrayType(found->dtype, found->shape));
  return &*found;
}

/// Compiled code trusts what it reads: what a damaged file says must not lead it astray. Once for
/// each tensor, as the program types it.
static Error verifyTensors(ArrayRef<ParameterSignature> parameters,
                           const StringMap<StoredTensor> &tensors) {
  EncodingContext encodings;
  std::set<std::tuple<StringRef, StringRef, ArrayRef<int64_t>>> done;
  for (const ParameterSignature &parameter : parameters) {
    if (parameter.encoding.empty() ||
        !done.emplace(parameter.key, parameter.encoding, parameter.shape).second)
      continue;
    Expected<TensorEncoding> encoding = encodings.read(parameter.encoding);
    if (!encoding) { // of a plug-in, whose dialect is not here
      consumeError(encoding.takeError());
      continue;
    }
    const StoredTensor &tensor = tensors.find(parameter.key)->second;
    if (Error error = encoding->verify(parameter.shape, tensor.info->shape, tensor.components))
      return createStringError(tensor.archive->getPath() + ": tensor '" + parameter.key + "': " +
                               toString(std::move(error)) + " (stored as " + tensor.encoding +
                               "): the file is damaged, or not the one that the program was "
                               "compiled for");
  }
  return Error::success();
}

Error JitSession::bindParameters(ArrayRef<std::shared_ptr<const Archive>> given) {
  parametersBound = false;
  archives.assign(given.begin(), given.end());
  copies.clear();
  StringMap<StoredTensor> tensors;
  for (const ParameterSignature &parameter : signature.parameters) {
    auto [slot, isNew] = tensors.try_emplace(parameter.key);
    if (isNew) {
      Expected<StoredTensor> tensor = findTensor(parameter.key, given);
      if (!tensor)
        return tensor.takeError();
      slot->second = std::move(*tensor);
    }
    Expected<const Component *> component = findComponent(slot->second, parameter);
    if (!component)
      return component.takeError();
    Expected<orc::ExecutorAddr> address = jit->lookup(parameter.symbol);
    if (!address)
      return address.takeError();

    const uint8_t *data = (*component)->data.data();
    if (!parameter.type.isMemRef) {
      memcpy(address->toPtr<void *>(), data, sizeof(int64_t));
      continue;
    }
    // What was made on demand lives no longer than `tensors`.
    if ((*component)->owner ||
        reinterpret_cast<uintptr_t>(data) % getAlignment((*component)->dtype)) {
      Expected<Array> copy = Array::allocate((*component)->dtype, (*component)->shape);
      if (!copy)
        return copy.takeError();
      memcpy(copy->bytes().data(), data, copy->bytes().size());
      data = copy->bytes().data();
      copies.push_back(std::move(*copy));
    }
    MemRefDescriptor descriptor(data, (*component)->shape);
    memcpy(address->toPtr<void *>(), descriptor.getWords().data(),
           descriptor.getWords().size() * sizeof(int64_t));
  }
  if (Error error = verifyTensors(signature.parameters, tensors))
    return error;
  parametersBound = true;
  return Error::success();
}
