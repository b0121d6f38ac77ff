#!/usr/bin/env bash
# count-tests.sh FOLDER: sums the test results (*.trx) beneath a folder as 'N passed, N failed, N skipped'.
set -euo pipefail

# The counters leave skipped tests out of "executed".
find "$1" -name '*.trx' -exec cat {} + 2>/dev/null | awk '
  function value(name) { return match($0, " " name "=\"[0-9]+\"") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : 0 }
  /<Counters / { passed += value("passed"); skipped += value("total") - value("executed"); failed += value("executed") - value("passed") }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }'
