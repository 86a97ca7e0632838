"""Hugging Face `generate` on a Qwen3 with fresh weights, for bench/generation.ts.

    python generation.py '<case as JSON>'

A line on stdin asks for one round; its time goes to stdout as a line of JSON.
"""

import json
import sys
import time

from answers import answer, busy_seconds  # first: see there

import torch  # noqa: E402
import transformers  # noqa: E402
from hugging_face import qwen3  # noqa: E402

case = json.loads(sys.argv[1])
c = case["config"]
torch.set_num_threads(case["threads"])
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.bfloat16 if case.get("precision") == "bfloat16" else torch.float32
model = qwen3(c).eval().to(device, dtype)
# no token ends an answer, so that every round has the same tokens to write
model.generation_config.eos_token_id = None

lengths = case["lengths"]
longest = max(lengths)
ids = torch.randint(0, c["vocabSize"], (len(lengths), longest)).to(device)
mask = torch.tensor([[0] * (longest - n) + [1] * n for n in lengths]).to(device)

answer(
    version=f"transformers {transformers.__version__}, torch {torch.__version__}",
    parameters=sum(p.numel() for p in model.parameters()),
)
for _ in sys.stdin:
    at, used = time.perf_counter(), busy_seconds()
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=case["tokens"],
            do_sample=True,
            temperature=1.0,
            top_k=None,
            pad_token_id=0,
        ).cpu()
    answer(
        seconds=time.perf_counter() - at,
        busySeconds=busy_seconds() - used,
        tokens=(out.shape[1] - longest) * len(lengths),
    )
