"""PEFT itself with transformers' Llama, for side-by-side timing on the same libtorch: what torch_lora.py spells out in plain PyTorch, done by the libraries. PEFT 0.12 or newer.

  peft_peer.py serve    reads one task a line on stdin, answers one JSON line with the milliseconds of ONE repetition; on CUDA with the bytes too that it allocated at the most
                        beside those that were there before. It waits for the device before it looks at the clock.

Tasks:  layer FORM N IN OUT R [DEVICE [TYPE]]   forward + backward of one linear without bias; FORM = base (frozen, dX only) | peft | narrow
        step FORM T R [DEVICE [TYPE]]           one training step (forward, loss, backward, torch's AdamW) of a 25 M parameter LlamaForCausalLM on T tokens, all-linear; FORM as above
        store FILE N IN OUT R [DEVICE [TYPE]]   a layer's weights, input, output and gradients into a safetensors file
        about [DEVICE]                          versions, the device's name, how attention is computed, and the types of adapters over a bfloat16 base
        forget                                  frees what was got ready
Forms:  peft    get_peft_model as it comes: adapters over a base of 16 bits are float32 (autocast_adapter_dtype=True)
        narrow  autocast_adapter_dtype=False: adapters are of the base's type
"""
import gc, json, os, platform, sys, time
import peft, torch, transformers
from safetensors.torch import save_file

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
LLAMA = dict(vocab_size=4096, hidden_size=512, intermediate_size=1376, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=8, rms_norm_eps=1e-5, tie_word_embeddings=True)
SPREAD = 0.02  # of the second factors: PEFT begins with zeros


class Place:
    def __init__(self, device="cpu", dtype="float32"):
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        self.cuda = self.device.type == "cuda"

    def normal(self, *shape, **how):
        return torch.randn(*shape, device=self.device, dtype=self.dtype, **how)

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize(self.device)


def adapted(model, form, r, targets):
    config = peft.LoraConfig(r=r, lora_alpha=2 * r, target_modules=targets)
    wrapped = peft.get_peft_model(model, config, autocast_adapter_dtype=form != "narrow")
    for name, parameter in wrapped.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=SPREAD)
    return wrapped


def linear(form, i, o, r, place):
    bare = torch.nn.Linear(i, o, bias=False, device=place.device, dtype=place.dtype).requires_grad_(False)
    return bare if form == "base" else adapted(torch.nn.Sequential(bare), form, r, ["0"]).base_model.model[0]


def layer(form, n, i, o, r, place):
    module = linear(form, i, o, r, place)
    x, g = place.normal(n, i, requires_grad=True), place.normal(n, o)
    trained = [x] + [p for p in module.parameters() if p.requires_grad]

    def run():
        module(x).backward(g)
        for p in trained:
            p.grad = None
    return run


def step(form, t, r, place):
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, use_cache=False)).to(place.device, place.dtype)
    if form == "base":
        model.requires_grad_(False)
        model.enable_input_require_grads()  # gradients flow to the first layer's input, as they do with adapters
    else:
        model = adapted(model, form, r, "all-linear")
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4) if trained else None
    ids = torch.randint(0, LLAMA["vocab_size"], (1, t), device=place.device)

    def run():
        model(input_ids=ids, labels=ids).loss.backward()
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()
    return run


TASKS = {"layer": layer, "step": step}


def store(path, n, i, o, r, place):
    module = linear("peft", i, o, r, place)
    x, g = place.normal(n, i, requires_grad=True), place.normal(n, o)
    y = module(x)
    y.backward(g)
    a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
    kept = {"weight": module.base_layer.weight, "a": a, "b": b, "input": x, "gradient": g, "output": y, "input_gradient": x.grad, "a_gradient": a.grad, "b_gradient": b.grad}
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}, path)
    return {"bytes": os.path.getsize(path)}


def about(place):
    narrow = Place(place.device, "bfloat16")
    return {
        "python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda, "peft": peft.__version__, "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name(place.device) if place.cuda else "cpu", "tf32": torch.backends.cuda.matmul.allow_tf32,
        "attention": transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**LLAMA, "num_hidden_layers": 1})).config._attn_implementation,
        "adapters": {form: str(linear(form, 8, 8, 2, narrow).lora_A["default"].weight.dtype)[len("torch."):] for form in ("peft", "narrow")}}


def timed(task, run):
    place = task[-1]
    if place.cuda:
        before = torch.cuda.memory_allocated(place.device)
        torch.cuda.reset_peak_memory_stats(place.device)
    place.wait()
    begin = time.perf_counter()
    run()
    place.wait()
    answer = {"ms": (time.perf_counter() - begin) * 1e3}
    if place.cuda:
        answer["bytes"] = torch.cuda.max_memory_allocated(place.device) - before
    return answer


def parsed(words):
    """The sizes of a task, then its place."""
    sizes = [int(word) for word in words if word.isdigit()]
    return [*sizes, Place(*words[len(sizes):])]


def serve():
    ready = {}
    for line in sys.stdin:
        task = line.split()
        if not task:
            continue
        key = " ".join(task)
        if task[0] == "forget":
            ready.clear()
            gc.collect()
            torch.cuda.empty_cache()
            answer = {}
        elif task[0] == "about":
            answer = about(Place(*task[1:]))
        elif task[0] == "store":
            torch.manual_seed(0)
            answer = store(task[1], *parsed(task[2:]))
        else:
            arguments = parsed(task[2:])
            if key not in ready:
                torch.manual_seed(0)
                ready[key] = TASKS[task[0]](task[1], *arguments)
                ready[key]()  # warm-up, not timed
            answer = timed(arguments, ready[key])
        print(json.dumps({"task": key, **answer}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(__doc__)
