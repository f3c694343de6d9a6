#!/usr/bin/env bash
# get-ggml.sh [--llama]
# Builds ggml, which benchmarks compare with, for this machine: its base and its CPU back end as shared libraries
# in the cache folder, once, and prints the path of their folder; with --llama libllama, too, into a folder of its
# own. The source is that of llama.cpp in the sdist of llama-cpp-python on PyPI (benchmarks/requirements-ggml.txt).
# Compiled by clang-22 with all the processor has, its kernels for repacked weights and LLVM's OpenMP: the pool of
# threads that Lowbit's code runs on, too.
# The cache folder is $LOWBIT_CACHE, else lowbit/ in $XDG_CACHE_HOME or ~/.cache. Needs .venv (or $PYTHON).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${LOWBIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lowbit}
python=${PYTHON:-$root/.venv/bin/python}
pin=$root/benchmarks/requirements-ggml.txt

options=(
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22
  -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN"
  -DGGML_NATIVE=ON -DGGML_CPU_REPACK=ON -DGGML_LLAMAFILE=ON -DGGML_OPENMP=ON -DGGML_CCACHE=OFF
  -DOpenMP_C_FLAGS=-fopenmp=libomp -DOpenMP_CXX_FLAGS=-fopenmp=libomp
)

fail() {
  printf 'get-ggml: error: %s\n' "$1" >&2
  printf 'get-ggml: hint: %s\n' "$2" >&2
  exit 1
}

case "$*" in
'') name=ggml target=ggml-cpu ;; # with ggml-base
--llama) name=llama target=llama ;; # with all of ggml
*) fail "'$*' is not an option" "there is only --llama" ;;
esac

# Code for this processor only, by this compiler.
identity=$(
  grep -v '^#' "$pin"
  printf '%s\n' "${options[@]}"
  clang-22 --version | head -1
  lscpu | grep -E '^(Architecture|Model name|Flags)'
)
result=$cache/$name-$(sha256sum <<<"$identity" | cut -c 1-12)

uses_only_libomp() { # by all that its libraries load
  local loaded
  loaded=$(ldd "$1/libggml-cpu.so" | grep -oE 'lib(g|i)?omp[0-9]*\.so[.0-9]*' | sort -u)
  [ "$loaded" = libomp.so.5 ]
}

if ! [ -f "$result/build-options.txt" ]; then
  command -v clang++-22 cmake ninja >/dev/null ||
    fail "clang++-22, cmake and ninja are needed to build $name" "scripts/setup.sh installs them"
  mkdir -p "$cache"
  folder=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  printf '==> building %s from the source in %s\n' "$name" "$(grep -o '^[^# ]*' "$pin")" >&2
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --no-binary llama-cpp-python --dest "$folder" --requirement "$pin" >&2
  mkdir "$folder/source"
  tar -xzf "$folder"/llama_cpp_python-*.tar.gz -C "$folder/source" --strip-components=3 \
    --wildcards '*/vendor/llama.cpp'
  {
    cmake -G Ninja -S "$folder/source" -B "$folder/build" "${options[@]}" \
      -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_APP=OFF && # programs that nobody asks for
      nice -n 10 cmake --build "$folder/build" --parallel 2 --target "$target"
  } >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log" >&2
    fail "$name does not build (the end of its log is above)" "clang-22 and libomp-22-dev must be installed"
  }
  mkdir -p "$folder/result/include"
  cp -P "$folder"/build/bin/lib*.so* "$folder/result/"
  cp "$folder"/source/{include,ggml/include}/*.h "$folder/result/include/"
  uses_only_libomp "$folder/result" ||
    fail "this $name would bring an OpenMP library of its own" "install libomp-22-dev"
  printf '%s\n' "$identity" >"$folder/result/build-options.txt"
  rm -rf "$result"
  mv "$folder/result" "$result" # same file system: all or nothing
fi
echo "$result"
