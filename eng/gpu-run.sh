#!/usr/bin/env bash
# gpu-run.sh: the test suites and benchmarks on a machine that has a Python torch, the compiler g++ and no .NET, such as a rented one with a GPU.
#   gpu-run.sh pack [ARCHIVE]                 here: builds, and packs the checkout, what was built and the .NET runtime into artifacts/gpu-run.tar.xz
#   gpu-run.sh test [SUITE…] [-- ARGUMENTS]   there, in the unpacked folder: builds the native half against torch and runs all suites, or those named,
#                                             as Lora.Tests; the arguments are the xUnit runner's (-? lists them). The last line is the count.
#   gpu-run.sh bench [ARGUMENTS]              there: runs the benchmarks, then ours and PEFT itself in turns where that Python has PEFT and transformers; the arguments are those of
#                                             benchmarks/run.sh, whose tables by name (interleaved, checkpointing, …) come alone.
#                                             The exit code is not 0 where a benchmark failed or an aim against PEFT was missed
#   gpu-run.sh bench peft [ARGUMENTS]         there: ours and PEFT itself alone; the arguments are those of benchmarks/peers/compare.py --peft. The table is in artifacts/benchmarks/peft.md
# Environment there: PYTHON (python3), LORA_LIBTORCH (that Python's torch), LORA_TEST_DEVICE (cuda where torch finds one, else cpu), LORA_GOLDEN_DIR.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

limit_mib=64
runtime=$artifacts/gpu-run/dotnet
suites() { (cd "$root/tests" && for project in */*.Tests.csproj; do basename "$project" .csproj; done); }
built() { echo "$1/bin/Release/net10.0"; }

# The .NET runtime that builds, as a folder that works by itself: the host, and one shared framework.
copy_runtime() {
  local home version
  read -r version home < <(dotnet --list-runtimes | sed -n 's/^Microsoft\.NETCore\.App \(10\.0\.[^ ]*\) \[\(.*\)\/shared\/Microsoft\.NETCore\.App\]$/\1 \2/p' | sort -V | tail -n 1)
  [ -n "${home:-}" ] || fail "dotnet --list-runtimes names no Microsoft.NETCore.App 10.0"
  mkdir -p "$1/host/fxr" "$1/shared/Microsoft.NETCore.App"
  cp "$home/dotnet" "$home"/LICENSE.txt "$home"/ThirdPartyNotices.txt "$1"
  cp -r "$home/host/fxr/$(ls "$home/host/fxr" | sort -V | tail -n 1)" "$1/host/fxr"
  cp -r "$home/shared/Microsoft.NETCore.App/$version" "$1/shared/Microsoft.NETCore.App"
}

# Folders of shared/data, which tests look for beside or above a checkout.
shared_data() {
  local folder=$root
  while [ ! -d "$folder/shared/data" ] && [ "$folder" != / ]; do folder=$(dirname "$folder"); done
  if [ -d "$folder/shared/data" ]; then echo "$folder/shared/data"; fi
}

pack() {
  local archive=${1:-$artifacts/gpu-run.tar.xz} work=$artifacts/gpu-run/pack data size project
  command -v xz >/dev/null || fail "xz is missing: install xz-utils"
  export Backend=System
  "$root/eng/setup.sh"
  cd "$root"
  for project in tests/*/*.Tests.csproj benchmarks/Lora.Benchmarks; do
    dotnet build "$project" -c Release -v quiet || fail "$project does not build"
  done

  rm -rf "$work"
  mkdir -p "$work/artifacts/gpu-run"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done | tar -c --null -T - | tar -x -C "$work"
  # Neither what was compiled for this machine's libtorch nor packages' parts for other systems are of use there.
  local left_out=(--exclude='libSystemTorch.so' --exclude='libOperatorCalls.so' --exclude='*/runtimes/win*' --exclude='*/runtimes/osx*' --exclude='*/runtimes/linux-arm*' --exclude='*/runtimes/linux-x86'
    --exclude='*/net10.0/amd64' --exclude='*/net10.0/arm64' --exclude='*/net10.0/x86')
  for project in $(suites | sed 's:^:tests/:') benchmarks/Lora.Benchmarks; do tar -c "${left_out[@]}" "$(built "$project")" | tar -x -C "$work"; done
  copy_runtime "$work/artifacts/gpu-run/dotnet"
  data=$(shared_data)
  if [ -n "$data" ]; then
    mkdir -p "$work/shared"
    cp -rL "$data" "$work/shared/data"
  else
    say "there is no shared/data: tests that want it will be skipped"
  fi

  mkdir -p "$(dirname "$archive")"
  tar -c --sort=name --owner=0 --group=0 --numeric-owner -C "$work" . | xz -T0 -6 >"$archive.$$"
  size=$(stat -c %s "$archive.$$")
  if [ "$size" -gt $((limit_mib * 1024 * 1024)) ]; then
    rm "$archive.$$"
    fail "the archive would have $((size / 1024 / 1024)) MiB, and $limit_mib are the limit: what is large lies in $work"
  fi
  mv "$archive.$$" "$archive"
  rm -rf "$work"
  say "$archive: $(((size + 1048575) / 1048576)) MiB. There: mkdir lora && tar -xJf $(basename "$archive") -C lora && lora/eng/gpu-run.sh test"
}

# Finds torch, compiles what runs on it, and sets the environment of the programs.
prepare() {
  local folder python
  [ -x "$runtime/dotnet" ] || fail "$root is not an unpacked archive of gpu-run.sh pack: it lacks ${runtime#"$root"/}/dotnet"
  "$runtime/dotnet" --list-runtimes >/dev/null 2>&1 || fail "the runtime in the archive does not start on this machine ($(uname -sm)): pack on one like it"
  python=${PYTHON:-python3}
  # Imported from elsewhere, so that nothing here is taken for a module.
  folder=$(cd / && "$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))') || fail "$python cannot import torch: set PYTHON to the Python that has it"
  # A distribution's torch has its headers where all are, which find-libtorch.sh looks at by itself.
  if [ -z "${LORA_LIBTORCH:-}" ] && [ -e "$folder/include/ATen/ATen.h" ]; then export LORA_LIBTORCH=$folder; fi
  if [ -z "${LORA_TEST_DEVICE:-}" ]; then
    LORA_TEST_DEVICE=$(cd / && "$python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
    export LORA_TEST_DEVICE
  fi
  "$root/eng/build-native.sh"
  export DOTNET_ROOT=$runtime DOTNET_HOST_PATH=$runtime/dotnet
  say "torch $("$root/eng/find-libtorch.sh" | sed -n 3p) on $LORA_TEST_DEVICE"
}

run_tests() {
  local names=() known arguments=() suite folder results=$artifacts/test-results code=0 counts
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    names+=("$1")
    shift
  done
  if [ $# -gt 0 ]; then arguments=("${@:2}"); fi
  mapfile -t known < <(suites)
  for suite in "${names[@]}"; do
    case " ${known[*]} " in
      *" $suite "*) ;;
      *) fail "there is no suite $suite; there is ${known[*]}" ;;
    esac
  done
  if [ ${#names[@]} -eq 0 ]; then names=("${known[@]}"); fi

  prepare
  exact_on_cuda
  rm -rf "$results"
  for suite in "${names[@]}"; do
    folder=$root/$(built "tests/$suite")
    cp "$artifacts/native/libSystemTorch.so" "$folder"
    mkdir -p "$results/$suite"
    say "$suite"
    "$runtime/dotnet" "$folder/$suite.dll" -noLogo -noColor -trx "$results/$suite/results.trx" "${arguments[@]}" || code=1
    [ -e "$results/$suite/results.trx" ] || { say "$suite ended without results"; code=1; }
  done
  counts=$("$root/eng/count-tests.sh" "$results")
  case $counts in
    '0 passed, 0 failed, 0 skipped') say 'no test ran'; code=1 ;;
    *' 0 failed'*) ;;
    *) code=1 ;;
  esac
  echo "$counts"
  return $code
}

run_benchmarks() {
  local code=0
  prepare
  "$root/eng/build-native.sh" "$artifacts/native/libOperatorCalls.so" "$root/benchmarks/native/operator_calls.cpp"
  local folder
  folder=$root/$(built benchmarks/Lora.Benchmarks)
  cp "$artifacts"/native/*.so "$folder"
  mkdir -p "$artifacts/benchmarks"
  cd "$artifacts/benchmarks"
  if [ "${1:-}" = peft ]; then
    has_peft || exit 1
    compare_with_peft "${@:2}"
    return
  fi
  if [ $# -eq 0 ]; then set -- --filter '*'; fi
  OMP_NUM_THREADS=1 "$runtime/dotnet" "$folder/Lora.Benchmarks.dll" "$@" || code=$?
  # Options are BenchmarkDotNet's; a word asks for one table.
  if [[ $1 == -* ]] && has_peft; then compare_with_peft || code=$?; fi
  return $code
}

# Whether that Python has PEFT; says what is missing where it has not.
has_peft() {
  local why
  why=$(cd / && "${PYTHON:-python3}" -W ignore -c 'import peft, transformers' 2>&1 >/dev/null) && return
  say "no comparison with PEFT itself: ${PYTHON:-python3} cannot import peft and transformers (${why##*$'\n'})"
  return 1
}

compare_with_peft() {
  say "ours and PEFT in turns on $LORA_TEST_DEVICE"
  "${PYTHON:-python3}" -W ignore "$root/benchmarks/peers/compare.py" --peft "$@" | tee "$artifacts/benchmarks/peft.md"
}

case ${1:-} in
  pack) pack "${@:2}" ;;
  test) run_tests "${@:2}" ;;
  bench) run_benchmarks "${@:2}" ;;
  *) fail "pack, test or bench? The head of this file says what each does" ;;
esac
