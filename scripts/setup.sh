#!/usr/bin/env bash
# Makes a Debian 12 machine ready and builds Lowbit: Debian packages, the Python environment .venv,
# tools in build/bin, the Python package in build/python. Does only what is missing; safe to repeat.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() {
  printf 'setup: error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'setup: hint: %s\n' "$2" >&2
  exit 1
}

packages=(
  llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools clang-22 lld-22
  libomp-22-dev libclang-rt-22-dev
  cmake ninja-build libeigen3-dev libgtest-dev zlib1g-dev libzstd-dev python3-venv python3-dev ca-certificates
)
# Code for arm64: headers and libraries, which the build and C programs need, and an emulator for the tests.
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
  packages+=(libc6-dev-arm64-cross libgcc-12-dev-arm64-cross libstdc++-12-dev-arm64-cross qemu-user)
fi

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() {
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "apt-get $1 did not succeed (its words are above)" "check the network and the apt sources"
  fi
  rm -f "$log"
}

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then
    return
  fi

  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    fail "these Debian packages are missing, and there is no sudo: ${missing[*]}" \
      "run this script as root once"
  say "installing Debian packages: ${missing[*]}"
  apt_get update
  if ! apt-get --simulate -qq install --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    # LLVM 22 comes to Debian 12 in its security archive, which a bare debootstrap does not list.
    [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] ||
      fail "apt cannot install these packages, and this is not Debian 12 (bookworm): ${missing[*]}" \
        "add an apt source for LLVM and MLIR 22.1, then run this script again"
    local list=/etc/apt/sources.list.d/bookworm-security.list
    say "apt does not have all of them: adding Debian's security archive in $list"
    echo 'deb http://deb.debian.org/debian-security bookworm-security main' |
      as_root tee "$list" >/dev/null
    apt_get update
  fi
  apt_get install -y --no-install-recommends "${missing[@]}"
}

make_environment() {
  # Debian's own Python by its full path: another one may come first in PATH and lack the C headers.
  local python=/usr/bin/python3 stamp
  if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "making the Python environment .venv"
    "$python" -m venv --clear .venv
  fi
  stamp=$(cat python/requirements*.txt python/constraints.txt | sha256sum)
  if [ "$(cat .venv/requirements.sha256 2>/dev/null)" != "$stamp" ]; then
    say "installing Python packages into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
      -c python/constraints.txt -r python/requirements-dev.txt >&2
    echo "$stamp" >.venv/requirements.sha256
  fi

  local site
  site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "$root/build/python" >"$site/lowbit.pth"
  cat >.venv/bin/lowbit <<EOF
#!$root/.venv/bin/python
from lowbit.cli import main

raise SystemExit(main())
EOF
  chmod +x .venv/bin/lowbit
}

build() {
  say "building (tools in build/bin)"
  cmake --preset release -DLOWBIT_ENABLE_PYTHON=ON \
    -DPython_EXECUTABLE="$root/.venv/bin/python" >/dev/null # errors and warnings go to stderr
  cmake --build build --parallel "$(nproc)" >&2
}

[ -e /etc/debian_version ] || fail "this script installs Debian packages, and this system is not Debian" \
  "see CONTRIBUTING.md for what to install by hand"
install_packages
make_environment
build
say "ready: build/bin and .venv/bin/lowbit"
