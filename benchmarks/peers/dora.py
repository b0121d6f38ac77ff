#!/usr/bin/env python3
"""dora.py [REPETITIONS]: a linear layer with DoRA, forward and backward, ours against plain LoRA and against PEFT's formulation in Python's torch, in turns, on one thread.

Prints a Markdown table: the median milliseconds that passed, and the ratio of our DoRA to our LoRA and to PEFT's DoRA, of the medians and of the least times. Where other work
disturbs the turns, the time that the processes were running (Linux counts it) says more: the same ratios of that follow. Build first, with benchmarks/run.sh; PYTHON names a
Python that has torch (python3 by default), on the libtorch that ours uses.
"""
import os, pathlib, statistics, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from mixed import Side, bench, here

# tokens, in, out, rank: the size of the goal first, then few tokens, many, a small rank, a wide layer
SIZES = [(512, 1024, 1024, 16), (64, 1024, 1024, 16), (2048, 1024, 1024, 16), (512, 1024, 1024, 4), (512, 1024, 4096, 16)]


class Watched(Side):
    def running(self):
        folder = f"/proc/{self.process.pid}/task"
        return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e6

    def times(self, task):
        before = self.running()
        return self.ms(task), self.running() - before


def ratios(columns, of, to):
    return f"{statistics.median(columns[of]) / statistics.median(columns[to]):.2f} / {min(columns[of]) / min(columns[to]):.2f}"


def main():
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    peer = Watched(os.environ.get("PYTHON", "python3"), "-W", "ignore", str(here / "torch_lora.py"), "serve")
    ours = Watched("dotnet", str(bench), "serve")
    print("| tokens, in → out, rank | frozen layer: theirs / ours | LoRA: theirs / ours | DoRA: theirs / ours | DoRA : LoRA, median / least | the same of the running time "
          "| DoRA : PEFT's DoRA, median / least | the same of the running time |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for size in SIZES:
        words = " ".join(map(str, size))
        tasks = [(peer, f"dora base {words}"), (ours, f"dora base {words}"), (peer, f"layer peft {words}"), (ours, f"dora lora {words}"), (peer, f"dora peft {words}"), (ours, f"dora dora {words}")]
        turns = [[side.times(task) for side, task in tasks] for _ in range(repetitions + 10)][10:]
        passed, running = ([[turn[i][kind] for turn in turns] for i in range(len(tasks))] for kind in (0, 1))
        ms = [statistics.median(column) for column in passed]
        print(f"| {size[0]}, {size[1]} → {size[2]}, {size[3]} | {ms[0]:.2f} / {ms[1]:.2f} ms | {ms[2]:.2f} / {ms[3]:.2f} ms | {ms[4]:.2f} / {ms[5]:.2f} ms "
              f"| {ratios(passed, 5, 3)} | {ratios(running, 5, 3)} | {ratios(passed, 5, 4)} | {ratios(running, 5, 4)} |", flush=True)


if __name__ == "__main__":
    main()
