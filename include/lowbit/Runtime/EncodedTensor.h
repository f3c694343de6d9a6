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

#ifndef LOWBIT_RUNTIME_ENCODEDTENSOR_H
#define LOWBIT_RUNTIME_ENCODEDTENSOR_H

#include "lowbit/Archive/Archive.h"
#include "lowbit/IR/LowbitAttrs.h"

#include <string>
#include <vector>

namespace lowbit {

/// An encoding from what people write: the text of an attribute. "f32" and "" are no encoding:
/// null, plain values. An error says where the text is wrong.
llvm::Expected<EncodingAttrInterface> readEncoding(llvm::StringRef text,
                                                   mlir::MLIRContext *context);

/// A component as the encoding wants it.
struct ComponentType {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape; ///< -1 where only the values decide

  bool isStatic() const;
};

/// The components of a tensor of this shape. Fails if the encoding does not fit the shape.
llvm::Expected<std::vector<ComponentType>> getComponentTypes(EncodingAttrInterface encoding,
                                                             llvm::ArrayRef<int64_t> shape);

/// A component that owns its bytes.
struct EncodedComponent {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<uint8_t> bytes;
};

/// Rounds values into components. Thread-safe, as the next two.
llvm::Expected<std::vector<EncodedComponent>> encodeValues(EncodingAttrInterface encoding,
                                                           llvm::ArrayRef<int64_t> shape,
                                                           llvm::ArrayRef<float> values);

/// Decodes stored components, which may come in any order.
llvm::Error decodeComponents(EncodingAttrInterface encoding, llvm::ArrayRef<int64_t> shape,
                             llvm::ArrayRef<Component> components,
                             llvm::MutableArrayRef<float> values);

/// Decodes a tensor of an archive; `encoding` is what readEncoding made of its text. Errors name
/// file and tensor.
llvm::Error decodeTensor(const Archive &archive, const TensorInfo &tensor,
                         EncodingAttrInterface encoding, llvm::MutableArrayRef<float> values);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_ENCODEDTENSOR_H
