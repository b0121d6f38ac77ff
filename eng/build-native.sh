#!/usr/bin/env bash
# build-native.sh [OUTPUT [SOURCE]]: compiles the native half of SystemTorch, or SOURCE, against the libtorch found,
# into OUTPUT (default artifacts/native/libSystemTorch.so), when the source, the flags or the libtorch have changed.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output=${1:-$artifacts/native/libSystemTorch.so}
source=${2:-$root/src/SystemTorch/native/system_torch.cpp}
found=$("$root/eng/find-libtorch.sh") || fail "no libtorch with headers on this machine: run eng/setup.sh, or set LORA_LIBTORCH to a folder with include/ and lib/"
{ read -r include; read -r lib; read -r version; } <<<"$found"
headers=$include/torch/csrc/api/include

# Newer headers refuse anything below C++20.
standard=17
if grep -qs '202002L' "$headers/torch/all.h" "$include/c10/util/C++17.h" "$include/c10/macros/Macros.h"; then standard=20; fi

# Libraries built for the old C++ ABI name no __cxx11 string where an error is made.
abi=1
grep -aq 'N3c105Error[A-Za-z0-9_]*NSt7__cxx11' "$lib/libc10.so" || abi=0

flags=(-std="c++$standard" -O2 -fPIC -shared -fvisibility=hidden "-D_GLIBCXX_USE_CXX11_ABI=$abi")
case $include in
  /usr/include | /usr/local/include) ;; # the compiler looks there anyway, in its own order
  *) flags+=(-isystem "$include") ;;
esac
flags+=(-isystem "$headers")
links=("-L$lib" "-Wl,-rpath,$lib" "-Wl,--no-as-needed" -ltorch -ltorch_cpu -lc10 -ldl)

fingerprint=$({
  cat "$source"
  echo "${CXX:-g++} ${flags[*]} ${links[*]} $version"
  stat -L -c '%n %s %Y' "$lib/libtorch_cpu.so" "$lib/libc10.so"
} | sha256sum | cut -d' ' -f1)
if [ -e "$output" ] && [ "$(cat "$output.fingerprint" 2>/dev/null)" = "$fingerprint" ]; then exit; fi

say "compiling $(basename "$source") for libtorch $version in $lib (C++$standard)"
mkdir -p "$(dirname "$output")"
fresh=$output.$$
trap 'rm -f "$fresh"' EXIT
"${CXX:-g++}" "${flags[@]}" -o "$fresh" "$source" "${links[@]}" || fail "libtorch $version in $lib: $(basename "$source") does not compile (see above)"
mv "$fresh" "$output"
echo "$fingerprint" >"$output.fingerprint"
