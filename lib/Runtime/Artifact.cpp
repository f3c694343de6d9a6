//===- Artifact.cpp - A compiled model in a file --------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Artifact.h"

#include "../Archive/JSONText.h"
#include "../Archive/LowbitFormat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <thread>

using namespace llvm;
using namespace lowbit;

static constexpr StringLiteral artifactVersion = "1", programKey = "lowbit.program",
                               digestsKey = "lowbit.digests", originKey = "lowbit.origin",
                               codeName = "code";

static std::string digestOf(ArrayRef<uint8_t> bytes) {
  return toHex(BLAKE3::hash(bytes), /*LowerCase=*/true);
}

template <typename Write> static std::string formatJSON(Write write) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream json(stream);
  write(json);
  return text;
}

Error Artifact::write(StringRef path, const Session &session, const Metadata &model,
                      StringRef origin) {
  const ModuleSignature &signature = session.getSignature();
  std::vector<SafetensorsWriter::Declaration> arrays;
  std::vector<ArrayRef<uint8_t>> contents;
  arrays.push_back({codeName.str(), DType::U8, {int64_t(session.getCode().size())}});
  contents.push_back(session.getCode());
  for (auto [parameter, value] : zip_equal(signature.parameters, session.getParameters())) {
    arrays.push_back({parameter.symbol, value.dtype, value.shape});
    contents.push_back(value.data);
  }
  std::string program = formatJSON([&](json::OStream &stream) { signature.write(stream); });
  std::string digests = formatJSON([&](json::OStream &stream) {
    stream.object([&] {
      stream.attribute(programKey, digestOf(arrayRefFromStringRef(program)));
      for (auto [array, content] : zip_equal(arrays, contents))
        stream.attribute(array.name, digestOf(content));
    });
  });
  std::vector<SafetensorsWriter::MetadataEntry> metadata = {
      {artifactKey.str(), artifactVersion.str()},
      {programKey.str(), program},
      {digestsKey.str(), digests},
      {originKey.str(), origin.str()}};
  if (!model.empty())
    metadata.emplace_back(modelKey, model.toJSONText());
  Expected<std::unique_ptr<SafetensorsWriter>> writer =
      SafetensorsWriter::create(path, arrays, metadata);
  if (!writer)
    return writer.takeError();
  for (ArrayRef<uint8_t> content : contents)
    if (!content.empty())
      if (Error error = (*writer)->append(content))
        return error;
  return (*writer)->commit();
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static Expected<json::Value> parseEntry(const SafetensorsFile &file, StringRef key) {
  auto fail = [&](const Twine &what) {
    return file.getFile().makeError(file.getMetadataOffset(),
                                    "'" + key + "' " + what + ": compile the model again");
  };
  auto found = file.getMetadata().find(key);
  if (found == file.getMetadata().end())
    return fail("is missing");
  JSONText text;
  if (std::optional<JSONProblem> problem = parseJSON(found->second, text))
    return fail("is not JSON (" + problem->what + ")");
  return std::move(text.value);
}

Expected<std::unique_ptr<Artifact>> Artifact::open(StringRef path) {
  Expected<std::unique_ptr<SafetensorsFile>> opened = SafetensorsFile::open(path);
  if (!opened)
    return opened.takeError();
  const SafetensorsFile &file = **opened;
  auto fail = [&](const Twine &what) {
    return file.getFile().makeError(file.getMetadataOffset(), what);
  };
  auto version = file.getMetadata().find(artifactKey);
  if (version == file.getMetadata().end())
    return fail("this is no compiled model: make one with `lowbit compile`");
  if (version->second != artifactVersion)
    return fail("this is a compiled model of format " + version->second + ", not " +
                artifactVersion + ": compile the model again");
  Metadata model(path);
  if (file.getMetadata().contains(modelKey)) {
    Expected<json::Value> value = parseEntry(file, modelKey);
    if (!value)
      return value.takeError();
    Expected<Metadata> read = Metadata::fromJSON(*value, path);
    if (!read)
      return fail(toString(read.takeError()));
    model = std::move(*read);
  }
  Expected<json::Value> program = parseEntry(file, programKey);
  if (!program)
    return program.takeError();
  Expected<ModuleSignature> signature = ModuleSignature::fromJSON(*program);
  if (!signature)
    return fail("'" + programKey + "': " + toString(signature.takeError()));
  Expected<json::Value> digests = parseEntry(file, digestsKey);
  if (!digests)
    return digests.takeError();

  std::unique_ptr<Artifact> artifact(new Artifact(std::move(*opened), std::move(model)));
  artifact->signature = std::move(*signature);
  artifact->origin = file.getMetadata().lookup(originKey);
  if (const json::Object *object = digests->getAsObject())
    for (const auto &[name, digest] : *object)
      artifact->digests[name] = digest.getAsString().value_or("");
  // Code trusts what its signature says.
  StringRef text = file.getMetadata().find(programKey)->second;
  if (artifact->digests.lookup(programKey) != digestOf(arrayRefFromStringRef(text)))
    return fail("'" + programKey + "' is damaged (its digest differs): compile the model again");
  if (!file.lookup(codeName))
    return fail("there is no code: compile the model again");
  for (const ParameterSignature &parameter : artifact->signature.parameters) {
    const SafetensorsTensor *array = file.lookup(parameter.symbol);
    if (!array || !parameter.type.acceptsDType(array->dtype) ||
        !parameter.type.acceptsShape(array->shape))
      return fail("parameter '" + parameter.symbol + "' is missing, or not " +
                  parameter.type.str() + ": compile the model again");
  }
  return artifact;
}

Error Artifact::check(const SafetensorsTensor &array, ArrayRef<uint8_t> bytes) const {
  if (digestOf(bytes) == digests.lookup(array.name))
    return Error::success();
  return file->getFile().makeError(
      array.data.data() - file->getFile().getBytes().data(),
      "array '" + array.name + "' is damaged (its digest differs): compile the model again");
}

Expected<std::vector<ParameterValue>> Artifact::readParameters() const {
  constexpr int64_t cacheLine = 64;
  std::vector<ParameterValue> values;
  std::vector<std::pair<const SafetensorsTensor *, int64_t>> moved; // and its place
  int64_t size = 0;
  for (const ParameterSignature &parameter : signature.parameters) {
    const SafetensorsTensor *array = file->lookup(parameter.symbol);
    values.push_back({array->dtype, array->shape, array->data, file});
    bool isAligned =
        reinterpret_cast<uintptr_t>(array->data.data()) % getAlignment(array->dtype) == 0;
    moved.emplace_back(array, !parameter.pack.empty() || !isAligned ? size : -1);
    if (moved.back().second >= 0)
      size += alignTo(array->data.size(), cacheLine);
  }
  // Kernels stream packed weights: they lie together, in large pages where the system gives them.
  Expected<Array> memory = Array::allocate(DType::U8, size);
  if (!memory)
    return memory.takeError();
  auto owner = std::make_shared<Array>(std::move(*memory));
  uint8_t *base = owner->bytes().data();
  std::atomic<size_t> next = 0, damaged = SIZE_MAX;
  auto work = [&] {
    for (size_t i; (i = next++) < moved.size();) {
      auto [array, place] = moved[i];
      ArrayRef<uint8_t> bytes = array->data;
      if (place >= 0 && !bytes.empty()) {
        memcpy(base + place, bytes.data(), bytes.size());
        bytes = ArrayRef(base + place, bytes.size());
      }
      if (Error error = check(*array, bytes)) {
        consumeError(std::move(error));
        damaged = i;
      }
    }
  };
  // This thread works, too: a process may be at its limit of threads.
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < std::min(std::thread::hardware_concurrency(), 8u))
      helpers.emplace_back(work);
  } catch (const std::system_error &) {
  }
  work();
  for (std::thread &helper : helpers)
    helper.join();
  if (damaged != SIZE_MAX)
    return check(*moved[damaged].first, moved[damaged].first->data);
  for (auto [value, from] : zip_equal(values, moved))
    if (from.second >= 0) {
      value.data = ArrayRef(base + from.second, value.data.size());
      value.owner = owner;
      file->getFile().release(from.first->data);
    }
  return values;
}

Expected<std::unique_ptr<Session>> Artifact::load(unsigned threads) const {
  const SafetensorsTensor *code = file->lookup(codeName);
  if (Error error = check(*code, code->data))
    return std::move(error);
  Expected<std::unique_ptr<Session>> session =
      Session::load({signature, code->data.vec()}, threads);
  if (!session)
    return createStringError(file->getFile().getPath() + ": " + toString(session.takeError()));
  Expected<std::vector<ParameterValue>> values = readParameters();
  if (!values)
    return values.takeError();
  (*session)->setParameters(std::move(*values));
  return session;
}
