#!/usr/bin/env python3
"""mixed.py [REPETITIONS]: one adapter for each row of a batch, ours against PEFT's loop in Python's torch, in turns, on one thread.

Prints a Markdown table. What counts is what is added to the base layer, (ours - our base) / (PEFT's - its base): the medians of the differences within one turn, so
that a machine that slows down for a while slows both down alike, and the differences of the least times. Build first, with benchmarks/run.sh; PYTHON names a Python that has torch (python3 by default), on the libtorch that ours uses.
"""
import json, os, pathlib, statistics, subprocess, sys

here = pathlib.Path(__file__).resolve().parent
bench = here.parent / "Lora.Benchmarks/bin/Release/net10.0/Lora.Benchmarks.dll"
# rows, in, out, rank, adapters: a batch of tokens, one of a decoding step, and shapes of a small model's projections
SIZES = [(16, 512, 512, 8, 8), (64, 768, 768, 8, 8), (128, 1024, 1024, 8, 8), (512, 1024, 1024, 8, 8), (512, 1024, 1024, 16, 8)]


class Side:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def ms(self, task):
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["ms"]


def main():
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    peer = Side(os.environ.get("PYTHON", "python3"), "-W", "ignore", str(here / "torch_lora.py"), "serve")
    ours = Side("dotnet", str(bench), "serve")
    print("| rows, in → out, rank, adapters | order | base: theirs / ours | PEFT's loop adds | ours adds | ratio | the same of the least times |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for size in SIZES:
        words = " ".join(map(str, size))
        for form, order in (("lora", "in turns"), ("lora", "shuffled"), ("scope", "in turns")):
            tasks = [(peer, f"mixed base {words}"), (peer, f"mixed peft {words}"), (ours, f"mixed base {words}"), (ours, f"mixed {form} {words}{' shuffled' if order == 'shuffled' else ''}")]
            turns = [[side.ms(task) for side, task in tasks] for _ in range(repetitions + 10)][10:]
            base, our_base = (statistics.median(turn[side] for turn in turns) for side in (0, 2))
            peft, lora = (statistics.median(turn[side + 1] - turn[side] for turn in turns) for side in (0, 2))
            least = [min(column) for column in zip(*turns)]
            print(f"| {size[0]}, {size[1]} → {size[2]}, {size[3]}, {size[4]} | {order}{', scope included' if form == 'scope' else ''} | {base:.3f} / {our_base:.3f} ms | {peft * 1e3:.0f} µs | {lora * 1e3:.0f} µs "
                  f"| {lora / peft:.2f} | {(least[3] - least[2]) / (least[1] - least[0]):.2f} |", flush=True)


if __name__ == "__main__":
    main()
