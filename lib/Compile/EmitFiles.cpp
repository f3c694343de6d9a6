//===- EmitFiles.cpp - Compiled code for programs in C --------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/EmitFiles.h"

#include "EmbeddedModule.h"
#include "lowbit/Archive/StagedFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"

using namespace llvm;
using namespace lowbit;

namespace {
/// Pieces at offsets, zeros between them.
class PiecewiseFile final : public StagedFile {
public:
  struct Piece {
    uint64_t offset;
    ArrayRef<uint8_t> bytes;
  };

  /// Writes the file but for its name, which commit() gives it.
  static Expected<std::unique_ptr<StagedFile>> stage(StringRef path, ArrayRef<Piece> pieces,
                                                     uint64_t size) {
    std::vector<Slot> slots;
    for (const Piece &piece : pieces)
      slots.push_back({path.str(), piece.offset, piece.bytes.size()});
    std::unique_ptr<PiecewiseFile> file(new PiecewiseFile(path, std::move(slots)));
    if (Error error = file->open({}, size))
      return std::move(error);
    for (const Piece &piece : pieces)
      if (Error error = file->append(piece.bytes))
        return std::move(error);
    return file;
  }

private:
  using StagedFile::StagedFile;
};
} // namespace

/// The object with entries and parameters under the module's names, and nothing else in sight.
static Expected<SmallVector<char, 0>> nameSymbols(const EmbeddedModule &module,
                                                  ArrayRef<uint8_t> code) {
  Expected<std::unique_ptr<object::ObjectFile>> object =
      object::ObjectFile::createObjectFile(MemoryBufferRef(toStringRef(code), module.name));
  if (!object)
    return object.takeError();
  objcopy::ConfigManager config;
  // The configuration refers to names, and does not keep them.
  std::vector<std::string> packed;
  packed.reserve(module.entries.size());
  Error failure = Error::success();
  auto match = [&](objcopy::NameMatcher &matcher, StringRef symbol) {
    Error error = matcher.addMatcher(objcopy::NameOrPattern::create(
        symbol, objcopy::MatchStyle::Literal, [](Error error) { return error; }));
    failure = joinErrors(std::move(failure), std::move(error));
  };
  for (const EmbeddedModule::Entry &entry : module.entries) {
    packed.push_back(Session::getPackedName(entry.signature->name));
    match(config.Common.SymbolsToKeepGlobal, packed.back());
    config.Common.SymbolsToRename.try_emplace(packed.back(), entry.symbol);
  }
  // Code reaches its parameters without a detour, also within a shared library that is made of it:
  // they are of one library.
  objcopy::NameMatcher hidden;
  for (const EmbeddedModule::Parameter &parameter : module.parameters) {
    match(config.Common.SymbolsToKeepGlobal, parameter.signature->symbol);
    match(hidden, parameter.signature->symbol);
    config.Common.SymbolsToRename.try_emplace(parameter.signature->symbol, parameter.symbol);
  }
  config.ELF.SymbolsToSetVisibility.emplace_back(std::move(hidden), ELF::STV_HIDDEN);
  if (failure)
    return std::move(failure);
  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  if (Error error = objcopy::executeObjcopyOnBinary(config, **object, stream))
    return std::move(error);
  return bytes;
}

Error lowbit::emitFiles(StringRef stem, const Session &session, const EmitOptions &options) {
  Expected<EmbeddedModule> module = EmbeddedModule::create(stem, session);
  if (!module)
    return module.takeError();
  std::vector<std::pair<std::string, std::unique_ptr<StagedFile>>> files;
  auto stage = [&](StringRef ending, ArrayRef<PiecewiseFile::Piece> pieces,
                   uint64_t size) -> Error {
    std::string path = (stem + ending).str();
    Expected<std::unique_ptr<StagedFile>> file = PiecewiseFile::stage(path, pieces, size);
    if (!file)
      return file.takeError();
    files.emplace_back(path, std::move(*file));
    return Error::success();
  };
  if (!module->parameters.empty()) {
    std::vector<PiecewiseFile::Piece> pieces;
    for (const EmbeddedModule::Parameter &parameter : module->parameters)
      pieces.push_back({parameter.offset, parameter.value->data});
    if (Error error = stage(".weights", pieces, module->weightsBytes))
      return error;
  }
  if (options.object) {
    Expected<SmallVector<char, 0>> object = nameSymbols(*module, session.getObject());
    if (!object)
      return object.takeError();
    ArrayRef<uint8_t> bytes = arrayRefFromStringRef(StringRef(object->data(), object->size()));
    if (Error error = stage(".o", {{0, bytes}}, bytes.size()))
      return error;
  }
  if (options.header) {
    std::string header = module->formatHeader();
    if (Error error = stage(".h", {{0, arrayRefFromStringRef(header)}}, header.size()))
      return error;
  }
  // Everything is on the disk: what can still go wrong is a name.
  for (size_t done = 0; done < files.size(); ++done)
    if (Error error = files[done].second->commit()) {
      for (const auto &[path, file] : ArrayRef(files).take_front(done))
        sys::fs::remove(cantFail(findDestination(path)));
      return error;
    }
  return Error::success();
}
