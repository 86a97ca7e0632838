"""A training step of one of bench/accelerator.ts's cases in PyTorch, on the GPU where there is one.

    python steps.py <folder> <case> eager|compile float32|tf32|bfloat16

The folder holds `<case>.json`, `<case>.safetensors` (batches as `<index>.<name>`) and `tile.f32`, of which weights are
made. It says on stdout when it is prepared; a line `measure` on stdin asks for the measurement.
"""

import contextlib
import json
import os
import sys
import time

from answers import answer  # first: see there

started = time.perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from models import Decoder, SailVl2, TextLoss, decays, read_safetensors  # noqa: E402
from torch import nn  # noqa: E402

device = "cuda" if torch.cuda.is_available() else "cpu"


def synchronise():
    if device == "cuda":
        torch.cuda.synchronize()


class Step:
    """One training step: forward, backward, clipping, AdamW; gives the loss, which is still on its way."""

    def __init__(self, folder, case, how, precision):
        high = "highest" if precision == "float32" else "high"
        torch.set_float32_matmul_precision(high)
        torch.backends.cudnn.allow_tf32 = high == "high"
        self.bfloat16 = precision == "bfloat16"
        self.model = self._model(case, self.bfloat16)
        self._fill(np.fromfile(os.path.join(folder, "tile.f32"), dtype=np.float32))
        self.loss = torch.compile(self.model, fullgraph=True, dynamic=False) if how == "compile" else self.model
        self.clip = case["clip"]
        named, o = list(self.model.named_parameters()), case["optimizer"]
        self.adamw = torch.optim.AdamW(
            [
                {"params": [p for k, p in named if decays(k, p)], "weight_decay": o["decay"]},
                {"params": [p for k, p in named if not decays(k, p)], "weight_decay": 0.0},
            ],
            lr=case["learningRate"],
            betas=(o["beta1"], o["beta2"]),
            eps=o["epsilon"],
            fused=True,
        )
        batches = [{} for _ in range(case["batches"])]
        for key, tensor in read_safetensors(os.path.join(folder, f"{case['name']}.safetensors")).items():
            index, name = key.split(".")
            batches[int(index)][name] = tensor.to(device, torch.int64 if tensor.dtype == torch.int32 else None)
        self.batches, self.count = batches, 0

    @staticmethod
    def _model(case, grouped):
        c = case["config"]
        with torch.device("meta"):
            model = SailVl2(c["vision"], c["language"], grouped) if case["kind"] == "vision" else TextLoss(c, grouped)
        model.to_empty(device=device)
        language = c["language"] if case["kind"] == "vision" else c
        even = torch.arange(0, language["headDim"], 2, dtype=torch.float64)
        for module in model.modules():
            if isinstance(module, Decoder):
                module.frequency.copy_((language["ropeTheta"] ** (-even / language["headDim"])).float())
        return model

    @torch.no_grad()
    def _fill(self, tile):
        """As `weightOf` of bench/accelerator.ts."""
        tile = torch.from_numpy(tile).to(device)
        for i, (key, p) in enumerate(sorted(self.model.named_parameters())):
            if p.dim() == 1:
                p.fill_(0.0 if key.endswith("bias") else 1.0)
                continue
            begin = i * 7919 % len(tile)
            p.copy_(tile.repeat((begin + p.numel() - 1) // len(tile) + 1)[begin : begin + p.numel()].view(p.shape))

    def __call__(self):
        batch = self.batches[self.count % len(self.batches)]
        self.count += 1
        self.adamw.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16) if self.bfloat16 else contextlib.nullcontext():
            loss = self.loss(**batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.adamw.step()
        return loss.detach()


def blocks(step, count, repeats, each):
    """Milliseconds a step, block by block: the loss is read each step, or waited for at a block's end."""
    times = []
    for _ in range(repeats):
        synchronise()
        at = time.perf_counter()
        for _ in range(count):
            loss = step()
            if each:
                loss.item()
        loss.item()
        synchronise()
        times.append(1000 * (time.perf_counter() - at) / count)
    return times


def main():
    folder, name, how, precision = sys.argv[1:5]
    with open(os.path.join(folder, f"{name}.json")) as file:
        case = json.load(file)
    library = time.perf_counter()
    step = Step(folder, case, how, precision)
    synchronise()
    built = time.perf_counter()
    losses = [step().item()]
    first = time.perf_counter()
    losses += [step().item() for _ in range(case["compared"] - 1)]
    if device == "cuda":
        torch.cuda.empty_cache()
    chip = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    answer(
        type="prepared",
        version=f"torch {torch.__version__} ({chip})",
        seconds={"library": library - started, "build": built - library, "first": first - built},
        losses=losses,
    )
    sys.stdin.readline()
    once = blocks(step, 3, 1, True)[0]
    count = max(3, min(200, round(1000 * case["blockSeconds"] / once)))
    result = {"count": count, "each": blocks(step, count, case["blocks"], True)}
    result["row"] = blocks(step, count, case["blocks"], False)
    if device == "cuda":
        result["peakBytes"] = torch.cuda.max_memory_allocated()
    answer(type="measured", **result)
    # the one who asked looks at the memory of this process before it ends
    sys.stdin.readline()


try:
    main()
except Exception as error:  # every failure goes to the one who asked
    answer(type="failed", message=f"{type(error).__name__}: {error}")
    raise
