#!/usr/bin/env bash
# Runs a real language model through Lowbit: gets SmolLM2-135M, compiles it as it is and generates
# text; encodes its weights in two other ways and does the same; ends with a table of what each costs
# and gives.
#
#   scripts/demo.sh [--perplexity-tokens N]     N: how much of the test text to read (default 1024)
#
# Safe to repeat. The encoded models stay in build/demo, the download in a cache (get-smollm2.sh).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

perplexity_tokens=1024
while [ $# -gt 0 ]; do
  case $1 in
    --perplexity-tokens)
      perplexity_tokens=${2:-}
      shift $(($# > 1 ? 2 : 1))
      ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    *)
      echo "demo: error: unknown option '$1' (see --help)" >&2
      exit 2
      ;;
  esac
done
if ! [[ $perplexity_tokens =~ ^[0-9]+$ ]] || [ "$perplexity_tokens" -lt 2 ]; then
  echo "demo: error: --perplexity-tokens takes a number of at least 2" >&2
  exit 2
fi

text=/usr/share/common-licenses/Artistic
prompt="Once upon a time"
lowbit=$root/.venv/bin/lowbit
results=build/demo

say() { printf '\n\033[1m==>\033[0m %s\n' "$*"; }

scripts/setup.sh
model=$(scripts/get-smollm2.sh)
mkdir -p "$results"
rm -f "$results"/*.json

# measure NAME MODEL: text, speed, size and perplexity, into $results/NAME.*.json
measure() {
  say "generating with $1"
  "$lowbit" generate "$2" --prompt "$prompt" --tokens 48 --json >"$results/$1.generate.json"
  # On a terminal the text has been shown as it grew.
  [ -t 2 ] || .venv/bin/python - "$prompt" "$results/$1.generate.json" <<'SHOW'
import json, sys

with open(sys.argv[2]) as file:
    print(sys.argv[1] + json.load(file)["text"])
SHOW
  say "perplexity of the first $perplexity_tokens tokens of $text"
  "$lowbit" perplexity "$2" --text "$text" --max-tokens "$perplexity_tokens" --json \
    >"$results/$1.perplexity.json"
  cat "$results/$1.perplexity.json"
  "$lowbit" inspect "$2" --json >"$results/$1.inspect.json"
}

# encode NAME ENCODING
encode() {
  say "encoding all weights as $2"
  "$lowbit" encode "$model" --weights "$2" --output "$results/$1.safetensors"
}

say "the model: $model"
"$lowbit" inspect "$model" | sed -n '1,6p;$p'
measure original "$model"

nf4='#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>'
encode nf4 "$nf4"
measure nf4 "$results/nf4.safetensors"

int8='#lowbit.quantized<int<8>, scale = f32 per axis 0>'
encode int8 "$int8"
measure int8 "$results/int8.safetensors"

say "in short"
original='as in the file (q4_1, embedding q8_0)'
.venv/bin/python - "$results" original "$original" nf4 "$nf4" int8 "$int8" <<'TABLE'
import json, sys

folder, *pairs = sys.argv[1:]
rows = [("encoding", "megabytes", "perplexity", "tokens/s")]
for name, encoding in zip(pairs[::2], pairs[1::2]):
    def read(what):
        with open(f"{folder}/{name}.{what}.json") as file:
            return json.load(file)

    megabytes = read("inspect")["totals"]["bytes"] / 1e6
    perplexity = read("perplexity")["perplexity"]
    speed = read("generate")["tokens_per_second"]
    rows.append((encoding, f"{megabytes:.1f}", f"{perplexity:.2f}", f"{speed:.1f}"))
width = [max(len(row[column]) for row in rows) for column in range(4)]
for row in rows:
    print("  ".join([row[0].ljust(width[0]), *map(str.rjust, row[1:], width[1:])]))
TABLE
