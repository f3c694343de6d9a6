//===- Archive.h - Named, encoded tensors in a file -------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights live outside the IR: `lowbit.parameter` names a tensor of an archive.
// An archive is one of
//
//  * a GGUF file;
//  * a safetensors file from elsewhere: its F32, F16 and BF16 tensors, and those of integers. The
//    arrays in which GPTQ, AWQ and bitsandbytes store a weight are one encoded tensor, named as the
//    array with its codes ("P.qweight", [inputs, outputs]; "P.weight");
//  * a Lowbit archive: a safetensors file with encoded tensors. A tensor T with
//    components c, d is stored as "T::c" and "T::d", one whose array says it all
//    (encoding "", f16 or bf16; integers) as "T". "__metadata__" has
//      "lowbit.version": "1"
//      "lowbit.tensors": {"T": {"shape": [..], "encoding": "#lowbit...",
//                               "components": ["c", "d"]}, ...}
//      "lowbit.model":   the model's key-values, as Metadata::toJSON gives them
//    so that an encoded model is again a model.
//
// An encoding is text here, as the attribute is written in the IR, and empty for
// plain f32. The archive does not understand it; that is the dialect's job. A
// tensor of integers (positions, say) is read and copied as it is.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_ARCHIVE_H
#define LOWBIT_ARCHIVE_ARCHIVE_H

#include "lowbit/Archive/DType.h"
#include "lowbit/Archive/Metadata.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <vector>

namespace lowbit {

class MappedFile;
class StagedFile;

/// One array of a tensor's storage, in the mapped file: dense, row-major, little-endian. `data` is
/// aligned to its elements in an archive written here; files from elsewhere need not keep to that.
/// What a file from elsewhere has in another form, as an order of rows, is made on demand.
struct Component {
  /// "values" for plain f32 and integers, "codes" for f16 and bf16; otherwise the name that the
  /// encoding's layout gives it ("codes.0", "scale", "blocks").
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape;
  llvm::ArrayRef<uint8_t> data;
  std::shared_ptr<const void> owner = nullptr; ///< of `data` where that is not in the mapped file
};

struct TensorInfo {
  std::string name;
  llvm::SmallVector<int64_t, 4> shape; ///< of the decoded tensor, row-major
  /// The attribute's text; "" for plain f32 and for integers. Meaningless if not `supported`.
  std::string encoding;
  /// False for a tensor that can be listed but not used: a type without an encoding.
  bool supported;
  /// What the file calls the type: "ggml Q4_K", "safetensors I32", "GPTQ", "lowbit".
  std::string storedAs;
  uint64_t bytes; ///< of all components
  uint64_t elements;
  /// What the elements are if they are integers or truth values, which have no encoding.
  std::optional<DType> integers;
  /// True for arrays of a quantized layer whose others are not in this file. Not `supported`.
  bool isPart = false;

  double getBitsPerWeight() const { return elements ? 8.0 * double(bytes) / double(elements) : 0; }
  /// For people: "f32", "i64", the encoding's text, or "ggml Q4_K (not supported)".
  std::string describeEncoding() const;
};

class Archive {
public:
  /// Opens a file of any of the three kinds, told apart by their first bytes.
  static llvm::Expected<std::unique_ptr<Archive>> open(llvm::StringRef path);
  static llvm::Expected<std::unique_ptr<Archive>> open(std::unique_ptr<MappedFile> file);
  virtual ~Archive();

  llvm::StringRef getPath() const { return path; }
  /// "GGUF 3", "safetensors", "Lowbit 1".
  llvm::StringRef getFormat() const { return format; }
  llvm::ArrayRef<TensorInfo> tensors() const { return infos; }
  const TensorInfo *lookup(llvm::StringRef name) const;
  /// As lookup, but a missing tensor is an error, with the nearest name as a hint.
  llvm::Expected<const TensorInfo *> find(llvm::StringRef name) const;

  /// `tensor` must be one of tensors(). Both fail, naming file and tensor, if it is not supported,
  /// and so does getEncoding for integers.
  llvm::Expected<llvm::StringRef> getEncoding(const TensorInfo &tensor) const;
  llvm::Expected<std::vector<Component>> getComponents(const TensorInfo &tensor) const;

  /// The model's key-values; empty for a safetensors file from elsewhere.
  virtual const Metadata &metadata() const = 0;
  llvm::json::Value metadataAsJson() const { return metadata().toJSON(); }

  /// Hints for the tensor's pages: about to be read; not needed for now.
  void willNeed(const TensorInfo &tensor) const;
  void release(const TensorInfo &tensor) const;

protected:
  Archive(llvm::StringRef path, std::string format) : path(path), format(std::move(format)) {}
  void addTensor(TensorInfo info);
  virtual std::vector<Component> makeComponents(size_t index) const = 0;
  /// The bytes of the mapped file that hold a tensor.
  virtual std::vector<llvm::ArrayRef<uint8_t>> getMapped(size_t index) const = 0;
  virtual const MappedFile &getFile() const = 0;

private:
  llvm::Error makeUnsupportedError(const TensorInfo &tensor) const;

  std::string path;
  std::string format;
  std::vector<TensorInfo> infos;
  llvm::StringMap<size_t> index;
};

/// Writes an archive, one component at a time; nothing is visible under `path` before commit().
/// Component bytes come in the order of declaration and may come in pieces.
///
/// A name that ends in .gguf makes a GGUF file, which holds plain f32, f16 and bf16 and the
/// encodings with a layout of ggml; every other name makes a Lowbit archive, which holds all.
class ArchiveWriter {
public:
  struct ComponentDeclaration {
    std::string name;
    DType dtype;
    llvm::SmallVector<int64_t, 4> shape;
  };
  struct TensorDeclaration {
    std::string name;
    llvm::SmallVector<int64_t, 4> shape;
    std::string encoding; ///< "" for plain f32 or integers
    std::vector<ComponentDeclaration> components;
  };

  /// `model`, which may be empty, is written as it is, but for two keys in a GGUF file that
  /// describe its tensors: "general.file_type" is the type of most elements,
  /// "general.quantization_version" that of ggml's block structs. Fails for duplicate names and for
  /// what check() refuses.
  static llvm::Expected<std::unique_ptr<ArchiveWriter>>
  create(llvm::StringRef path, llvm::ArrayRef<TensorDeclaration> tensors, const Metadata &model);
  /// Whether the kind of file that `path` names can hold this tensor; the error names it and says
  /// what would be right. Also before the extents of all components are known (then -1). Fails for
  /// a tensor without components, for arrays that contradict a plain, f16 or bf16 encoding or the
  /// blocks of ggml, and for a GGUF file also for an encoding, shape or name that it cannot have.
  static llvm::Error check(llvm::StringRef path, const TensorDeclaration &tensor);
  ~ArchiveWriter();

  llvm::Error append(llvm::ArrayRef<uint8_t> bytes);
  llvm::Error commit();

private:
  explicit ArchiveWriter(std::unique_ptr<StagedFile> file);
  std::unique_ptr<StagedFile> file;
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_ARCHIVE_H
