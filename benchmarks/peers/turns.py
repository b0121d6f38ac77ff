"""What compare.py's tables share: a process that answers tasks, tasks that take turns, the ratios of their times, and aims."""
import json, os, statistics, subprocess, sys

from mixed import bench

SETTINGS = {"OMP_NUM_THREADS": "1", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0"}  # float32 is float32 in containers too that turn TF32 on for all of torch


class Process:
    """One side."""

    running = False

    def __init__(self, *command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **SETTINGS})

    def ask(self, task):
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{' '.join(self.command)} ended with {self.process.wait()} when it was asked for '{task}'.")
        return json.loads(answer)

    def ms(self, task):
        if not Process.running:
            return self.ask(task)["ms"]
        before = self.ran()
        self.ask(task)
        return self.ran() - before

    def ran(self):
        folder = f"/proc/{self.process.pid}/task"
        return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e6

    def libtorch(self):
        """The files of libtorch that the process has loaded."""
        return sorted({line.split(maxsplit=5)[5].strip() for line in open(f"/proc/{self.process.pid}/maps") if "/libtorch_cpu." in line})

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours():
    return Process(os.environ.get("DOTNET_HOST_PATH") or "dotnet", str(bench), "serve")


class Ratios:
    """The times of several tasks that took turns."""

    def __init__(self, turns):
        self.turns = turns

    def median(self, mine, other):
        return statistics.median(turn[mine] / turn[other] for turn in self.turns)

    def text(self, mine, other):
        low, middle, high = statistics.quantiles((turn[mine] / turn[other] for turn in self.turns), n=4)
        return f"{middle:.3f} ({low:.3f}–{high:.3f})"

    def least(self, side):
        return min(turn[side] for turn in self.turns)

    def ms(self, side):
        return f"{statistics.median(turn[side] for turn in self.turns):.2f}"


def take_turns(tasks, repetitions, shared_device=False):
    """On a device that both sides use each task runs once more before it is timed: the first work after another process's waits until the device has changed over to it."""
    def turn(side, task):
        if shared_device:
            side.ask(task)
        return side.ms(task)

    for side, task in tasks:
        side.ask(task)  # gets ready
    return Ratios([[turn(side, task) for side, task in tasks] for _ in range(repetitions + 2)][2:])


class Aims:
    def __init__(self):
        self.missed, self.aims = [], 0

    def aim(self, what, value, limit):
        self.aims += 1
        if not value <= limit:
            self.missed.append(f"{what}: {value:.3f}, the aim is {limit:.3f}")

    def report(self):
        for line in self.missed:
            print(f"missed: {line}")
        print(f"{self.aims - len(self.missed)} of {self.aims} aims met")
        return 1 if self.missed else 0
