"""Checkpoints at random weights as transformers writes them, with what it computes from them in float32.

    python scripts/published-fixtures.py <folder>

One run writes the cases of the version of transformers that is installed: the folders end in -v4 or -v5.
"""
import copy, json, os, shutil, sys
import torch, transformers
from safetensors.torch import save_file
from torch import nn
from transformers import Aimv2VisionConfig, Aimv2VisionModel, Qwen3Config, Qwen3ForCausalLM
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

root, major = sys.argv[1], transformers.__version__.split('.')[0]
torch.set_num_threads(1)
versions = f'torch {torch.__version__}, transformers {transformers.__version__}'

def drawn(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            p.copy_(1 + noise / 10 if p.ndim == 1 and 'bias' not in name else noise / p.shape[-1] ** 0.5)
    return model.eval()

def case(name, what, config, tensors, **settings):
    folder = os.path.join(root, f'{name}-v{major}')
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, 'expected.safetensors'))
    with open(os.path.join(folder, 'case.json'), 'w') as f:
        json.dump(dict(what=what, source=f'written by {config}', versions=versions, relative_tolerance=1e-4, **settings), f, indent=1)

def folder_of(name):
    folder = os.path.join(root, f'{name}-v{major}')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder

ids = torch.tensor([[3, 14, 15, 92, 65, 35], [89, 79, 32, 38, 46, 26]])
size = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, pad_token_id=1)

def rope(theta):
    return dict(rope_theta=theta) if major == '4' else dict(rope_parameters=dict(rope_type='default', rope_theta=theta))

def greedy(model, row, n, **more):
    with torch.no_grad():
        return model.generate(row, max_new_tokens=n, do_sample=False, eos_token_id=None, **more)[:, -n:]

def language(name, what, model, **save):
    folder = folder_of(name)
    model.save_pretrained(folder, **save)
    # what is computed is computed from what was written
    again = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = again(input_ids=ids).logits
    case(name, what, f'{type(model).__name__}.save_pretrained', dict(
        input_ids=ids.to(torch.int32), logits=logits, greedy=greedy(again, ids, 10).to(torch.int32)))

language('qwen3-tied', 'Qwen3 dense, tied head, base of the rotary positions 1e6, float32',
         drawn(Qwen3ForCausalLM(Qwen3Config(**size, **rope(1e6), tie_word_embeddings=True)), 1))
language('qwen3-bf16-shards', 'Qwen3 dense, untied head, bfloat16, in several files',
         drawn(Qwen3ForCausalLM(Qwen3Config(**size, **rope(5e5), tie_word_embeddings=False)), 2).to(torch.bfloat16),
         max_shard_size='20KB')
language('qwen3-moe', 'Qwen3-MoE, layer 0 dense and layer 1 with 4 experts, 2 a token, float32',
         drawn(Qwen3MoeForCausalLM(Qwen3MoeConfig(**size, **rope(1e4), num_experts=4, num_experts_per_tok=2,
               moe_intermediate_size=24, norm_topk_prob=True, mlp_only_layers=[0], decoder_sparse_step=1,
               tie_word_embeddings=False)), 3))

vision = dict(image_size=28, patch_size=7, num_channels=3, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
              num_attention_heads=2, rms_norm_eps=1e-5, qkv_bias=False, mlp_bias=False)
pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(4))
encoder = drawn(Aimv2VisionModel(Aimv2VisionConfig(**vision, use_head=False)), 5)
folder = folder_of('aimv2')
encoder.save_pretrained(folder)
with torch.no_grad():
    out = encoder(pixel_values=pixels).last_hidden_state
case('aimv2', "AIMv2 in transformers' names of keys", 'Aimv2VisionModel.save_pretrained', dict(pixel_values=pixels, hidden=out))

class JoinedConfig(PretrainedConfig):
    model_type = 'sailvl'
    sub_configs = dict(vision_config=Aimv2VisionConfig, llm_config=Qwen3Config)
    def __init__(self, vision_config=None, llm_config=None, **more):
        self.vision_config = Aimv2VisionConfig(**vision_config) if isinstance(vision_config, dict) else vision_config or Aimv2VisionConfig()
        self.llm_config = Qwen3Config(**llm_config) if isinstance(llm_config, dict) else llm_config or Qwen3Config()
        self.downsample_ratio, self.ps_version, self.select_layer = 0.5, 'v2', -1
        self.dynamic_image_size, self.use_thumbnail, self.max_dynamic_patch = True, True, 10
        super().__init__(**more)

def apple(state):
    """Transformers' names of an AIMv2 as those of Apple's, under which SAIL-VL2 is published."""
    out = {}
    for key, value in state.items():
        k = key.replace('embeddings.patch_embed.', 'preprocessor.patchifier.proj.').replace('embeddings.rms_norm.', 'preprocessor.patchifier.norm.')
        k = k.replace('encoder.layers.', 'trunk.blocks.').replace('.rms_norm1.', '.norm_1.').replace('.rms_norm2.', '.norm_2.')
        k = k.replace('.ffn.gate_proj.', '.mlp.fc1.').replace('.ffn.up_proj.', '.mlp.fc3.').replace('.ffn.down_proj.', '.mlp.fc2.')
        k = k.replace('.attention.out_proj.', '.attn.proj.')
        if k.startswith('rms_norm.'): k = k.replace('rms_norm.', 'trunk.post_trunk_norm.')
        if 'position_embedding' in k: k, value = 'preprocessor.pos_embed', value[None]
        if '.attention.q_proj.' in k:
            value = torch.cat([state[key], state[key.replace('q_proj', 'k_proj')], state[key.replace('q_proj', 'v_proj')]])
            k = k.replace('.attention.q_proj.', '.attn.qkv.')
        elif '.attention.' in k: continue
        out[k] = value
    return out

def joined(name, what, tied):
    llm = drawn(Qwen3ForCausalLM(Qwen3Config(**size, **rope(1e6), tie_word_embeddings=tied)), 6)
    width = size['hidden_size']
    mlp1 = drawn(nn.Sequential(nn.LayerNorm(96), nn.Linear(96, width), nn.GELU(), nn.Linear(width, width)), 7)
    folder = folder_of(name)
    JoinedConfig(vision_config=Aimv2VisionConfig(**vision, use_head=False), llm_config=copy.deepcopy(llm.config)).save_pretrained(folder)
    state = {f'vision_model.{k}': v for k, v in apple(encoder.state_dict()).items()}
    state |= {f'mlp1.{k}': v for k, v in mlp1.state_dict().items()}
    state |= {f'language_model.{k}': v for k, v in llm.state_dict().items() if not (tied and k == 'lm_head.weight')}
    save_file({k: v.clone().contiguous() for k, v in state.items()}, os.path.join(folder, 'model.safetensors'), metadata=dict(format='pt'))
    # 4 visual tokens an image stand at places 1 to 4 of each row
    with torch.no_grad():
        x = encoder(pixel_values=pixels).last_hidden_state.view(2, 4, 4, 24)
        x = x.view(2, 2, 2, 2, 2, 24).permute(0, 1, 3, 2, 4, 5).reshape(2, 4, 96)
        embedded = llm.get_input_embeddings()(ids).clone()
        embedded[:, 1:5] = mlp1(x)
        logits = llm(inputs_embeds=embedded).logits
    case(name, what, 'a configuration of transformers and safetensors, from Aimv2VisionModel, Qwen3ForCausalLM and torch', dict(
        input_ids=ids.to(torch.int32), pixel_values=pixels, logits=logits,
        greedy=greedy(llm, None, 8, inputs_embeds=embedded).to(torch.int32)), image_at=[1, 4])

joined('sail-vl2-tied', 'SAIL-VL2 layout: vision_model, mlp1, language_model, tied head', True)
joined('sail-vl2-untied', 'the same with a head of its own', False)
