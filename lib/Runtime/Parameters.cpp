//===- Parameters.cpp - Points a module's parameters at archives ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/JitSession.h"

#include "OpenMPRuntime.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Runtime/EncodedTensor.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <map>
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

/// The component of a stored tensor that the program reads as `type`.
static Expected<const Component *> findComponent(const StoredTensor &tensor,
                                                 const ParameterSignature &parameter,
                                                 StringRef name, const ValueType &type) {
  auto fail = [&](const Twine &given) {
    return createStringError(tensor.archive->getPath() + ": tensor '" + parameter.key +
                             "': the program reads component '" + name + "' as " + type.str() +
                             ", the file has " + given + " (stored as " + tensor.encoding +
                             "): compile the program for this file, or give it the file that it "
                             "was compiled for");
  };
  auto found = find_if(tensor.components, [&](const Component &c) { return c.name == name; });
  if (found == tensor.components.end()) {
    std::string names = join(
        map_range(tensor.components, [](const Component &c) { return "'" + c.name + "'"; }), ", ");
    return fail("only " + names);
  }
  if (!decodeAlike(parameter.encoding, tensor.encodingText))
    return fail("another encoding than " + parameter.encoding);
  if (!type.acceptsDType(found->dtype) || !type.acceptsShape(found->shape))
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

/// The bytes of a component where compiled code can read them: in the file, or copied to `copies`.
static Expected<const uint8_t *> placeComponent(const Component &component,
                                                std::vector<Array> &copies) {
  const uint8_t *data = component.data.data();
  // What was made on demand lives no longer than the list of components.
  if (!component.owner && reinterpret_cast<uintptr_t>(data) % getAlignment(component.dtype) == 0)
    return data;
  Expected<Array> copy = Array::allocate(component.dtype, component.shape);
  if (!copy)
    return copy.takeError();
  memcpy(copy->bytes().data(), component.data.data(), copy->bytes().size());
  copies.push_back(std::move(*copy));
  return copies.back().bytes().data();
}

namespace {
/// What the parameters of a module become, tensor by tensor.
class ParameterBinder {
public:
  ParameterBinder(const ModuleSignature &signature,
                  ArrayRef<std::shared_ptr<const Archive>> archives)
      : signature(signature), archives(archives) {}

  /// Finds and checks all tensors: packing trusts them.
  Error find() {
    for (const ParameterSignature &parameter : signature.parameters) {
      auto [slot, isNew] = tensors.try_emplace(parameter.key);
      if (isNew) {
        Expected<StoredTensor> tensor = findTensor(parameter.key, archives);
        if (!tensor)
          return tensor.takeError();
        slot->second = std::move(*tensor);
      }
      auto [found, isFirst] = components.try_emplace(placeOf(parameter));
      if (!isFirst)
        continue;
      Expected<std::vector<const Component *>> list = findComponents(slot->second, parameter);
      if (!list)
        return list.takeError();
      found->second = std::move(*list);
    }
    return verifyTensors(signature.parameters, tensors);
  }

  /// What a parameter is made of: the component itself, or those that its packing takes, in order.
  ArrayRef<const Component *> componentsOf(const ParameterSignature &parameter) const {
    return components.find(placeOf(parameter))->second;
  }
  const StoredTensor &tensorOf(const ParameterSignature &parameter) const {
    return tensors.find(parameter.key)->second;
  }

private:
  /// All outputs of an entry are of the same components.
  using Place = std::tuple<StringRef, StringRef, StringRef>;
  static Place placeOf(const ParameterSignature &parameter) {
    return {parameter.key, parameter.pack,
            parameter.pack.empty() ? StringRef(parameter.symbol) : StringRef()};
  }

  Expected<std::vector<const Component *>> findComponents(const StoredTensor &tensor,
                                                          const ParameterSignature &parameter) {
    std::vector<const Component *> list;
    auto add = [&](StringRef name, const ValueType &type) {
      Expected<const Component *> component = findComponent(tensor, parameter, name, type);
      if (component)
        list.push_back(*component);
      return component.takeError();
    };
    if (parameter.pack.empty()) {
      if (Error error = add(parameter.component, parameter.type))
        return std::move(error);
      return list;
    }
    Expected<const EntrySignature *> entry = signature.find(parameter.pack);
    if (!entry)
      return entry.takeError();
    Expected<TensorEncoding> encoding = encodings.read(parameter.encoding);
    if (!encoding)
      return encoding.takeError();
    Expected<std::vector<ComponentType>> types = encoding->getComponents(parameter.shape);
    if (!types)
      return types.takeError();
    ArrayRef<ValueType> arguments = ArrayRef((*entry)->arguments).drop_back((*entry)->outputs);
    if (arguments.size() != types->size())
      return createStringError("entry '" + parameter.pack + "' does not take the " +
                               Twine(types->size()) + " components of parameter '" + parameter.key +
                               "'");
    for (auto [type, argument] : zip_equal(*types, arguments))
      if (Error error = add(type.name, argument))
        return std::move(error);
    return list;
  }

  const ModuleSignature &signature;
  ArrayRef<std::shared_ptr<const Archive>> archives;
  StringMap<StoredTensor> tensors;
  std::map<Place, std::vector<const Component *>> components;
  EncodingContext encodings;
};
} // namespace

/// Calls the entry that packs a tensor; its outputs.
static Expected<std::vector<Array>> packTensor(void (*entry)(void *const *),
                                               const EntrySignature &signature,
                                               const StoredTensor &tensor,
                                               ArrayRef<const Component *> inputs) {
  std::vector<Array> copies, outputs;
  std::vector<MemRefDescriptor> descriptors;
  descriptors.reserve(signature.arguments.size());
  SmallVector<void *> arguments;
  for (const Component *input : inputs) {
    Expected<const uint8_t *> data = placeComponent(*input, copies);
    if (!data)
      return data.takeError();
    descriptors.emplace_back(*data, input->shape);
    arguments.push_back(input->shape.empty() ? const_cast<uint8_t *>(*data)
                                             : descriptors.back().get());
  }
  for (const ValueType &type : ArrayRef(signature.arguments).take_back(signature.outputs)) {
    Expected<Array> output = Array::allocate(type.dtype, type.shape);
    if (!output)
      return output.takeError();
    outputs.push_back(std::move(*output));
    descriptors.emplace_back(outputs.back().bytes().data(), outputs.back().getShape());
    arguments.push_back(descriptors.back().get());
  }
  entry(arguments.data());
  tensor.archive->release(*tensor.info); // nobody reads it again, mostly
  return outputs;
}

Error JitSession::bindParameters(ArrayRef<std::shared_ptr<const Archive>> given) {
  parametersBound = false;
  archives.assign(given.begin(), given.end());
  copies.clear();
  packed.clear();
  ParameterBinder binder(signature, given);
  if (Error error = binder.find())
    return error;
  if (openMP)
    openMP->setThreads(threads);
  std::map<std::pair<StringRef, StringRef>, size_t> done; // of a key and an entry, its place
  for (const ParameterSignature &parameter : signature.parameters) {
    ArrayRef<const Component *> found = binder.componentsOf(parameter);
    Expected<orc::ExecutorAddr> address = jit->lookup(parameter.symbol);
    if (!address)
      return address.takeError();
    auto write = [&](const uint8_t *data, ArrayRef<int64_t> shape) {
      MemRefDescriptor descriptor(data, shape);
      memcpy(address->toPtr<void *>(), descriptor.getWords().data(),
             descriptor.getWords().size() * sizeof(int64_t));
    };
    if (!parameter.pack.empty()) {
      auto [place, isNew] = done.try_emplace({parameter.key, parameter.pack}, packed.size());
      if (isNew) {
        const EntrySignature &entry = **signature.find(parameter.pack);
        auto function = reinterpret_cast<void (*)(void *const *)>(
            entryAddresses[&entry - signature.entries.data()]);
        Expected<std::vector<Array>> outputs =
            packTensor(function, entry, binder.tensorOf(parameter), found);
        if (!outputs)
          return outputs.takeError();
        packed.push_back(std::move(*outputs));
      }
      const std::vector<Array> &outputs = packed[place->second];
      if (parameter.output >= outputs.size())
        return createStringError("entry '" + parameter.pack + "' has no output " +
                                 Twine(parameter.output));
      write(outputs[parameter.output].bytes().data(), outputs[parameter.output].getShape());
      continue;
    }
    const Component &component = *found.front();
    if (!parameter.type.isMemRef) {
      memcpy(address->toPtr<void *>(), component.data.data(), sizeof(int64_t));
      continue;
    }
    Expected<const uint8_t *> data = placeComponent(component, copies);
    if (!data)
      return data.takeError();
    write(*data, component.shape);
  }
  parametersBound = true;
  return Error::success();
}
