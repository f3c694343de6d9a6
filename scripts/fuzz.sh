#!/usr/bin/env bash
# Fuzzes the readers of untrusted input: builds the preset `fuzz` and runs each target for a while.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]    SECONDS for each target (default 600); all targets by default
#
# Targets: gguf, safetensors, directory, encoding, bytecode (test/Fuzz/Targets.h). What they learn stays in
# build-fuzz/corpus/TARGET and is used again; inputs that crash, hang or leak go to build-fuzz/findings/TARGET.
# The exit status is 0 only if there are none. To look at one: build-fuzz/bin/lowbit-fuzz-TARGET FILE.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=600
case ${1:-} in
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  [0-9]*)
    seconds=$1
    shift
    ;;
esac
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "fuzz: error: SECONDS is a number of at least 1, not '$seconds'" >&2
  exit 2
fi
known=(gguf safetensors directory encoding bytecode)
targets=("$@")
[ $# -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  if ! [[ " ${known[*]} " == *" $target "* ]]; then
    echo "fuzz: error: unknown target '$target'; known: ${known[*]}" >&2
    exit 2
  fi
done

cmake --preset fuzz >/dev/null && cmake --build --preset fuzz || exit 1

# The longest input that is worth the time: longer ones repeat what shorter ones say.
declare -A longest=([gguf]=2048 [safetensors]=2048 [directory]=2048 [encoding]=512 [bytecode]=4096)
# MLIR's bytecode reader allocates what a count says (see test/Fuzz/MutateBytecode.cpp): such inputs are kept, but are
# no findings of ours.
declare -A options=([bytecode]="-cross_over=0 -fork=1 -ignore_ooms=1")
status=0
for target in "${targets[@]}"; do
  findings=build-fuzz/findings/$target corpus=build-fuzz/corpus/$target
  regressions=test/Fuzz/regressions/$target
  mkdir -p "$findings" "$corpus"
  printf '\n==> %s: %s seconds\n' "$target" "$seconds"
  seeds=("build-fuzz/test/Fuzz/seeds/$target")
  [ ! -d "$regressions" ] || seeds+=("$regressions")
  # shellcheck disable=SC2086
  "build-fuzz/bin/lowbit-fuzz-$target" "$corpus" "${seeds[@]}" ${options[$target]:-} \
    "-artifact_prefix=$findings/" "-dict=test/Fuzz/dictionaries/$target.dict" \
    "-max_total_time=$seconds" "-max_len=${longest[$target]}" -timeout=10 -rss_limit_mb=2048 \
    -use_value_profile=1 -print_final_stats=1 >"build-fuzz/$target.log" 2>&1
  result=$?
  grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "build-fuzz/$target.log" || true
  # Where they are kept but do not count, memory that a count asked for is all that there may be.
  if [ $result -ne 0 ] && [[ ${options[$target]:-} == *-ignore_ooms=1* ]] &&
    ! find "$findings" -type f ! -name 'oom-*' | grep -q .; then
    result=0
  fi
  if [ $result -ne 0 ]; then
    status=1
    grep -m 3 -E 'ERROR:|SUMMARY:|runtime error:|broken promise:' "build-fuzz/$target.log" || true
    echo "fuzz: $target has found something: see $findings and build-fuzz/$target.log" >&2
  fi
done
exit $status
