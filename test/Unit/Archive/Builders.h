//===- Builders.h - Files for the tests of lib/Archive ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_UNIT_ARCHIVE_BUILDERS_H
#define LOWBIT_TEST_UNIT_ARCHIVE_BUILDERS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <string>
#include <vector>

namespace lowbit {

/// A folder that lives as long as a test.
class TemporaryFolder : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lowbit-archive", folder));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string pathOf(llvm::StringRef name) const {
    llvm::SmallString<128> path = folder;
    llvm::sys::path::append(path, name);
    return path.str().str();
  }
  std::string writeFile(llvm::StringRef name, llvm::StringRef bytes) const {
    std::string path = pathOf(name);
    // Some file systems flush a file that replaces its own content: slow, thousands of times.
    llvm::sys::fs::remove(path);
    std::error_code code;
    llvm::raw_fd_ostream os(path, code);
    EXPECT_FALSE(code) << code.message();
    os << bytes;
    return path;
  }
  static std::string readFile(llvm::StringRef path) {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    EXPECT_TRUE(bool(buffer));
    return buffer ? (*buffer)->getBuffer().str() : "";
  }
  /// The names in the folder, sorted.
  std::vector<std::string> list() const {
    std::vector<std::string> names;
    std::error_code code;
    for (llvm::sys::fs::directory_iterator it(folder, code), end; it != end && !code;
         it.increment(code))
      names.push_back(llvm::sys::path::filename(it->path()).str());
    std::sort(names.begin(), names.end());
    return names;
  }

  llvm::SmallString<128> folder;
};

/// The message of the error in `result`; "no error" if there is none.
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  if (result)
    return "no error";
  return llvm::toString(result.takeError());
}
inline std::string messageOf(llvm::Error error) {
  return error ? llvm::toString(std::move(error)) : "no error";
}

inline bool contains(llvm::StringRef text, llvm::StringRef part) { return text.contains(part); }

inline llvm::ArrayRef<uint8_t> bytesOf(llvm::StringRef text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}
inline std::string textOf(llvm::ArrayRef<uint8_t> bytes) {
  return std::string(bytes.begin(), bytes.end());
}

/// Little-endian bytes, appended one field at a time: a GGUF file, good or bad.
class Bytes {
public:
  Bytes &u8(uint8_t value) { return number(value, 1); }
  Bytes &u16(uint16_t value) { return number(value, 2); }
  Bytes &u32(uint32_t value) { return number(value, 4); }
  Bytes &u64(uint64_t value) { return number(value, 8); }
  Bytes &raw(llvm::StringRef bytes) {
    text += bytes.str();
    return *this;
  }
  /// A GGUF string: its length, then its bytes.
  Bytes &string(llvm::StringRef value) { return u64(value.size()).raw(value); }
  Bytes &fill(size_t count, uint8_t value) {
    text.append(count, static_cast<char>(value));
    return *this;
  }
  Bytes &align(size_t alignment) {
    text.resize((text.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }

  Bytes &header(uint64_t tensors, uint64_t keyValues, uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(tensors).u64(keyValues);
  }
  Bytes &keyU32(llvm::StringRef key, uint32_t value) { return string(key).u32(4).u32(value); }
  /// Dimensions in ggml's order, fastest first.
  Bytes &tensor(llvm::StringRef name, llvm::ArrayRef<uint64_t> dimensions, uint32_t type,
                uint64_t offset) {
    string(name).u32(static_cast<uint32_t>(dimensions.size()));
    for (uint64_t dimension : dimensions)
      u64(dimension);
    return u32(type).u64(offset);
  }

  const std::string &str() const { return text; }

private:
  Bytes &number(uint64_t value, unsigned size) {
    for (unsigned i = 0; i != size; ++i)
      text.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  std::string text;
};

/// A safetensors file of this JSON header, unpadded, and data.
inline std::string makeSafetensors(llvm::StringRef header, llvm::StringRef data) {
  return Bytes().u64(header.size()).raw(header).raw(data).str();
}

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_ARCHIVE_BUILDERS_H
