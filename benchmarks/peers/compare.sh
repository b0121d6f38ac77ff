#!/usr/bin/env bash
# compare.sh [arguments of compare.py]: sets up what it needs, checks that the peer reproduces PEFT's losses where shared data is there (LORA_DATA names its folder), and lets
# ours and the peer take turns. Exits with 1 where an aim is missed. On a machine that does other work: compare.sh --running.
# With --peft ours takes turns with PEFT itself, which PYTHON has to have with transformers: compare.sh --peft [--device cuda].
set -euo pipefail
# shellcheck source=../../eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../eng/common.sh"

"$root/eng/setup.sh"
python="${PYTHON:-python3}"
if ! "$python" -c 'import torch' 2> /dev/null; then
    # Debian's own Python has its torch on the same libtorch.
    python=/usr/bin/python3
    "$python" -c 'import torch' 2> /dev/null || { apt-get install -y -q python3-torch > /dev/null; }
fi
dotnet build "$root/benchmarks/Lora.Benchmarks" -c Release -v quiet || fail "the benchmarks do not build"

export OMP_NUM_THREADS=1 PYTHON="$python"
data="${LORA_DATA:-$root/../shared/data}"
if [[ " $* " == *' --peft '* ]]; then
    "$python" -W ignore -c 'import peft, transformers' || fail "$python cannot import PEFT and transformers (see above): set PYTHON to a Python that has them"
elif [ -d "$data/e2e-peft" ]; then
    "$python" -W ignore "$root/benchmarks/peers/torch_lora.py" check "$data"
    set -- --data "$data" "$@"
fi
exec "$python" "$root/benchmarks/peers/compare.py" "$@"
