#!/usr/bin/env bash
# Makes the solution ready to build: checks the SDK, chooses the backend, and for Backend=System installs and compiles what it needs.
# Can be repeated; quick when nothing is to do. Delete artifacts/ to have everything asked again.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' "$root/global.json")
command -v dotnet >/dev/null || fail "dotnet is not on the path: install the .NET SDK $wanted or a later 10.0 one"
(cd "$root" && dotnet --version >/dev/null 2>&1) || fail "global.json asks for the .NET SDK $wanted or a later 10.0 one; installed: $(dotnet --list-sdks | cut -d' ' -f1 | paste -sd' ')"

backend=$("$root/eng/choose-backend.sh")
if [ "$backend" = System ]; then
  "$root/eng/install-libtorch.sh"
  "$root/eng/build-native.sh"
fi
