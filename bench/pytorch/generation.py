"""Hugging Face `generate` on a Qwen3 with fresh weights, for bench/generation.ts.

    python generation.py '<case as JSON>'

A line on stdin asks for one round; its time goes to stdout as a line of JSON.
"""

import json
import os
import resource
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import torch  # noqa: E402
import transformers  # noqa: E402

case = json.loads(sys.argv[1])
c = case["config"]
torch.manual_seed(0)
torch.set_num_threads(case["threads"])
config = transformers.Qwen3Config(
    vocab_size=c["vocabSize"],
    hidden_size=c["hiddenSize"],
    intermediate_size=c["intermediateSize"],
    num_hidden_layers=c["layers"],
    num_attention_heads=c["heads"],
    num_key_value_heads=c["kvHeads"],
    head_dim=c["headDim"],
    rope_theta=c["ropeTheta"],
    rms_norm_eps=c["epsilon"],
    tie_word_embeddings=c["tied"],
)
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.bfloat16 if case.get("precision") == "bfloat16" else torch.float32
model = transformers.Qwen3ForCausalLM(config).eval().to(device, dtype)
# no token ends an answer, so that every round has the same tokens to write
model.generation_config.eos_token_id = None

lengths = case["lengths"]
longest = max(lengths)
ids = torch.randint(0, c["vocabSize"], (len(lengths), longest)).to(device)
mask = torch.tensor([[0] * (longest - n) + [1] * n for n in lengths]).to(device)


def say(reply):
    answers.write(json.dumps(reply) + "\n")
    answers.flush()


def busy():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


say(
    {
        "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "parameters": sum(p.numel() for p in model.parameters()),
    }
)
for _ in sys.stdin:
    at, used = time.perf_counter(), busy()
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
    say(
        {
            "seconds": time.perf_counter() - at,
            "busySeconds": busy() - used,
            "tokens": (out.shape[1] - longest) * len(lengths),
        }
    )
