//===- Checkpoint.h - Tensors of quantized checkpoints ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Quantizers store one weight as several arrays of a safetensors file. Here they become one tensor
// with an encoding (docs/Numerics.md, "Storage", has the arrays):
//
//   P.qweight, P.qzeros, P.scales, P.g_idx   GPTQ and AWQ: tensor "P.qweight", [inputs, outputs].
//       An order of the inputs that is not that of the groups (act-order) is `permuted`. Whether
//       zero points are stored less 1 is said outside of these arrays: by "gptq_checkpoint_format"
//       in __metadata__, else by "checkpoint_format" or "format" in quantize_config.json or in the
//       "quantization_config" of config.json beside the file.
//   P.weight, P.weight.absmax, P.weight.quant_map, P.weight.quant_state.bitsandbytes__nf4 (or fp4),
//   P.weight.nested_absmax, P.weight.nested_quant_map   bitsandbytes: tensor "P.weight", in the
//       shape that quant_state has.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_ARCHIVE_CHECKPOINT_H
#define LOWBIT_LIB_ARCHIVE_CHECKPOINT_H

#include "lowbit/Archive/Archive.h"
#include "lowbit/Archive/Safetensors.h"
#include "llvm/ADT/StringSet.h"

namespace lowbit {

struct CheckpointTensor {
  TensorInfo info;
  /// In the encoding's order. Of an act-order tensor the second one has its rows in the order of
  /// the file still: see moveRows.
  std::vector<Component> components;
  unsigned movedBits = 0; ///< not 0: act-order, with codes of so many bits
  /// Names of the file's arrays that make it up.
  std::vector<std::string> arrays;
};

/// All such tensors of a file, in the order of their codes in it. One some of whose arrays are
/// missing is listed as not supported. Fails, naming file and byte, where arrays contradict each
/// other.
llvm::Expected<std::vector<CheckpointTensor>> readCheckpoint(const SafetensorsFile &file);

/// A component that owns its bytes.
Component makeOwned(std::string name, DType dtype, llvm::ArrayRef<int64_t> shape,
                    std::vector<uint8_t> bytes);

/// `words` [inputs * bits / 32, outputs], a stream of codes along the inputs, with the code of
/// input i at place `position` [inputs] says.
Component moveRows(const Component &position, const Component &words, unsigned bits);

/// A complaint about the tensor that begins with this array.
llvm::Error makeTensorError(const SafetensorsFile &file, const SafetensorsTensor &tensor,
                            const llvm::Twine &what);

/// "P.qweight" with what belongs to it; `zeroPoints` is "gptq" or "gptq_v2", asked for if needed.
llvm::Expected<CheckpointTensor>
readWords(const SafetensorsFile &file, const SafetensorsTensor &codes,
          llvm::function_ref<llvm::Expected<std::string>()> zeroPoints);

/// The tensor of a quant_state of bitsandbytes.
llvm::Expected<CheckpointTensor> readBitsandbytes(const SafetensorsFile &file,
                                                  const SafetensorsTensor &state);

} // namespace lowbit

#endif // LOWBIT_LIB_ARCHIVE_CHECKPOINT_H
