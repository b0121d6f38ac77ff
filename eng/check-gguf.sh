#!/usr/bin/env bash
# Runs golden cases in llama.cpp (LLamaSharp's package of it), merged and with the adapter beside the base, and compares with PEFT's logits.
set -euo pipefail
# shellcheck source=eng/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/eng/setup.sh"
cd "$root"
dotnet build -c Release -v quiet samples/Lora.Cli
dotnet build -c Release -v quiet eng/LlamaCpp
dotnet eng/LlamaCpp/bin/Release/net10.0/LlamaCpp.dll samples/Lora.Cli/bin/Release/net10.0/Lora.Cli.dll "${LORA_GOLDEN_DIR:-tests/golden}" "$artifacts/gguf"
