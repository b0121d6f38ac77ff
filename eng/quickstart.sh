#!/usr/bin/env bash
# quickstart.sh [arguments of the sample]: sets up, then fine-tunes the embedded tiny model with the first sample.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/eng/setup.sh"
cd "$root"
exec dotnet run -c Release --project samples/01.FineTune -- "$@"
