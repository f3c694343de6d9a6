#!/usr/bin/env bash
# Expands the byte model (docs/ByteModel.md) from models/ into the cache folder, once, and prints the
# path of its GGUF. The same model as safetensors, byte-model.safetensors, and the text that it was not
# trained on, byte-model-held-out.txt, lie beside it. The cache folder is $LOWBIT_CACHE, else lowbit/ in
# $XDG_CACHE_HOME or ~/.cache. Needs .venv, but no network.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${LOWBIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lowbit}
sums=$root/models/byte-model.sha256

matches() { (cd "$1" && sha256sum --check --status --strict "$sums" 2>/dev/null); }

mkdir -p "$cache"
if ! matches "$cache"; then
  folder=$(mktemp -d "$cache/expand.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  "$root/.venv/bin/python" "$root/scripts/byte_model.py" "$folder"
  matches "$folder" || {
    printf 'get-byte-model: error: what models/ expands to is not what %s says\n' "$sums" >&2
    exit 1
  }
  mv "$folder"/* "$cache" # same file system: each file whole or not at all
fi
echo "$cache/byte-model.gguf"
