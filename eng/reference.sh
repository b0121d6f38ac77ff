#!/usr/bin/env bash
# Writes src/*/PublicApi.txt and docs/api anew from the libraries as they are. ReferenceTests fail where that was forgotten.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/eng/setup.sh"
cd "$root"
dotnet run --project eng/Reference -c Release
