"""SAIL-ViT, adapter and Qwen3 in PyTorch, with the published checkpoints' key names, for the programs beside this file.

`grouped`: whether attention is given fewer key-value heads than query heads; where its kernels know no groups, as in
float32, they are repeated instead.
"""

import json
import struct

import torch
import torch.nn.functional as F
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        # under autocast x may be bfloat16: the fused kernel wants one type
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.epsilon)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class VisionAttention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.qkv = linear(size, 3 * size)
        self.proj = linear(size, size)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(b, n, d))


class VisionMlp(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.fc1 = linear(size, hidden)
        self.fc2 = linear(hidden, size)
        self.fc3 = linear(size, hidden)

    def forward(self, x):
        return self.fc2(F.silu(self.fc1(x)) * self.fc3(x))


class VisionBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm_1 = RmsNorm(c["hiddenSize"], c["epsilon"])
        self.attn = VisionAttention(c["hiddenSize"], c["heads"])
        self.norm_2 = RmsNorm(c["hiddenSize"], c["epsilon"])
        self.mlp = VisionMlp(c["hiddenSize"], c["intermediateSize"])

    def forward(self, x):
        x = x + self.attn(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Patchifier(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Conv2d(3, c["hiddenSize"], c["patchSize"], c["patchSize"])
        self.norm = RmsNorm(c["hiddenSize"], c["epsilon"])

    def forward(self, pictures):
        return self.norm(self.proj(pictures).flatten(2).transpose(1, 2))


class Preprocessor(nn.Module):
    def __init__(self, c):
        super().__init__()
        patches = (c["imageSize"] // c["patchSize"]) ** 2
        self.patchifier = Patchifier(c)
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, c["hiddenSize"]))

    def forward(self, pictures):
        return self.patchifier(pictures) + self.pos_embed


class Trunk(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.blocks = nn.ModuleList(VisionBlock(c) for _ in range(c["layers"]))
        self.post_trunk_norm = RmsNorm(c["hiddenSize"], c["epsilon"])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.post_trunk_norm(x)


class SailVit(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.preprocessor = Preprocessor(c)
        self.trunk = Trunk(c)

    def forward(self, pictures):
        return self.trunk(self.preprocessor(pictures))


def pixel_shuffle(x):
    """[tile, patch, channel] -> [tile, patch / 4, channel * 4], rows first."""
    tiles, patches, channels = x.shape
    side = int(patches**0.5)
    x = x.view(tiles, side // 2, 2, side // 2, 2, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(tiles, patches // 4, channels * 4)


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class TextAttention(nn.Module):
    def __init__(self, c, grouped):
        super().__init__()
        size, self.dim = c["hiddenSize"], c["headDim"]
        self.heads, self.kv_heads, self.grouped = c["heads"], c["kvHeads"], grouped
        self.q_proj = linear(size, self.heads * self.dim)
        self.k_proj = linear(size, self.kv_heads * self.dim)
        self.v_proj = linear(size, self.kv_heads * self.dim)
        self.o_proj = linear(self.heads * self.dim, size)
        self.q_norm = RmsNorm(self.dim, c["epsilon"])
        self.k_norm = RmsNorm(self.dim, c["epsilon"])

    def forward(self, x, cos, sin):
        b, n, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, n, self.heads, self.dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, n, self.kv_heads, self.dim)).transpose(1, 2)
        v = self.v_proj(x).view(b, n, self.kv_heads, self.dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = self.heads // self.kv_heads
        if group > 1 and not self.grouped:
            # the float32 kernels that save memory know no groups
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=group > 1 and self.grouped)
        return self.o_proj(y.transpose(1, 2).reshape(b, n, self.heads * self.dim))


class TextMlp(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.gate_proj = linear(size, hidden)
        self.up_proj = linear(size, hidden)
        self.down_proj = linear(hidden, size)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, c, grouped):
        super().__init__()
        self.input_layernorm = RmsNorm(c["hiddenSize"], c["epsilon"])
        self.self_attn = TextAttention(c, grouped)
        self.post_attention_layernorm = RmsNorm(c["hiddenSize"], c["epsilon"])
        self.mlp = TextMlp(c["hiddenSize"], c["intermediateSize"])

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c, grouped):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocabSize"], c["hiddenSize"])
        self.layers = nn.ModuleList(DecoderLayer(c, grouped) for _ in range(c["layers"]))
        self.norm = RmsNorm(c["hiddenSize"], c["epsilon"])
        frequency = c["ropeTheta"] ** (-torch.arange(0, c["headDim"], 2, dtype=torch.float64) / c["headDim"])
        self.register_buffer("frequency", frequency.float(), persistent=False)

    def forward(self, x, positions):
        angles = positions.float()[:, None, :, None] * self.frequency
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Qwen3(nn.Module):
    def __init__(self, c, grouped):
        super().__init__()
        self.model = Decoder(c, grouped)
        self.tied = c["tied"]
        if not self.tied:
            self.lm_head = linear(c["hiddenSize"], c["vocabSize"])

    def logits(self, x):
        return F.linear(x, self.model.embed_tokens.weight) if self.tied else self.lm_head(x)


def next_token_loss(logits, labels):
    # labels are moved and not logits: a copy of all logits would cost more than the loss
    none = torch.full_like(labels[:, :1], -100)
    return F.cross_entropy(
        logits.flatten(0, 1), torch.cat((labels[:, 1:], none), 1).flatten(), ignore_index=-100
    )


class TextLoss(Qwen3):
    """Ids to the mean next-token loss over the labels that are not -100."""

    def forward(self, input_ids, position_ids, labels):
        return next_token_loss(self.logits(self.model(self.model.embed_tokens(input_ids), position_ids)), labels)


class SailVl2(nn.Module):
    """Pictures and ids to the mean next-token loss over the labels that are not -100."""

    def __init__(self, vision, language, grouped):
        super().__init__()
        folded = 4 * vision["hiddenSize"]
        self.vision_model = SailVit(vision)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(folded),
            nn.Linear(folded, language["hiddenSize"]),
            nn.GELU(),
            nn.Linear(language["hiddenSize"], language["hiddenSize"]),
        )
        self.language_model = Qwen3(language, grouped)

    def forward(self, pixel_values, input_ids, position_ids, visual_index, labels):
        visual = self.mlp1(pixel_shuffle(self.vision_model(pixel_values))).flatten(0, 1)
        text = self.language_model.model.embed_tokens(input_ids)
        placed = F.embedding(visual_index.clamp(min=0), visual)
        # under autocast the visual tokens are bfloat16, the text is not
        x = torch.where((visual_index >= 0)[..., None], placed.to(text.dtype), text)
        return next_token_loss(self.language_model.logits(self.language_model.model(x, position_ids)), labels)


def read_safetensors(path):
    """Every tensor of a safetensors file of F32 and I32 tensors."""
    dtypes = {"F32": torch.float32, "I32": torch.int32}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for key, entry in header.items():
        if key != "__metadata__":
            start, end = entry["data_offsets"]
            flat = torch.frombuffer(data, dtype=dtypes[entry["dtype"]], count=(end - start) // 4, offset=start)
            tensors[key] = flat.view(entry["shape"]).clone()
    return tensors


def decays(key, parameter):
    """As src/optim/adamw.ts: matrices decay; norms, biases and learned positions do not."""
    return sum(n > 1 for n in parameter.shape) >= 2 and not key.endswith("pos_embed")
