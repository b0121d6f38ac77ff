#!/usr/bin/env bash
# Prints Package or System: where TorchSharp and Microsoft.ML.Tokenizers come from.
# The environment's Backend decides; else whether the package feed carries both, asked once and kept in artifacts/backend.props.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

props=$artifacts/backend.props
keep() {
  mkdir -p "$artifacts"
  printf '<Project><PropertyGroup><Backend>%s</Backend></PropertyGroup></Project>\n' "$1" >"$props.$$"
  mv "$props.$$" "$props"
}

case ${Backend:-} in
  Package | System) echo "$Backend"; exit ;;
  '') ;;
  *) fail "Backend=$Backend in the environment: it is Package or System" ;;
esac
if [ -e "$props" ]; then
  sed -n 's:.*<Backend>\(.*\)</Backend>.*:\1:p' "$props"
  exit
fi

missing=$("$root/eng/find-missing-packages.sh" | paste -sd' ')
if [ -z "$missing" ]; then
  backend=Package
  say "the package feed carries TorchSharp and Microsoft.ML.Tokenizers: Backend=Package"
else
  backend=System
  say "the package feed lacks ${missing/ / and }: Backend=System, the in-repo assemblies over the machine's libtorch"
fi
keep $backend
echo $backend
