#!/usr/bin/env python3
"""compare.py [--repetitions N] [--only TASK] [--running] [--data FOLDER]: ours against PEFT's and loralib's formulations in Python's torch, in turns, on one thread; compare.sh sets up
and calls it. TASK is one of layer, merge, step, memory, e2e, adapters, parts, growth.
compare.py --peft [--device DEVICE] [--dtype DTYPE] [--repetitions N] [--only layer|step] [--running]: ours against the libraries PEFT and transformers, on the CPU or a GPU (DEVICE is
LORA_TEST_DEVICE, else cpu; DTYPE is float32 or bfloat16, both on a GPU and float32 on a CPU if none is named).

Prints Markdown tables of medians of the ratios within one turn (with the first and third quartile), then a line for each aim that was missed and how many were met, and exits with 1
where one was missed. With --running the time counts in which the processes were running (Linux counts it) instead of the time that passed: other work on the machine disturbs it less.
FOLDER holds stories260k and e2e-peft; without it there is no e2e. PYTHON names a Python that has torch (python3 by default), on the libtorch that ours uses, and with --peft PEFT too.
"""
import argparse, os, pathlib, re, statistics, subprocess, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peft_table
from mixed import here
from turns import Aims, Process, ours, take_turns

LAYERS = [(512, 1024, 1024, 8), (512, 1024, 1024, 64), (512, 1024, 4096, 8), (512, 1024, 4096, 64)]  # tokens, in, out, rank
MERGES = [(1024, 1024, 8), (1024, 1024, 64), (4096, 1024, 16), (1024, 4096, 16)]  # out, in, rank
STEPS = [(512, 8)]  # tokens, rank
PARTS = [(1, 512, 8, 64, 1376), (16, 160, 8, 8, 172)]  # texts, tokens of each, heads, width of a head, width between
TASKS = ["layer", "merge", "step", "memory", "e2e", "adapters", "parts", "growth"]
PYTHON = os.environ.get("PYTHON", "python3")
PEER = [PYTHON, "-W", "ignore", str(here / "torch_lora.py")]


def floor(size):
    _, i, o, r = size
    return 1 + 3 * r * (i + o) / (2 * i * o)


def peer():
    return Process(*PEER, "serve")


class Comparison(Aims):
    def __init__(self, options):
        super().__init__()
        self.repetitions, self.data = options.repetitions or 60, options.data

    def show(self, tasks):
        if Process.running:
            print("Times are those in which the processes were running.\n")
        for task in tasks:
            getattr(self, task)()
            print()

    def layer(self):
        mine, theirs = ours(), peer()
        print("| tokens, in → out, rank | frozen layer: theirs / ours | ours : frozen layer | arithmetic alone | ours : PEFT's | ours : loralib's | ours : the operators one by one |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for size in LAYERS:
            words = " ".join(map(str, size))
            run = take_turns(
                [(theirs, f"layer base {words}"), (mine, f"layer base {words}"), (mine, f"layer lora {words}"), (theirs, f"layer peft {words}"), (theirs, f"layer loralib {words}"), (mine, f"layer operators {words}")],
                self.repetitions if size[2] <= 1024 else self.repetitions // 2)
            name = f"{size[0]}, {size[1]} → {size[2]}, {size[3]}"
            print(f"| {name} | {run.ms(0)} / {run.ms(1)} ms | {run.text(2, 1)} | {floor(size):.3f} | {run.text(2, 3)} | {run.text(2, 4)} | {run.text(2, 5)} |", flush=True)
            self.aim(f"layer {name} over the frozen layer", run.median(2, 1), 1.05 * floor(size))
            self.aim(f"layer {name} over PEFT's", run.median(2, 3), 1)
            self.aim(f"layer {name} over loralib's", run.median(2, 4), 1)
        mine.close(), theirs.close()

    def merge(self):
        mine, theirs = ours(), peer()
        print("| merging and back: out × in, rank | PEFT's | ours | PEFT's : ours | least : least |")
        print("|---|---:|---:|---:|---:|")
        for size in MERGES:
            words = " ".join(map(str, size))
            run = take_turns([(theirs, f"merge peft {words}"), (mine, f"merge lora {words}")], self.repetitions)
            print(f"| {size[0]} × {size[1]}, {size[2]} | {run.ms(0)} ms | {run.ms(1)} ms | {run.text(0, 1)} | {run.least(0) / run.least(1):.2f} |", flush=True)
            self.aim(f"merge {size[0]} × {size[1]}, {size[2]} over PEFT's", run.median(1, 0), 1 / 3)
        mine.close(), theirs.close()

    def step(self):
        print("| training step, 25 M parameters: tokens, rank | PEFT's | no adapters : PEFT's | ours | ours : PEFT's | PEFT's model with our layers : PEFT's | our operators one by one : PEFT's |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for size in STEPS:
            words = " ".join(map(str, size))
            sides = [peer(), ours(), ours(), ours(), peer()]  # each task of a step has a process of its own, since the peer keeps one model at a time
            run = take_turns(list(zip(sides, [f"step {form} {words}" for form in ("peft", "lora", "swapped", "operators", "base")])), max(10, self.repetitions // 5))
            print(f"| {size[0]}, {size[1]} | {run.ms(0)} ms | {run.text(4, 0)} | {run.ms(1)} ms | {run.text(1, 0)} | {run.text(2, 0)} | {run.text(3, 0)} |", flush=True)
            self.aim(f"step {size[0]}, {size[1]} over PEFT's", run.median(1, 0), 0.85)
            self.aim(f"step {size[0]}, {size[1]} of PEFT's model with our layers over PEFT's", run.median(2, 0), 0.93)
            for side in sides:
                side.close()

    def memory(self):
        print("| a step's peak above the loaded model: tokens, rank | operators one by one | PEFT's model with our layers | ours | ours : operators |")
        print("|---|---:|---:|---:|---:|")
        for size in STEPS:
            side = ours()
            each = {form: side.ask(f"allocated step {form} {size[0]} {size[1]}")["bytes"] for form in ("operators", "swapped", "lora")}
            ratio = each["lora"] / each["operators"]
            print(f"| {size[0]}, {size[1]} | {each['operators'] / 1e6:.1f} MB | {each['swapped'] / 1e6:.1f} MB | {each['lora'] / 1e6:.1f} MB | {ratio:.3f} |", flush=True)
            self.aim(f"memory of a step {size[0]}, {size[1]}", ratio, 0.7)
            side.close()

    def e2e(self):
        if not self.data:
            return print("No e2e: there are no stored batches (LORA_DATA names their folder).")
        print("| 40 stored batches of stories260k | the peer's check | ours | ours : the peer's | worst difference of a loss from PEFT's |")
        print("|---|---:|---:|---:|---:|")
        side, turns, worst = ours(), [], 0.0
        side.ask(f"e2e {self.data}")
        for _ in range(3):
            told = subprocess.run([*PEER, "check", self.data], capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout
            answer = side.ask(f"e2e {self.data}")
            turns.append((float(re.search(r"median (\d+) ms", told)[1]), answer["ms"]))
            worst = max(worst, answer["worst"])
        ratio = statistics.median(mine / theirs for theirs, mine in turns)
        print(f"| a batch of 16 × 160 tokens | {statistics.median(t for t, _ in turns):.0f} ms | {statistics.median(m for _, m in turns):.1f} ms | {ratio:.3f} | {worst:.1e} |", flush=True)
        self.aim("e2e over the peer's check", ratio, 0.8)
        self.aim("e2e: worst relative difference of a loss, in 1e-5", worst / 1e-5, 1)
        side.close()

    def adapters(self):
        side, few, many, deep = ours(), "512 8 32 0 4", "512 8 32 2000 4", "512 8 128 0 4"
        print("| layers with adapters, other modules | switch between resident adapters | load and take out | load : switch |")
        print("|---|---:|---:|---:|")
        run = take_turns([(side, f"adapter {what} {words}") for words in (few, many, deep) for what in ("switch", "load")], max(10, self.repetitions // 4))
        for place, name in enumerate(("32, 0", "32, 2000", "128, 0")):
            mine, load = 2 * place, 2 * place + 1
            print(f"| {name} | {float(run.ms(mine)) * 10:.1f} µs | {run.ms(load)} ms | {100 * run.median(load, mine):.0f} |", flush=True)
            self.aim(f"switch over load, {name}", run.median(mine, load) / 100, 1 / 20)
        self.aim("switch with 2000 modules beside over switch with none", run.median(2, 0), 1.2)
        print("\n| an adapter in a file | time | speed |")
        print("|---|---:|---:|")
        words = "2048 256 16 0 1"
        size = side.ask(f"bytes adapter {words}")["bytes"]
        run = take_turns([(side, f"adapter save {words}"), (side, f"adapter load {words}")], max(10, self.repetitions // 4))
        for place, name in enumerate(("save", "load")):
            speed = size / 1e6 / float(run.ms(place))
            print(f"| {name} {size / 1e6:.0f} MB | {run.ms(place)} ms | {speed:.2f} GB/s |", flush=True)
            self.aim(f"{name}, seconds for a GB", 1 / speed, 1)
        side.close()

    def parts(self):
        side = ours()
        print("| a part of a decoder layer, forward and backward | texts × tokens, heads × width, between | operators one by one | as one pass | pass : operators |")
        print("|---|---|---:|---:|---:|")
        for size in PARTS:
            words = " ".join(map(str, size))
            for part in ("attention", "rotation", "norm", "gate", "q-k-v", "gate-up"):
                run = take_turns([(side, f"part {part} operators {words}"), (side, f"part {part} passes {words}")], self.repetitions // 2)
                print(f"| {part} | {size[0]} × {size[1]}, {size[2]} × {size[3]}, {size[4]} | {run.ms(0)} ms | {run.ms(1)} ms | {run.text(1, 0)} |", flush=True)
        side.close()

    def growth(self):
        """How the cost grows when one size doubles, against the number of operations."""
        side = ours()
        print("| what grows | sizes | times | growth per doubling |")
        print("|---|---|---:|---:|")
        for name, sizes, task, scale in [
            ("tokens (layer 512 → 512, rank 8)", (128, 256, 512, 1024, 2048), "layer lora {} 512 512 8", 1),
            ("rank (layer 512 → 512, 512 tokens)", (4, 8, 16, 32, 64, 128), "layer lora 512 512 512 {}", 1),
            ("width (layer, 256 tokens, rank 8)", (256, 512, 1024, 2048), "layer lora 256 {0} {0} 8", 1),
            ("layers (step, 128 tokens, rank 8)", (2, 4, 8), "step lora 128 8 {}", 1),
            ("tokens (step of 2 layers, rank 8)", (128, 256, 512, 1024), "step lora {} 8 2", 1),
            ("adapters that are there (switch, 32 layers)", (2, 4, 8, 16), "adapter switch 64 4 32 0 {}", 0.01),
            ("layers with adapters (switch, 4 adapters)", (16, 32, 64, 128), "adapter switch 64 4 {} 0 4", 0.01),
        ]:
            run = take_turns([(side, task.format(size)) for size in sizes], max(8, self.repetitions // 8))
            times = [statistics.median(turn[i] for turn in run.turns) * scale for i in range(len(sizes))]
            growth = ", ".join(f"{run.median(i + 1, i):.2f}" for i in range(len(sizes) - 1))
            print(f"| {name} | {', '.join(map(str, sizes))} | {', '.join(f'{time:.3g}' for time in times)} ms | {growth} |", flush=True)
        side.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--running", action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--peft", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--dtype", choices=list(peft_table.AGREEMENT), action="append")
    options = parser.parse_args()
    if options.repetitions is not None and options.repetitions < 2:
        parser.error("quartiles need 2 repetitions at least")
    tasks = peft_table.TASKS if options.peft else TASKS
    if options.peft:
        options.device = options.device or os.environ.get("LORA_TEST_DEVICE") or "cpu"
        if options.device.split(":")[0] not in peft_table.LAYERS:
            parser.error(f"--device {options.device}: it is one of {', '.join(peft_table.LAYERS)}")
        if not set(options.only or tasks) <= set(tasks):
            parser.error(f"--peft knows the tasks {' and '.join(tasks)}")
        if options.running and options.device != "cpu":
            parser.error("--running counts the processor's time, and says nothing about a GPU's")
    elif options.device or options.dtype:
        parser.error("--device and --dtype go with --peft: the formulations run on the CPU in float32")
    Process.running = options.running
    comparison = peft_table.PeftTable(options) if options.peft else Comparison(options)
    comparison.show(options.only or tasks)
    return comparison.report()


if __name__ == "__main__":
    sys.exit(main())
