//===- FuzzGGUF.cpp - The reader of GGUF files ----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckArchive.h"
#include "Require.h"
#include "Targets.h"
#include "lowbit/Archive/GGUF.h"

using namespace llvm;

namespace lowbit {

bool fuzzGGUF(ArrayRef<uint8_t> data) {
  Expected<std::unique_ptr<GGUFFile>> file =
      GGUFFile::open(MappedFile::fromMemory(inputName, data));
  if (!file) {
    checkRefusal(file.takeError(), data);
    return false;
  }
  for (const GGUFTensor &tensor : (*file)->getTensors()) {
    require(tensor.offset % (*file)->getAlignment() == 0,
            "a tensor lies on a multiple of the alignment");
    require(tensor.data.begin() == data.begin() + tensor.offset, "a tensor lies at its offset");
  }
  require(checkArchive(data), "a GGUF file is an archive");
  return true;
}

} // namespace lowbit
