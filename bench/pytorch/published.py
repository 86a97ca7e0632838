"""A folder of a published model's shape, and what transformers makes of it, for bench/published.ts.

    python published.py write <folder> <float32 | bfloat16> '<configuration as JSON>'
    python published.py read <folder> <float32 | bfloat16> <threads>

The second is asked a line of JSON at a time: {"logits": ids} answers the logits of every token as a file, {"answer": ids, "tokens": n}
the tokens that are likeliest one by one.
"""

import json
import sys
import time

from answers import answer, busy_seconds  # first: see there

import torch  # noqa: E402
import transformers  # noqa: E402
from hugging_face import qwen3  # noqa: E402

what, folder, name = sys.argv[1:4]
dtype = getattr(torch, name)
if what == "write":
    qwen3(json.loads(sys.argv[4])).to(dtype).save_pretrained(folder, max_shard_size="700MB")
    answer(written=folder)
    sys.exit()

torch.set_num_threads(int(sys.argv[4]))
at, used = time.perf_counter(), busy_seconds()
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
model.generation_config.eos_token_id = None
answer(
    version=f"transformers {transformers.__version__}, torch {torch.__version__}",
    seconds=time.perf_counter() - at,
    busySeconds=busy_seconds() - used,
)
for line in sys.stdin:
    asked = json.loads(line)
    at, used = time.perf_counter(), busy_seconds()
    with torch.inference_mode():
        if "logits" in asked:
            found = model(torch.tensor([asked["logits"]])).logits[0].float().numpy().tobytes()
            with open(asked["file"], "wb") as f:
                f.write(found)
            ids = []
        else:
            prompt = torch.tensor([asked["answer"]])
            out = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                min_new_tokens=asked["tokens"],
                max_new_tokens=asked["tokens"],
                do_sample=False,
                pad_token_id=0,
            )
            ids = out[0, prompt.shape[1] :].tolist()
    answer(
        seconds=time.perf_counter() - at,
        busySeconds=busy_seconds() - used,
        tokens=max(1, len(ids)),
        ids=ids,
    )
