#!/usr/bin/env bash
# Sees to it that there is a C++ compiler, a libtorch with headers, and beside the system's libtorch a fast BLAS.
# Installs by apt what is missing when it may, else says which command does.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

found=$("$root/eng/find-libtorch.sh") || { code=$?; [ $code -eq 3 ] || exit $code; }

packages=()
[ -n "${CXX:-}" ] || command -v g++ >/dev/null || packages+=(g++)
[ -n "$found" ] || packages+=(libtorch-dev)
# Debian's own BLAS is the reference one, many times slower. What a Python environment or a download brings has its own inside.
case $found in
  '' | /usr/include*)
    if command -v dpkg-query >/dev/null && ! dpkg-query -W -f '${Status}\n' 'libopenblas0*' 2>/dev/null | grep -q '^install ok installed'; then
      packages+=(libopenblas0-openmp)
    fi ;;
esac

if [ ${#packages[@]} -gt 0 ]; then
  command="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
  command -v apt-get >/dev/null || fail "missing: ${packages[*]}. Install them, or set LORA_LIBTORCH to a folder with libtorch's include/ and lib/"
  [ "$(id -u)" -eq 0 ] || fail "missing: ${packages[*]}. Run: sudo sh -c '$command'   (or set LORA_LIBTORCH to a folder with libtorch's include/ and lib/)"
  say "installing ${packages[*]} by apt"
  mkdir -p "$artifacts"
  log=$artifacts/apt.log
  install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; }
  # Without package lists the first attempt fails at once; old lists may name files that are gone.
  install >"$log" 2>&1 || { apt-get update && install; } >>"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "apt could not install ${packages[*]} (all of its output is in $log)"
  }
fi

# A choice made by hand earlier may keep the reference BLAS in effect.
if command -v update-alternatives >/dev/null; then
  for name in libblas.so.3 liblapack.so.3; do
    link=$name-$(uname -m)-linux-gnu
    chosen=$(update-alternatives --query "$link" 2>/dev/null | awk '/^Value:/ { print $2 }') || true
    openblas=$(update-alternatives --list "$link" 2>/dev/null | grep -m1 openblas) || true
    case $chosen in
      */blas/"$name" | */lapack/"$name")
        [ -n "$openblas" ] || continue
        [ "$(id -u)" -eq 0 ] || { say "$name is the slow reference one; run: sudo update-alternatives --set $link $openblas"; continue; }
        update-alternatives --set "$link" "$openblas" >/dev/null
        say "$name is now $openblas" ;;
    esac
  done
fi
