//===- Parameters.cpp - Points a module's parameters at archives ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/CompileModule.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/EncodedTensor.h"
#include "lowbit/IR/Leaves.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "llvm/ADT/StringExtras.h"

#include <map>
#include <set>
#include <tuple>

using namespace llvm;
using namespace lowbit;

namespace {
/// A parameter's tensor, and where it was found.
struct StoredTensor {
  std::shared_ptr<const Archive> archive;
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
      return StoredTensor{archive, info, std::move(*components), info->describeEncoding(),
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

/// A component where compiled code can read it: in the file, or copied.
static Expected<ParameterValue> placeComponent(const Component &component,
                                               std::shared_ptr<const Archive> archive) {
  ParameterValue value{component.dtype, component.shape, component.data, std::move(archive)};
  // What was made on demand lives no longer than the list of components.
  if (!component.owner &&
      reinterpret_cast<uintptr_t>(component.data.data()) % getAlignment(component.dtype) == 0)
    return value;
  Expected<Array> copy = Array::allocate(component.dtype, component.shape);
  if (!copy)
    return copy.takeError();
  memcpy(copy->bytes().data(), component.data.data(), copy->bytes().size());
  auto owner = std::make_shared<const Array>(std::move(*copy));
  value.data = owner->bytes();
  value.owner = std::move(owner);
  return value;
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
static Expected<std::vector<ParameterValue>> packTensor(const Session &session,
                                                        const EntrySignature &entry,
                                                        const StoredTensor &tensor,
                                                        ArrayRef<const Component *> inputs) {
  std::vector<ParameterValue> read, outputs;
  std::vector<MemRefDescriptor> descriptors;
  descriptors.reserve(entry.arguments.size());
  SmallVector<void *> arguments;
  for (const Component *input : inputs) {
    Expected<ParameterValue> value = placeComponent(*input, tensor.archive);
    if (!value)
      return value.takeError();
    auto *data = const_cast<uint8_t *>(value->data.data());
    descriptors.emplace_back(data, value->shape);
    arguments.push_back(input->shape.empty() ? data : descriptors.back().get());
    read.push_back(std::move(*value));
  }
  for (const ValueType &type : ArrayRef(entry.arguments).take_back(entry.outputs)) {
    Expected<Array> output = Array::allocate(type.dtype, type.shape);
    if (!output)
      return output.takeError();
    descriptors.emplace_back(output->bytes().data(), output->getShape());
    arguments.push_back(descriptors.back().get());
    auto owner = std::make_shared<const Array>(std::move(*output));
    outputs.push_back({type.dtype, type.shape, owner->bytes(), owner});
  }
  session.call(entry, arguments);
  tensor.archive->release(*tensor.info); // nobody reads it again, mostly
  return outputs;
}

Error lowbit::bindParameters(Session &session, ArrayRef<std::shared_ptr<const Archive>> archives,
                             const Cancellation &cancellation) {
  const ModuleSignature &signature = session.getSignature();
  ParameterBinder binder(signature, archives);
  if (Error error = binder.find())
    return error;
  std::vector<ParameterValue> values;
  std::map<std::pair<StringRef, StringRef>, std::vector<ParameterValue>> packed; // by key and entry
  for (const ParameterSignature &parameter : signature.parameters) {
    ArrayRef<const Component *> found = binder.componentsOf(parameter);
    const StoredTensor &tensor = binder.tensorOf(parameter);
    if (parameter.pack.empty()) {
      Expected<ParameterValue> value = placeComponent(*found.front(), tensor.archive);
      if (!value)
        return value.takeError();
      values.push_back(std::move(*value));
      continue;
    }
    auto [slot, isNew] = packed.try_emplace({parameter.key, parameter.pack});
    if (isNew) {
      if (Error error = cancellation.check())
        return error;
      Expected<std::vector<ParameterValue>> outputs =
          packTensor(session, **signature.find(parameter.pack), tensor, found);
      if (!outputs)
        return outputs.takeError();
      slot->second = std::move(*outputs);
    }
    if (parameter.output >= slot->second.size())
      return createStringError("entry '" + parameter.pack + "' has no output " +
                               Twine(parameter.output));
    values.push_back(slot->second[parameter.output]);
  }
  session.setParameters(std::move(values));
  return Error::success();
}
