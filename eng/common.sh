# shellcheck shell=bash
# Sourced by the scripts of eng/: they work from any folder and say one line a step.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # read by those that source this
artifacts=$root/artifacts

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

# Tests compare float32 results to the last digits, and runs bit for bit: no TF32, and products that add in the same order each time.
exact_on_cuda() { export NVIDIA_TF32_OVERRIDE=${NVIDIA_TF32_OVERRIDE:-0} CUBLAS_WORKSPACE_CONFIG=${CUBLAS_WORKSPACE_CONFIG:-:4096:8}; }

fail() {
  printf '%s: error: %s\n' "$(basename "$0" .sh)" "$*" >&2
  exit 1
}
