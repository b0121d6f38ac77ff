#!/usr/bin/env python3
"""Loads adapters that this library wrote with the real PEFT, and compares what comes out.

  LORA_PEFT_OUT=/tmp/cases ./eng/test.sh --filter RecheckTests      writes one folder for each case
  python3 tests/golden/recheck_with_peft.py /tmp/cases              reads them; the exit code is 1 when anything differs
  python3 tests/golden/recheck_with_peft.py --base-only /tmp/cases  only the base models and kohya's files

It needs peft (0.18 or newer for target_parameters; 0.20 is what the golden cases were made with) with what peft needs: torch,
transformers, accelerate, safetensors. With --base-only torch alone will do.

A case is a folder in the form of the golden cases, see case.json in any of them: base.safetensors, io.safetensors with the inputs and
this library's outputs, and folders with adapter_config.json and adapter_model.safetensors. Of their runs the modes base, adapter,
disabled, merged, merge_unmerge and merge_and_unload are known, and diffusers and kohya for files in those forms; another one is an error.
"""
import argparse
import json
import os
import struct
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32}


def load(path):
    return read(path)[0]


def read(path):
    """The tensors and the remarks of a safetensors file, so that --base-only needs no package for it."""
    with open(path, "rb") as file:
        raw = bytearray(file.read())
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    tensors = {}
    for key, entry in header.items():
        if key != "__metadata__":
            begin, end = entry["data_offsets"]
            dtype = DTYPES[entry["dtype"]]
            flat = torch.frombuffer(raw[start + begin:start + end], dtype=dtype) if end > begin else torch.empty(0, dtype=dtype)
            tensors[key] = flat.reshape(entry["shape"]).clone()
    return tensors, header.get("__metadata__", {})


class Experts(nn.Module):
    """p = softmax(x @ router.T); y = sum over e of p_e * (tanh(x @ Up_e) @ Down_e). The layout 'eoi' holds Up_e and Down_e transposed."""

    def __init__(self, num, d, h, layout):
        super().__init__()
        self.transposes = layout == "eoi"
        if layout == "eio":
            self.is_transposed = True
        self.router = nn.Parameter(torch.empty(num, d))
        self.w_up = nn.Parameter(torch.empty(num, h, d) if self.transposes else torch.empty(num, d, h))
        self.w_down = nn.Parameter(torch.empty(num, d, h) if self.transposes else torch.empty(num, h, d))

    def forward(self, x):
        up, down = self.w_up, self.w_down
        if self.transposes:
            up, down = up.transpose(1, 2), down.transpose(1, 2)
        hidden = torch.tanh(torch.matmul(x.unsqueeze(0), up))
        weights = torch.softmax(x @ self.router.T, -1).T.unsqueeze(-1)
        return (torch.matmul(hidden, down) * weights).sum(0)


class PlainConv1D(nn.Module):
    """Stands for transformers' Conv1D where only the base model is wanted."""

    def __init__(self, nf, nx):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


FUNCTIONS = {"@relu": F.relu, "@tanh": torch.tanh, "@gelu": F.gelu, "@silu": F.silu, "@sigmoid": torch.sigmoid,
             "@flatten": lambda x: x.flatten(1), "@mean1": lambda x: x.mean(1)}
LISTS = ("layers", "h", "blocks", "stack")


def module_type(name, base_only):
    if name == "Experts":
        return Experts
    if name == "HFConv1D":
        if base_only:
            return PlainConv1D
        from transformers.pytorch_utils import Conv1D
        return Conv1D
    return getattr(nn, name)


class Net(nn.Module):
    """The modules of a description under their paths, and the chain of calls."""

    def __init__(self, spec, base_only):
        super().__init__()
        self.kinds = {module["path"]: module["type"] for module in spec["modules"]}
        self.steps = spec["forward"]
        for module in spec["modules"]:
            *parents, name = module["path"].split(".")
            place = self
            for part in parents:
                if part not in place._modules:
                    place.add_module(part, nn.ModuleList() if part in LISTS else nn.Module())
                place = place._modules[part]
            arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in module["args"].items()}
            place.add_module(name, module_type(module["type"], base_only)(**arguments))

    def forward(self, x):
        for step in self.steps:
            if step[0] == "@":
                x = FUNCTIONS[step](x)
            elif self.kinds[step] == "MultiheadAttention":
                x = self.get_submodule(step)(x, x, x, need_weights=False)[0]
            else:
                x = self.get_submodule(step)(x)
        return x


def build(folder, case, base_only):
    weights = load(os.path.join(folder, case["base"]["weights"]))
    net = Net(case["base"], base_only).to(next(iter(weights.values())).dtype)
    net.load_state_dict(weights, strict=True)
    return net.eval()


def with_adapters(folder, net, run):
    from peft import PeftModel
    first, *others = run["load"]
    model = PeftModel.from_pretrained(net, os.path.join(folder, first["dir"]), adapter_name=first["name"])
    for adapter in others:
        model.load_adapter(os.path.join(folder, adapter["dir"]), adapter["name"])
    for adapter in run["load"]:
        check_all_read(folder, model, adapter)
    model.base_model.set_adapter(run.get("active", [first["name"]]))
    return model.eval()


def check_all_read(folder, model, adapter):
    """PEFT passes over keys without a word, or with a warning: what it would save again must be all that the file holds."""
    from peft import get_peft_model_state_dict
    held = get_peft_model_state_dict(model, adapter_name=adapter["name"])
    given = load(os.path.join(folder, adapter["dir"], "adapter_model.safetensors"))
    if set(held) != set(given):
        raise RuntimeError(f"PEFT holds {sorted(set(held) - set(given))} that the file lacks, and lacks {sorted(set(given) - set(held))} of it")
    for key, tensor in given.items():
        if not torch.equal(held[key].cpu().to(tensor.dtype), tensor):
            raise RuntimeError(f"PEFT holds other numbers than the file in {key}")


def as_diffusers_does(folder, net, run):
    """The settings are in the file's remarks, and keys and settings bear the name of the model."""
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
    tensors, remarks = read(os.path.join(folder, run["file"]))
    start = run["prefix"] + "."
    settings = json.loads(remarks["lora_adapter_metadata"])
    net = inject_adapter_in_model(LoraConfig(**{key[len(start):]: value for key, value in settings.items()}), net)
    result = set_peft_model_state_dict(net, {key[len(start):]: tensor for key, tensor in tensors.items()})
    if result.unexpected_keys:
        raise RuntimeError(f"PEFT does not expect {result.unexpected_keys}")
    given = [key for key in net.state_dict() if ".lora_" in key]
    if len(given) != len(tensors):
        raise RuntimeError(f"the file has {len(tensors)} tensors, and PEFT {len(given)}")
    return net.eval()


def as_kohya_does(folder, net, run):
    """up(down(x)) * alpha / r on top of each layer, by the formula alone."""
    tensors = load(os.path.join(folder, run["file"]))
    start = run["prefix"] + "_"
    modules = {start + path.replace(".", "_"): module for path, module in net.named_modules()}
    for name in sorted({key.split(".")[0] for key in tensors}):
        down, up, alpha = (tensors.pop(f"{name}.{part}") for part in ("lora_down.weight", "lora_up.weight", "alpha"))

        def add(module, inputs, output, down=down, up=up, scale=float(alpha) / down.shape[0]):
            if down.dim() == 4:
                return output + F.conv2d(F.conv2d(inputs[0], down, stride=module.stride, padding=module.padding), up) * scale
            return output + inputs[0] @ down.T @ up.T * scale

        modules[name].register_forward_hook(add)
    if tensors:
        raise RuntimeError(f"{sorted(tensors)} belong to no layer")
    return net


def compute(folder, case, run, inputs, base_only):
    net = build(folder, case, base_only)
    if run["mode"] == "base":
        return net(*inputs)
    if run["mode"] == "diffusers":
        return as_diffusers_does(folder, net, run)(*inputs)
    if run["mode"] == "kohya":
        return as_kohya_does(folder, net, run)(*inputs)
    model = with_adapters(folder, net, run)
    if run["mode"] == "adapter":
        return model(*inputs)
    if run["mode"] == "disabled":
        with model.disable_adapter():
            return model(*inputs)
    if run["mode"] == "merged":
        model.merge_adapter(run.get("merge"))
        return model(*inputs)
    if run["mode"] == "merge_unmerge":
        model.merge_adapter()
        model.unmerge_adapter()
        return model(*inputs)
    if run["mode"] == "merge_and_unload":
        return model.merge_and_unload()(*inputs)
    raise RuntimeError(f"the mode {run['mode']} is not known")


def difference(actual, expected, tolerance):
    """How far two tensors are apart, and whether that is too far; not a number is too far."""
    if actual.shape != expected.shape:
        raise RuntimeError(f"the shape is {list(actual.shape)}, expected {list(expected.shape)}")
    a, b = actual.double(), expected.double()
    near = (a - b).abs() <= tolerance["atol"] + tolerance["rtol"] * b.abs()
    return float((a - b).abs().max()) if a.numel() else 0.0, not bool(near.all())


def check(folder, base_only):
    """Runs one case; returns how many runs were compared and how many failed."""
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
        case = json.load(file)
    if not case["base"] or case["base"]["kind"] != "spec":
        return 0, 0
    io = load(os.path.join(folder, "io.safetensors"))
    compared = failed = 0
    for run in case["runs"]:
        if base_only and run["mode"] not in ("base", "kohya"):
            continue
        name = f"{case['name']} {run['id']}"
        compared += 1
        try:
            with torch.no_grad():
                inputs = [io[key] for key in run["inputs"].values()]
                actual = compute(folder, case, run, inputs, base_only)
                largest, differs = difference(actual, io[run["output"]], case["tolerance"][run["tolerance"]])
        except Exception as error:  # whatever PEFT raises is this run's result
            print(f"FAIL {name}: {type(error).__name__}: {error}")
            failed += 1
            continue
        print(f"{'FAIL' if differs else 'ok  '} {name}: largest difference {largest:.2e}")
        failed += differs
    return compared, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the folder with one folder for each case")
    parser.add_argument("--base-only", action="store_true", help="only the base models and kohya's files, without PEFT")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    folders = [os.path.join(arguments.folder, name) for name in sorted(os.listdir(arguments.folder))]
    results = [check(folder, arguments.base_only) for folder in folders if os.path.isfile(os.path.join(folder, "case.json"))]
    compared, failed = sum(r[0] for r in results), sum(r[1] for r in results)
    print(f"{compared} runs of {len(results)} cases compared, {failed} failed")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
