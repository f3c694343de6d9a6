//===- EncodeArchive.cpp - A model in another encoding --------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/EncodeArchive.h"

#include "lowbit/Compile/EncodedTensor.h"
#include "lowbit/Runtime/Array.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ThreadPool.h"

#include <deque>
#include <fnmatch.h>

using namespace llvm;
using namespace lowbit;

namespace {
/// One tensor of the new archive.
struct Job {
  const TensorInfo *tensor;
  /// False: the stored components are copied.
  bool isEncoded = false;
  TensorEncoding stored, wanted;
  ArchiveWriter::TensorDeclaration declaration;
  /// Kept from when it was encoded to learn its components' extents.
  std::vector<EncodedComponent> kept;
};

class ArchiveEncoder {
public:
  ArchiveEncoder(const Archive &archive, const EncodeArchiveOptions &options,
                 EncodeProgress progress)
      : archive(archive), options(options), progress(progress),
        pool(hardware_concurrency(options.threads)) {}

  Error plan(StringRef path);
  Error write(StringRef path);

private:
  using Encoded = Expected<std::vector<EncodedComponent>>;

  Expected<StringRef> chooseEncoding(const TensorInfo &tensor) const;
  Error checkPatterns() const;
  Error declareCopy(Job &job) const;
  Error declareEncoded(Job &job, StringRef text);
  Error learnExtents();
  Encoded encode(const Job &job) const;
  Error forEachEncoded(ArrayRef<Job *> work,
                       function_ref<Error(Job &, std::vector<EncodedComponent>)> consume);
  Error report(StringRef next);

  const Archive &archive;
  const EncodeArchiveOptions &options;
  EncodeProgress progress;
  EncodingContext encodings;
  DefaultThreadPool pool;
  std::vector<Job> jobs;
  size_t done = 0;
};
} // namespace

/// What tensors whose extents had to be learnt may hold in memory until they are written; the rest
/// is encoded again.
static constexpr uint64_t keptBytes = uint64_t(1) << 28;

Expected<StringRef> ArchiveEncoder::chooseEncoding(const TensorInfo &tensor) const {
  if (tensor.shape.size() < 2 || tensor.integers)
    return "same";
  for (const auto &[pattern, encoding] : options.keep)
    // A name may have a backslash; a pattern has no way to quote.
    if (fnmatch(pattern.c_str(), tensor.name.c_str(), FNM_NOESCAPE) == 0)
      return StringRef(encoding).trim();
  return tensor.shape.size() == 2 ? StringRef(options.weights).trim() : "same";
}

Error ArchiveEncoder::checkPatterns() const {
  if (StringRef(options.weights).trim().empty())
    return createStringError(
        "the encoding of the weights is empty: give an attribute such as "
        "'#lowbit.quantized<int<8>, scale = f32 per axis 0>', 'f32', or 'same'");
  for (const auto &[pattern, encoding] : options.keep) {
    bool matches = any_of(archive.tensors(), [&, &pattern = pattern](const TensorInfo &tensor) {
      return tensor.shape.size() >= 2 && !tensor.integers &&
             fnmatch(pattern.c_str(), tensor.name.c_str(), FNM_NOESCAPE) == 0;
    });
    if (!matches && encoding != "same")
      return createStringError("no tensor of two or more dimensions in " + archive.getPath() +
                               " has a name like '" + pattern +
                               "': tensors of one dimension stay as they are stored");
  }
  return Error::success();
}

Error ArchiveEncoder::declareCopy(Job &job) const {
  Expected<std::vector<Component>> components = archive.getComponents(*job.tensor);
  if (!components)
    return components.takeError();
  for (const Component &component : *components)
    job.declaration.components.push_back({component.name, component.dtype, component.shape});
  job.declaration.encoding = job.tensor->encoding;
  return Error::success();
}

Error ArchiveEncoder::declareEncoded(Job &job, StringRef text) {
  auto fail = [&](Error error) {
    return createStringError(archive.getPath() + ": tensor '" + job.tensor->name +
                             "': " + toString(std::move(error)) +
                             " (give it another encoding: --keep '" + job.tensor->name + "=same')");
  };
  Expected<TensorEncoding> wanted = encodings.read(text);
  if (!wanted)
    return wanted.takeError();
  Expected<TensorEncoding> stored = encodings.read(archive, *job.tensor);
  if (!stored)
    return stored.takeError();
  Expected<std::vector<ComponentType>> types = wanted->getComponents(job.tensor->shape);
  if (!types)
    return fail(types.takeError());
  job.isEncoded = true;
  job.stored = *stored;
  job.wanted = *wanted;
  job.declaration.encoding = wanted->str();
  for (ComponentType &type : *types)
    job.declaration.components.push_back({type.name, type.dtype, std::move(type.shape)});
  return Error::success();
}

static bool isStatic(const Job &job) {
  return all_of(job.declaration.components,
                [](const auto &component) { return !is_contained(component.shape, -1); });
}

ArchiveEncoder::Encoded ArchiveEncoder::encode(const Job &job) const {
  auto fail = [&](Error error) {
    return createStringError(archive.getPath() + ": tensor '" + job.tensor->name +
                             "': " + toString(std::move(error)));
  };
  Expected<Array> values = Array::allocate(DType::F32, job.tensor->shape);
  if (!values)
    return fail(values.takeError());
  if (Error error = job.stored.decode(archive, *job.tensor, values->values<float>()))
    return std::move(error);
  archive.release(*job.tensor);
  Encoded encoded = job.wanted.encode(job.tensor->shape, values->values<float>());
  if (!encoded)
    return fail(encoded.takeError());
  return encoded;
}

Error ArchiveEncoder::report(StringRef next) { return progress(done, jobs.size(), next); }

/// Encodes on all threads, and hands over the results in order on this one.
Error ArchiveEncoder::forEachEncoded(
    ArrayRef<Job *> work, function_ref<Error(Job &, std::vector<EncodedComponent>)> consume) {
  // shared_future cannot hand over what it holds, so each task leaves its result in a slot.
  struct Slot {
    std::optional<Encoded> result;
    std::shared_future<void> ready;
  };
  std::deque<Slot> window;
  auto finish = [&](Error error) {
    for (Slot &slot : window) {
      slot.ready.wait();
      if (!*slot.result)
        consumeError(slot.result->takeError());
    }
    return error;
  };
  size_t ahead = 2 * pool.getMaxConcurrency();
  size_t started = 0;
  for (Job *job : work) {
    while (started < work.size() && window.size() < ahead) {
      Slot &slot = window.emplace_back(); // a deque does not move its elements
      slot.ready = pool.async([this, &slot, job = work[started++]] { slot.result = encode(*job); });
    }
    window.front().ready.wait();
    Encoded result = std::move(*window.front().result);
    window.pop_front();
    if (!result)
      return finish(result.takeError());
    if (Error error = consume(*job, std::move(*result)))
      return finish(std::move(error));
  }
  return Error::success();
}

Error ArchiveEncoder::learnExtents() {
  SmallVector<Job *> open;
  for (Job &job : jobs)
    if (!isStatic(job))
      open.push_back(&job);
  uint64_t held = 0;
  size_t index = 0;
  return forEachEncoded(open, [&](Job &job, std::vector<EncodedComponent> components) {
    for (auto [declared, encoded] : zip_equal(job.declaration.components, components)) {
      declared.shape = encoded.shape;
      held += encoded.bytes.size();
    }
    if (held <= keptBytes)
      job.kept = std::move(components);
    ++done;
    ++index;
    return report(index < open.size() ? StringRef(open[index]->tensor->name) : "");
  });
}

Error ArchiveEncoder::plan(StringRef path) {
  if (Error error = checkPatterns())
    return error;
  // A wrong encoding is wrong even if no tensor takes it.
  SmallVector<StringRef> texts = {options.weights};
  for (const auto &[pattern, encoding] : options.keep)
    texts.push_back(encoding);
  for (StringRef text : texts)
    if (text.trim() != "same")
      if (Error error = encodings.read(text).takeError())
        return error;
  for (const TensorInfo &tensor : archive.tensors()) {
    Job &job = jobs.emplace_back();
    job.tensor = &tensor;
    job.declaration.name = tensor.name;
    job.declaration.shape = tensor.shape;
    Expected<StringRef> text = chooseEncoding(tensor);
    if (!text)
      return text.takeError();
    if (Error error = *text == "same" ? declareCopy(job) : declareEncoded(job, *text))
      return error;
    if (Error error = ArchiveWriter::check(path, job.declaration))
      return error;
  }
  if (jobs.empty())
    return createStringError(archive.getPath() + ": there are no tensors to encode");
  if (Error error = report(jobs.front().tensor->name))
    return error;
  return learnExtents();
}

static Error append(ArchiveWriter &writer, const Job &job, ArrayRef<EncodedComponent> components) {
  for (auto [declared, encoded] : zip_equal(job.declaration.components, components)) {
    if (declared.shape != encoded.shape)
      return createStringError("tensor '" + job.tensor->name + "': component '" + declared.name +
                               "' was announced as " +
                               formatArrayType(declared.dtype, declared.shape) + " and is " +
                               formatArrayType(encoded.dtype, encoded.shape));
    if (Error error = writer.append(encoded.bytes))
      return error;
  }
  return Error::success();
}

Error ArchiveEncoder::write(StringRef path) {
  std::vector<ArchiveWriter::TensorDeclaration> declarations;
  SmallVector<Job *> work;
  for (Job &job : jobs)
    declarations.push_back(job.declaration);
  Expected<std::unique_ptr<ArchiveWriter>> writer =
      ArchiveWriter::create(path, declarations, archive.metadata());
  if (!writer)
    return writer.takeError();

  auto next = jobs.begin();
  auto advance = [&]() -> Error {
    ++next;
    // Those whose extents were learnt have counted already.
    done = std::min(done + 1, jobs.size());
    return report(next == jobs.end() ? StringRef() : StringRef(next->tensor->name));
  };
  // Between tensors that are yet to be encoded lie some to be copied, or encoded already.
  auto writeReady = [&]() -> Error {
    while (next != jobs.end() && (!next->isEncoded || !next->kept.empty())) {
      if (next->isEncoded) {
        if (Error error = append(**writer, *next, next->kept))
          return error;
        next->kept.clear();
      } else {
        Expected<std::vector<Component>> components = archive.getComponents(*next->tensor);
        if (!components)
          return components.takeError();
        for (const Component &component : *components)
          if (Error error = (*writer)->append(component.data))
            return error;
        archive.release(*next->tensor);
      }
      if (Error error = advance())
        return error;
    }
    return Error::success();
  };
  for (Job &job : jobs)
    if (job.isEncoded && job.kept.empty())
      work.push_back(&job);
  if (Error error = writeReady())
    return error;
  if (Error error =
          forEachEncoded(work, [&](Job &job, std::vector<EncodedComponent> components) -> Error {
            if (Error error = append(**writer, job, components))
              return error;
            if (Error error = advance())
              return error;
            return writeReady();
          }))
    return error;
  return (*writer)->commit();
}

Error lowbit::encodeArchive(StringRef input, StringRef output, const EncodeArchiveOptions &options,
                            EncodeProgress progress) {
  Expected<std::unique_ptr<Archive>> archive = Archive::open(input);
  if (!archive)
    return archive.takeError();
  if (sys::fs::equivalent(input, output))
    return createStringError(output + ": this is the archive itself: give another name for the "
                                      "output");
  ArchiveEncoder encoder(**archive, options, progress);
  if (Error error = encoder.plan(output))
    return error;
  return encoder.write(output);
}
