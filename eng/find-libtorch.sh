#!/usr/bin/env bash
# Finds a libtorch with headers and prints three lines: its include folder, its library folder, its version.
# Looks at LORA_LIBTORCH (a folder with include/ and lib/), then the active Python's torch, then the system's packages.
# Exit code 3: there is none.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Prints the three lines for a folder that holds a libtorch, else fails.
describe() {
  local folder include header lib
  folder=$(cd "$1" 2>/dev/null && pwd) || return 1
  include=$folder/include
  [ -e "$include/ATen/ATen.h" ] || return 1
  for header in "$include"/torch/{csrc/api/include/torch,headeronly}/version.h; do
    if [ -e "$header" ] && grep -q 'define TORCH_VERSION_MAJOR' "$header"; then break; fi
    header=
  done
  [ -n "$header" ] || return 1
  for lib in "$folder"/lib "$folder"/lib64 "$folder/lib/$(uname -m)-linux-gnu"; do
    if [ -e "$lib/libtorch_cpu.so" ]; then
      printf '%s\n%s\n' "$include" "$lib"
      awk '/define TORCH_VERSION_(MAJOR|MINOR|PATCH) /{ printf "%s%s", dot, $3; dot = "." } END { print "" }' "$header"
      return
    fi
  done
  return 1
}

if [ -n "${LORA_LIBTORCH:-}" ]; then
  describe "${LORA_LIBTORCH%/}" && exit
  fail "LORA_LIBTORCH=$LORA_LIBTORCH holds no libtorch: looked for include/ATen/ATen.h, include/torch/…/version.h and lib/libtorch_cpu.so in it"
fi

for python in python3 python; do
  folder=$("$python" -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null) || continue
  if [ -n "$folder" ] && describe "$folder"; then exit; fi
done

for folder in /usr/local /usr; do
  if describe "$folder"; then exit; fi
done
exit 3
