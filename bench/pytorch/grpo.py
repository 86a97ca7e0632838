"""TRL's GRPO on a Qwen3 with fresh weights, for bench/trl.ts.

    python grpo.py '<case as JSON>' time
    python grpo.py '<case as JSON>' dump <folder>

With `time` a line on stdin asks for one step (rollouts, rewards, advantages, update), and its time goes to stdout as a line of
JSON. With `dump` each rollout is learnt from twice; what the second update saw (weights, rollouts, advantages, old
log-probabilities) and the loss that it had go to the folder.
"""

import json
import os
import sys
import time

from answers import answer, busy_seconds  # first: see there

import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset  # noqa: E402
from hugging_face import qwen3  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

case = json.loads(sys.argv[1])
mode = sys.argv[2]
c = case["config"]
torch.set_num_threads(case["threads"])
model = qwen3(c)
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_file=case["tokenizer"], eos_token=case["end"], pad_token=case["pad"]
)


def even(completion_ids, **_):
    """The share of even tokens among as many as an answer may have."""
    return [sum(1 for t in ids if t % 2 == 0) / case["tokens"] for ids in completion_ids]


class Timed(transformers.TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if not sys.stdin.readline():
            os._exit(0)
        self.at, self.used = time.perf_counter(), busy_seconds()

    def on_step_end(self, args, state, control, **_):
        answer(seconds=time.perf_counter() - self.at, busySeconds=busy_seconds() - self.used)


class Dumping(trl.GRPOTrainer):
    """Keeps what the second update of a rollout sees and has."""

    updates = 0

    def compute_loss(self, model, inputs, *rest, **more):
        self.updates += 1
        # the trainer hands on its own tensors: they are taken before anything changes them
        kept = {k: inputs[k] for k in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages", "old_per_token_logps")}
        kept = {k: v.detach().clone().contiguous() for k, v in kept.items()}
        weights = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
        loss = super().compute_loss(model, inputs, *rest, **more)
        if self.updates == 2:
            folder = sys.argv[3]
            kept["loss"] = loss.detach().float().reshape(1).contiguous()
            whole = {k: v.to(torch.int32) if v.dtype in (torch.int64, torch.bool) else v.float() for k, v in kept.items()}
            save_file(whole, os.path.join(folder, "step.safetensors"))
            save_file(weights, os.path.join(folder, "weights.safetensors"))
        return loss


twice = mode == "dump"
args = trl.GRPOConfig(
    output_dir=os.path.join(case["folder"], "trl"),
    per_device_train_batch_size=case["completions"],
    gradient_accumulation_steps=1,
    num_generations=case["group"],
    num_iterations=2 if twice else 1,
    max_completion_length=case["tokens"],
    temperature=1.0,
    top_k=0,
    beta=0.0,
    loss_type="dapo",
    epsilon=0.2,
    epsilon_high=0.28,
    scale_rewards="group",
    learning_rate=1e-2 if twice else 1e-4,
    lr_scheduler_type="constant",
    max_steps=2 if twice else 1_000_000,
    num_train_epochs=1,
    bf16=False,
    gradient_checkpointing=False,
    use_cpu=True,
    dataloader_pin_memory=False,
    report_to="none",
    save_strategy="no",
    logging_strategy="no",
    disable_tqdm=True,
    seed=0,
)
trainer = (Dumping if twice else trl.GRPOTrainer)(
    model=model,
    reward_funcs=even,
    args=args,
    train_dataset=Dataset.from_list([{"prompt": p} for p in case["prompts"]]),
    processing_class=tokenizer,
    callbacks=[] if twice else [Timed()],
)
if not twice:
    answer(version=f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
trainer.train()
if twice:
    answer(done=True)
