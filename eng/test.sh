#!/usr/bin/env bash
# test.sh [arguments of dotnet test]: sets up, builds, and runs every test; the last line is 'N passed, N failed, N skipped'.
#   ./eng/test.sh --filter Golden=B
# Environment: LORA_TEST_DEVICE (cpu, cuda), LORA_GOLDEN_DIR (a folder of golden cases), LORA_LIBTORCH, Backend.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/eng/setup.sh"
cd "$root"
dotnet build Lora.sln -c Release -v quiet || fail "the solution does not build"

exact_on_cuda
results=$artifacts/test-results
rm -rf "$results"
code=0
for project in tests/*/*.Tests.csproj; do
  dotnet test "$project" -c Release --no-build --logger trx --logger 'console;verbosity=minimal' \
    --results-directory "$results/$(basename "$project" .csproj)" "$@" || code=$?
done

mkdir -p "$results"
counts=$("$root/eng/count-tests.sh" "$results")
case " $* " in
  *' --filter'*) ;;
  *) if [ "$counts" = '0 passed, 0 failed, 0 skipped' ]; then say 'no test ran'; code=1; fi ;;
esac
case $counts in
  *' 0 failed'*) if [ $code -ne 0 ]; then say "dotnet test ended with code $code"; fi ;;
  *) if [ $code -eq 0 ]; then code=1; fi ;;
esac
echo "$counts"
exit $code
