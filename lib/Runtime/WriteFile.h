//===- WriteFile.h - All of a file, or none of it ---------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_WRITEFILE_H
#define LOWBIT_RUNTIME_WRITEFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace lowbit {

/// Writes the pieces, one after the other, under a temporary name beside the destination of `path`,
/// then renames.
llvm::Error writeFile(llvm::StringRef path, llvm::ArrayRef<llvm::StringRef> pieces);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_WRITEFILE_H
