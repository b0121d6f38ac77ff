#!/usr/bin/env bash
# run.sh [arguments of BenchmarkDotNet | interleaved]: sets up, builds, and runs the benchmarks on one thread.
#   benchmarks/run.sh --filter '*LoraLinear*'             the table of one class
#   benchmarks/run.sh interleaved                         operator calls from C++ and C#, in turns of a fraction of a millisecond
#   benchmarks/run.sh checkpointing                       memory and time of training steps whose blocks run twice, and of the loss in chunks
#   benchmarks/run.sh generation FOLDER                 tokens a second with the cache and without
#   benchmarks/run.sh serve                               answers the tasks of peers/torch_lora.py, for the drivers in peers/
#   benchmarks/run.sh --job Dry --inProcess --filter '*'  every benchmark once: that they still run
set -euo pipefail
# shellcheck source=../eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../eng/common.sh"

"$root/eng/setup.sh"
# With the packages there are no headers to compile against: the benchmarks of calls from C++ fail then, and the others run.
[ "$("$root/eng/choose-backend.sh")" = Package ] || "$root/eng/build-native.sh" "$artifacts/native/libOperatorCalls.so" "$root/benchmarks/native/operator_calls.cpp"
cd "$root"
dotnet build benchmarks/Lora.Benchmarks -c Release -v quiet || fail "the benchmarks do not build"

mkdir -p "$artifacts/benchmarks"
cd "$artifacts/benchmarks"
export OMP_NUM_THREADS=1
exec dotnet "$root/benchmarks/Lora.Benchmarks/bin/Release/net10.0/Lora.Benchmarks.dll" "$@"
