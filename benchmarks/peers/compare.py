#!/usr/bin/env python3
"""compare.py [--repetitions N] [--only layer|step|merge]: ours against PEFT's and loralib's formulations in Python's torch, in turns, on one thread; compare.sh sets up and calls it.

Prints Markdown tables of medians of the ratios within one turn (with the first and third quartile), then a line for each aim, and exits with 1 where one is missed. PYTHON names a
Python that has torch (python3 by default), on the libtorch that ours uses.
"""
import argparse, os, pathlib, statistics, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from mixed import Side, bench, here

LAYERS = [(512, 1024, 1024, 8), (512, 1024, 1024, 64), (512, 1024, 4096, 8), (512, 1024, 4096, 64)]  # tokens, in, out, rank
MERGES = [(1024, 1024, 8), (4096, 1024, 16)]  # out, in, rank
STEPS = [(512, 8)]  # tokens, rank


def floor(size):
    _, i, o, r = size
    return 1 + 3 * r * (i + o) / (2 * i * o)


class Ratios:
    def __init__(self, turns):
        self.turns = turns

    def of(self, mine, other):
        return [turn[mine] / turn[other] for turn in self.turns]

    def median(self, mine, other):
        return statistics.median(self.of(mine, other))

    def text(self, mine, other):
        low, middle, high = statistics.quantiles(self.of(mine, other), n=4)
        return f"{middle:.3f} ({low:.3f}–{high:.3f})"

    def ms(self, side):
        return f"{statistics.median(turn[side] for turn in self.turns):.2f}"


def take_turns(tasks, repetitions):
    return Ratios([[side.ms(task) for side, task in tasks] for _ in range(repetitions + 5)][5:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--only", choices=["layer", "step", "merge"])
    options = parser.parse_args()
    peer = Side(os.environ.get("PYTHON", "python3"), "-W", "ignore", str(here / "torch_lora.py"), "serve")
    ours = Side("dotnet", str(bench), "serve")
    missed, aims = [], 0

    def aim(what, value, limit):
        nonlocal aims
        aims += 1
        if not value <= limit:
            missed.append(f"{what}: {value:.3f}, the aim is {limit:.3f}")

    if options.only in (None, "layer"):
        print("| tokens, in → out, rank | frozen layer: theirs / ours | ours : frozen layer | arithmetic alone | ours : PEFT's | ours : loralib's | ours : the operators one by one |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for size in LAYERS:
            words = " ".join(map(str, size))
            tasks = [(peer, f"layer base {words}"), (ours, f"layer base {words}"), (ours, f"layer lora {words}"), (peer, f"layer peft {words}"), (peer, f"layer loralib {words}"), (ours, f"layer operators {words}")]
            run = take_turns(tasks, options.repetitions)
            name = f"{size[0]}, {size[1]} → {size[2]}, {size[3]}"
            print(f"| {name} | {run.ms(0)} / {run.ms(1)} ms | {run.text(2, 1)} | {floor(size):.3f} | {run.text(2, 3)} | {run.text(2, 4)} | {run.text(2, 5)} |", flush=True)
            aim(f"layer {name} over the frozen layer", run.median(2, 1), 1.05 * floor(size))
            aim(f"layer {name} over PEFT's", run.median(2, 3), 1)
            aim(f"layer {name} over loralib's", run.median(2, 4), 1)
        print()
    if options.only in (None, "merge"):
        print("| merging and back: out × in, rank | PEFT's | ours | PEFT's : ours |")
        print("|---|---:|---:|---:|")
        for size in MERGES:
            words = " ".join(map(str, size))
            run = take_turns([(peer, f"merge peft {words}"), (ours, f"merge lora {words}")], options.repetitions)
            print(f"| {size[0]} × {size[1]}, {size[2]} | {run.ms(0)} ms | {run.ms(1)} ms | {run.text(0, 1)} |", flush=True)
            aim(f"merge {size[0]} × {size[1]}, {size[2]} over PEFT's", run.median(1, 0), 1 / 3)
        print()
    if options.only in (None, "step"):
        print("| training step, 25 M parameters: tokens, rank | PEFT's | without adapters, theirs | ours | ours : PEFT's | ours : the operators one by one |")
        print("|---|---:|---:|---:|---:|---:|")
        for size in STEPS:
            words = " ".join(map(str, size))
            run = take_turns([(peer, f"step peft {words}"), (ours, f"step lora {words}"), (ours, f"step operators {words}")], max(10, options.repetitions // 4))
            bare = take_turns([(peer, f"step base {words}")], 10)
            print(f"| {size[0]}, {size[1]} | {run.ms(0)} ms | {bare.ms(0)} ms | {run.ms(1)} ms | {run.text(1, 0)} | {run.text(1, 2)} |", flush=True)
            aim(f"step {size[0]}, {size[1]} over PEFT's", run.median(1, 0), 0.85)
        print()
    for line in missed:
        print(f"missed: {line}")
    print(f"{aims - len(missed)} of {aims} aims met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
