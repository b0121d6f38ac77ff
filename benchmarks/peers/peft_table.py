"""Ours against PEFT itself: one Markdown table, with the machine and the versions above it and a summary below. compare.py --peft prints it."""
import os, pathlib, platform, statistics, sys, tempfile

from mixed import here
from turns import Aims, Process, ours, take_turns

LAYERS = {  # tokens, in, out, rank
    "cuda": [(tokens, *widths, rank) for widths in ((1024, 1024), (4096, 4096), (4096, 14336)) for tokens in (512, 4096, 8192) for rank in (8, 16, 64)],
    "cpu": [(512, 1024, 1024, 8), (512, 1024, 1024, 64), (512, 4096, 4096, 16)],
}
STEPS = {"cuda": [(512, 8), (4096, 16)], "cpu": [(512, 8)]}  # tokens, rank
DTYPES = {"cuda": ["float32", "bfloat16"], "cpu": ["float32"]}
EQUAL = (160, 320, 192, 6)  # the layer that both compute from the same weights: tokens, in, out, rank; large enough for the one pass of base and adapter
AGREEMENT = {"float32": 1e-5, "bfloat16": 1e-2}  # relative to the greatest number
TASKS = ["layer", "step"]


def processor():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()} ({len(os.sched_getaffinity(0))} cores)"


class PeftTable(Aims):
    def __init__(self, options):
        super().__init__()
        self.device, kind = options.device, options.device.split(":")[0]
        self.layers, self.steps, self.dtypes = LAYERS[kind], STEPS[kind], options.dtype or DTYPES[kind]
        self.repetitions, self.ratios = options.repetitions or 30, {task: [] for task in TASKS}
        self.mine, self.theirs = ours(), Process(os.environ.get("PYTHON", "python3"), "-W", "ignore", str(here / "peft_peer.py"), "serve")

    def show(self, tasks):
        self.head()
        for task in tasks:
            for dtype in self.dtypes:
                for size in getattr(self, task + "s"):
                    getattr(self, task)(size, dtype)
        self.mine.close(), self.theirs.close()
        print("\nOurs : PEFT's over all rows, median (least–greatest): "
              + "; ".join(f"{task} {statistics.median(each):.3f} ({min(each):.3f}–{max(each):.3f})" for task, each in self.ratios.items() if each) + ".")

    def head(self):
        apart, versions, runtime = self.apart(), self.theirs.ask(f"about {self.device}"), self.mine.ask("about")["runtime"]
        libraries = [side.libtorch() for side in (self.mine, self.theirs)]
        if libraries[0] != libraries[1]:
            sys.exit(f"Both sides have to run on one libtorch, but ours runs on {libraries[0]} and PEFT on {libraries[1]}: set LORA_LIBTORCH or PYTHON.")
        device = f"{versions['device']} (CUDA {versions['cuda']}, TF32 {'on' if versions['tf32'] else 'off'}), {processor()}" if self.device != "cpu" else processor()
        print(f"""# Ours against PEFT itself: `benchmarks/peers/compare.sh --peft --device {self.device}`

{device}; Python {versions['python']}, torch {versions['torch']}, PEFT {versions['peft']}, transformers {versions['transformers']} (attention: {versions['attention']}); {runtime} on the same libtorch.
Medians of {self.repetitions} turns with the first and third quartile{', of the time in which the processes were running' if Process.running else ''}, one thread on the host. A layer runs forward and
backward; a step is that of a Llama of 25 million parameters with adapters on all linear layers: forward, loss, backward, AdamW. Over a bfloat16 base adapters are {versions['adapters']['peft']}, PEFT's
default and ours; "narrow" is either side with adapters of {versions['adapters']['narrow']}. From equal weights ours and PEFT's layer differ by at most """
              + ", ".join(f"{worst:.1e} in {dtype}" for dtype, worst in apart.items()) + """ of the greatest number, in the output and in all gradients.

| layer: tokens, in → out, rank; step: tokens, rank | type | PEFT's | ours | ours : PEFT's | narrow, ours : PEFT's | no adapter : PEFT's | frozen layer, ours : torch's | PEFT's peak above its weights |
|---|---|---:|---:|---:|---:|---:|---:|---:|""", flush=True)

    def apart(self):
        """Lets both compute one layer from the same weights."""
        apart = {}
        with tempfile.TemporaryDirectory() as folder:
            for dtype in self.dtypes:
                path, place = pathlib.Path(folder) / f"{dtype}.safetensors", f"{self.device} {dtype}"
                self.theirs.ask(f"store {path} {' '.join(map(str, EQUAL))} {place}")
                apart[dtype] = self.mine.ask(f"same {path} {place}")["worst"]
                self.aim(f"difference from PEFT's layer in {dtype}, in {AGREEMENT[dtype]:.0e}", apart[dtype] / AGREEMENT[dtype], 1)
        return apart

    def layer(self, size, dtype):
        words = f"{' '.join(map(str, size))} {self.device} {dtype}"
        self.row("layer", f"{size[0]}, {size[1]} → {size[2]}, {size[3]}", dtype, words, bare=[f"layer base {words}"])

    def step(self, size, dtype):
        self.row("step", f"{size[0]}, {size[1]}", dtype, f"{' '.join(map(str, size))} {self.device} {dtype}", bare=[])

    def row(self, task, size, dtype, words, bare):
        mine, theirs = self.mine, self.theirs
        narrow = [] if dtype == "float32" else [(theirs, f"{task} narrow {words}"), (mine, f"{task} narrow {words}")]
        sides = [(theirs, f"{task} peft {words}"), (mine, f"{task} lora {words}"), (theirs, f"{task} base {words}"), *[(mine, one) for one in bare], *narrow]
        run = take_turns(sides, self.repetitions, shared_device=self.device != "cpu")
        peak = theirs.ask(sides[0][1]).get("bytes")
        for side in (mine, theirs):
            side.ask("forget")
        print(f"| {task} {size} | {dtype} | {run.ms(0)} ms | {run.ms(1)} ms | {run.text(1, 0)} | {run.text(len(sides) - 1, len(sides) - 2) if narrow else '–'} | {run.text(2, 0)} "
              f"| {run.text(3, 2) if bare else '–'} | {f'{peak / 1e6:.1f} MB' if peak is not None else '–'} |", flush=True)
        self.ratios[task].append(run.median(1, 0))
        self.aim(f"{task} {size} in {dtype} over PEFT's", run.median(1, 0), 1)
