"""A text step of bench/lengths.ts in PyTorch eager.

    python lengths.py <configuration as JSON> <rows> <tokens> <steps> <threads>

Says as JSON the seconds to the first step, milliseconds of each further one, the most memory the process held, and what it
held before its first step.
"""

import json
import sys
import time

import torch
from models import TextLoss, decays
from torch import nn

config, rows, tokens, steps, threads = json.loads(sys.argv[1]), *map(int, sys.argv[2:6])
torch.set_num_threads(threads)
began = time.perf_counter()
model = TextLoss(config, grouped=False)
named = list(model.named_parameters())
adamw = torch.optim.AdamW(
    [
        {"params": [p for k, p in named if decays(k, p)], "weight_decay": 0.1},
        {"params": [p for k, p in named if not decays(k, p)], "weight_decay": 0.0},
    ],
    lr=1e-4,
    fused=True,
)
ids = ((torch.arange(rows * tokens) * 7919) % config["vocabSize"]).view(rows, tokens)
positions = torch.arange(tokens).expand(rows, tokens)


def mebibytes(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(what))


def step():
    adamw.zero_grad(set_to_none=True)
    loss = model(input_ids=ids, position_ids=positions, labels=ids)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adamw.step()
    return loss.item()


before = mebibytes("VmRSS")
step()
first = time.perf_counter() - began
took = []
for _ in range(steps):
    at, busy = time.perf_counter(), time.process_time()
    step()
    took.append([1000 * (time.perf_counter() - at), 1000 * (time.process_time() - busy)])
print(json.dumps({"first": first, "took": took, "peak": mebibytes("VmHWM"), "open": before}))
