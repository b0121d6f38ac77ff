#!/usr/bin/env bash
# check-libtorch.sh FOLDER [arguments of dotnet test]: builds SystemTorch against the libtorch in FOLDER (include/ and lib/) and runs its tests.
# Everything lies in artifacts/libtorch-check/VERSION: the ordinary build stays as it is.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -gt 0 ] || fail "which libtorch? give a folder with include/ and lib/, as a download of libtorch or a Python environment's site-packages/torch; /usr for the system's"
LORA_LIBTORCH=$(cd "$1" && pwd)
shift
export LORA_LIBTORCH Backend=System

version=$("$root/eng/find-libtorch.sh" | sed -n 3p)
[ -n "$version" ] || exit 1
work=$artifacts/libtorch-check/$version
"$root/eng/build-native.sh" "$work/native/libSystemTorch.so"

cd "$root"
rm -rf "$work/results"
code=0
dotnet test tests/SystemTorch.Tests -c Release --artifacts-path "$work/build" -p:NativeLibrary="$work/native/libSystemTorch.so" \
  --logger trx --logger 'console;verbosity=minimal' --results-directory "$work/results" "$@" || code=$?
echo "libtorch $version: $("$root/eng/count-tests.sh" "$work/results")"
exit $code
