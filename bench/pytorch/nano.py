"""The training step that `sailwright bench` measures, in PyTorch.

    python nano.py <folder> eager|compile

The folder holds `case.json` (sizes, optimizer), `weights.safetensors` (published key names) and `batches.safetensors`.
Requests come as JSON lines on stdin, answers go as JSON lines to stdout; see src/bench/protocol.ts.
"""

import json
import os
import resource
import sys
import time

from answers import answer, busy_seconds  # first: see there

started = time.perf_counter()

import torch  # noqa: E402
from models import SailVl2, decays, read_safetensors  # noqa: E402
from torch import nn  # noqa: E402


class Step:
    """One training step: forward, backward, clipping, AdamW."""

    def __init__(self, case, weights, compiled):
        optimizer = case["optimizer"]
        self.model = SailVl2(case["model"]["config"]["vision"], case["model"]["config"]["language"], grouped=False)
        self.model.load_state_dict(weights, strict=True)
        self.loss = torch.compile(self.model, fullgraph=True, dynamic=False) if compiled else self.model
        self.clip = case["clip"]
        named = list(self.model.named_parameters())
        groups = [
            {"params": [p for k, p in named if decays(k, p)], "weight_decay": optimizer["decay"]},
            {"params": [p for k, p in named if not decays(k, p)], "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(
            groups,
            lr=case["learningRate"],
            betas=(optimizer["beta1"], optimizer["beta2"]),
            eps=optimizer["epsilon"],
            fused=True,
        )

    def __call__(self, batch):
        self.adamw.zero_grad(set_to_none=True)
        loss = self.loss(**batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.adamw.step()
        return loss.item(), norm.item()


def peak_bytes():
    """The most memory that this process ever held."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def main():
    folder, mode = sys.argv[1:3]
    with open(os.path.join(folder, "case.json")) as file:
        case = json.load(file)
    torch.set_num_threads(case["threads"])
    batches = [{} for _ in range(case["batches"])]
    for key, tensor in read_safetensors(os.path.join(folder, "batches.safetensors")).items():
        index, name = key.split(".")
        if name == "learnt_places":
            continue  # every position is computed here
        # embedding and cross_entropy take 64-bit indices; converting them is not part of the step
        batches[int(index)][name] = tensor.long() if tensor.dtype == torch.int32 else tensor
    weights = read_safetensors(os.path.join(folder, "weights.safetensors"))
    answer(type="ready", version=f"torch {torch.__version__}", seconds=time.perf_counter() - started)

    step, done = None, 0

    def run():
        nonlocal done
        result = step(batches[done % len(batches)])
        done += 1
        return result

    idle_since, busy_then = time.perf_counter(), busy_seconds()
    for line in sys.stdin:
        request = json.loads(line)
        idle = {"seconds": time.perf_counter() - idle_since, "busySeconds": busy_seconds() - busy_then}
        if request["type"] == "prepare":
            at = time.perf_counter()
            step = Step(case, weights, mode == "compile")
            built = time.perf_counter()
            loss, norm = run()
            end = time.perf_counter()
            parts = {"build": built - at, "firstCall": end - built}
            answer(type="prepared", seconds=end - at, parts=parts, loss=loss, gradientNorm=norm)
        elif request["type"] == "steps":
            at, busy_before = time.perf_counter(), busy_seconds()
            results = [run() for _ in range(request["count"])]
            seconds, busy = time.perf_counter() - at, busy_seconds() - busy_before
            losses, norms = [r[0] for r in results], [r[1] for r in results]
            answer(
                type="stepped", seconds=seconds, busySeconds=busy, losses=losses, gradientNorms=norms, idle=idle
            )
        else:
            answer(type="ended", peakBytes=peak_bytes())
            return
        idle_since, busy_then = time.perf_counter(), busy_seconds()


try:
    main()
except Exception as error:  # every failure goes to the one who asked
    answer(type="failed", message=f"{type(error).__name__}: {error}")
    raise
