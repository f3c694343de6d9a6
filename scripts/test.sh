#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: GoogleTest programs, lit, pytest. The last line
# is "N passed, N failed"; the exit status is 0 only if none failed. Safe to repeat. The reports stay in
# build/test/results.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n\033[1m==>\033[0m %s\n' "$*"; }

scripts/setup.sh
model=$(scripts/get-smollm2.sh)
scripts/get-minilm.sh >/dev/null
LOWBIT_CACHE=$(dirname "$model")
export LOWBIT_CACHE
scripts/get-byte-model.sh >/dev/null

results=$root/build/test/results
rm -rf "$results"
mkdir -p "$results"
suites=()

# suite NAME REPORT COMMAND…: runs it, whatever comes of it; it writes its report to $results/REPORT.
suite() {
  local name=$1 report=$results/$2 status=0
  shift 2
  say "$name"
  timeout --kill-after=10 3300 "$@" || status=$?
  suites+=("$name:$status:$report")
}

shopt -s nullglob
programs=(build/test/unit/*Tests)
if [ ${#programs[@]} = 0 ]; then
  suites+=("unit:0:$results/unit.xml") # no program is a failure, not a pass
fi
for program in "${programs[@]}"; do
  name=$(basename "$program")
  suite "$name" "$name.xml" "$program" --gtest_brief=1 "--gtest_output=xml:$results/$name.xml"
done
suite lit lit.json \
  /usr/lib/llvm-22/bin/lit -v --no-progress-bar --output "$results/lit.json" build/test
# One process for each core. Each of them has threads of its own, which had better sleep when they wait; numpy's do not.
suite pytest pytest.xml \
  env KMP_USE_YIELD=1 KMP_BLOCKTIME=0 OPENBLAS_NUM_THREADS=1 \
  .venv/bin/python -m pytest -q -rs -n auto "--junitxml=$results/pytest.xml" test/python

say "summary"
.venv/bin/python scripts/summarize-tests.py "${suites[@]}"
