"""Hugging Face's Qwen3 with fresh weights, of a configuration as Sailwright has it."""

import torch
import transformers


def qwen3(c):
    torch.manual_seed(0)
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
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
    )
