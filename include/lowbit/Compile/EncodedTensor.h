//===- EncodedTensor.h - Encodes and decodes arrays -------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Between f32 values and stored components, by the scalar reference of an
// encoding. Whatever a file says is checked against the encoding first.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_ENCODEDTENSOR_H
#define LOWBIT_COMPILE_ENCODEDTENSOR_H

#include "lowbit/Archive/Archive.h"

#include <memory>
#include <string>
#include <vector>

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace lowbit {

struct FeedbackOptions;

/// A component as an encoding wants it.
struct ComponentType {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape; ///< -1 where only the values decide

  bool isStatic() const;
};

/// A component that owns its bytes.
struct EncodedComponent {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<uint8_t> bytes;
};

/// An encoding of an EncodingContext, which must outlive it; by default plain f32 values. The
/// methods may be called from several threads.
class TensorEncoding {
public:
  TensorEncoding() = default;
  /// As the IR prints it, so that an encoding has one text; "" for plain values.
  std::string str() const;

  /// The components of a tensor of this shape. Fails if the encoding does not fit the shape.
  llvm::Expected<std::vector<ComponentType>> getComponents(llvm::ArrayRef<int64_t> shape) const;
  /// The bytes of all components of a tensor of this shape, exactly; nothing where only the values
  /// decide. Fails if the encoding does not fit the shape.
  llvm::Expected<std::optional<uint64_t>> getBytes(llvm::ArrayRef<int64_t> shape) const;
  /// Per axis: at multiples of this a tensor can be cut into parts that are encoded by themselves;
  /// -1: nowhere along this axis. Fails if the encoding does not fit the shape (-1: any extent).
  llvm::Expected<llvm::SmallVector<int64_t>>
  getEncodeMultiples(llvm::ArrayRef<int64_t> shape) const;
  /// Rounds row-major values into components. `destination`: scales and zero points, where the rule
  /// `given` keeps them.
  llvm::Expected<std::vector<EncodedComponent>>
  encode(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values,
         llvm::ArrayRef<Component> destination = {}) const;
  /// Rounds them with learned levels of least weighted squared error; `weights`, none below 0, are
  /// of the elements. Fails for encodings without learned levels.
  llvm::Expected<std::vector<EncodedComponent>> encodeWeighted(llvm::ArrayRef<int64_t> shape,
                                                               llvm::ArrayRef<float> values,
                                                               llvm::ArrayRef<float> weights) const;
  /// The same so that products with inputs of these second moments [columns, columns] change least
  /// (lowbit/Quantize/ErrorFeedback.h), and the error that is left, of the values as they decode.
  /// Fails for encodings that are not taken column by column.
  llvm::Expected<std::pair<std::vector<EncodedComponent>, double>>
  encodeWithFeedback(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values,
                     llvm::ArrayRef<double> moments, const FeedbackOptions &options) const;
  /// Decodes stored components, which may come in any order. bf16 may come as u16, codes as i8.
  llvm::Error decode(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<Component> components,
                     llvm::MutableArrayRef<float> values) const;
  /// Checks components before compiled code reads them, which trusts them: their extents, and the
  /// structure by which it finds its way. `type` are the extents that the code was compiled for, -1
  /// where any will do, and `shape` those of the tensor.
  llvm::Error verify(llvm::ArrayRef<int64_t> type, llvm::ArrayRef<int64_t> shape,
                     llvm::ArrayRef<Component> components) const;
  /// Decodes a tensor of an archive, whose encoding this is. Errors name file and tensor.
  llvm::Error decode(const Archive &archive, const TensorInfo &tensor,
                     llvm::MutableArrayRef<float> values) const;

private:
  friend class EncodingContext;
  explicit TensorEncoding(const void *attribute) : attribute(attribute) {}
  const void *attribute = nullptr; // an MLIR attribute's storage
};

/// Understands the texts of encodings.
class EncodingContext {
public:
  EncodingContext();
  ~EncodingContext();

  /// What people write: the text of an attribute; "f32" or "" for plain values. An error says where
  /// the text is wrong.
  llvm::Expected<TensorEncoding> read(llvm::StringRef text);
  /// The encoding of a tensor of an archive.
  llvm::Expected<TensorEncoding> read(const Archive &archive, const TensorInfo &tensor);

private:
  std::unique_ptr<mlir::MLIRContext> context;
};

} // namespace lowbit

#endif // LOWBIT_COMPILE_ENCODEDTENSOR_H
