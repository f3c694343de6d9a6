#!/usr/bin/env bash
# Formats every tracked source: C and C++ by clang-format (.clang-format), Python by black.
#
#   scripts/format.sh            rewrites files
#   scripts/format.sh --check    rewrites nothing; lists what would change, and fails if anything would
#
# clang-format: $CLANG_FORMAT, else the newest of those installed. black is in .venv (scripts/setup.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check=
case ${1:-} in
  "") ;;
  --check) check=yes ;;
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *)
    echo "format: error: unknown option '$1' (see --help)" >&2
    exit 2
    ;;
esac

clang_format=${CLANG_FORMAT:-}
for candidate in clang-format-22 clang-format clang-format-14; do
  [ -n "$clang_format" ] || clang_format=$(command -v "$candidate" || true)
done
if [ -z "$clang_format" ]; then
  echo "format: error: clang-format is not installed: apt-get install clang-format-22" >&2
  exit 1
fi
black=.venv/bin/black
[ -x "$black" ] || black=$(command -v black || true)

status=0
git ls-files -z '*.c' '*.cpp' '*.h' |
  xargs -0 "$clang_format" --style=file ${check:+--dry-run --Werror} -i || status=1
if [ -n "$black" ]; then
  git ls-files -z '*.py' '*.pyi' |
    xargs -0 "$black" --quiet --line-length 100 --target-version py311 ${check:+--check} || status=1
else
  echo "format: Python left alone: black is not installed" >&2
fi
exit $status
