/** A vision encoder's configuration in AIMv2's words. */
import { present } from '../settings/internal.ts'
import { anyResolutionOf, anyResolutionPublished, anyResolutionWords } from './any-resolution-published.ts'
import { codec, count, oneOf, only, optional, positive, unquantised } from './config-words.ts'
import type { SailVitConfig } from './sail-vit.ts'

const noBias = 'the encoder is built without biases on these maps'

/**
 * A vision encoder: AIMv2's `config.json`, or `vision_config` of a joined model.
 *
 * @category codecs
 */
export const visionConfig = codec(
  'vision encoder',
  {
    model_type: optional(
      oneOf(
        ['aimv2', 'aimv2_vision_model', 'sailvit'],
        'only SAIL-ViT, which is an AIMv2, is built',
        'Unsupported',
      ),
      undefined,
    ),
    image_size: count('the side of an image in pixels, 448 in AIMv2-Huge-448'),
    patch_size: count('the side of a patch in pixels, 14 in AIMv2'),
    hidden_size: count('the width of a token, 1536 in AIMv2-Huge'),
    intermediate_size: count('the width inside the feed-forward block, 4096 in AIMv2-Huge'),
    num_hidden_layers: count('the number of blocks, 24 in AIMv2-Huge'),
    num_attention_heads: count('the number of heads, 12 in AIMv2-Huge'),
    rms_norm_eps: positive('the epsilon of the norms, 1e-5 in AIMv2'),
    num_channels: only(3, 'images have three colour channels'),
    qkv_bias: only(false, noBias),
    use_bias: only(false, noBias),
    mlp_bias: only(false, noBias),
    hidden_act: only('silu', 'the feed-forward block is a SwiGLU'),
    is_native: only(false, 'positions are learned or rotary, and not fixed sines'),
    quantization_config: unquantised,
    ...anyResolutionWords,
  },
  (w): SailVitConfig | readonly [string, string] => {
    if (w.image_size % w.patch_size !== 0)
      return [
        'patch_size',
        `is ${w.patch_size}, which does not divide image_size ${w.image_size}; patches tile the image, so change one of them`,
      ]
    if (w.hidden_size % w.num_attention_heads !== 0)
      return [
        'num_attention_heads',
        `is ${w.num_attention_heads}, which does not divide hidden_size ${w.hidden_size}; change one of them`,
      ]
    const anyResolution = anyResolutionOf(w, w.hidden_size / w.num_attention_heads)
    if (anyResolution !== undefined && !('positions' in anyResolution)) return anyResolution
    return {
      imageSize: w.image_size,
      patchSize: w.patch_size,
      hiddenSize: w.hidden_size,
      intermediateSize: w.intermediate_size,
      layers: w.num_hidden_layers,
      heads: w.num_attention_heads,
      epsilon: w.rms_norm_eps,
      ...present({ anyResolution }),
    }
  },
  (c) => ({
    model_type: 'aimv2',
    image_size: c.imageSize,
    patch_size: c.patchSize,
    num_channels: 3,
    hidden_size: c.hiddenSize,
    intermediate_size: c.intermediateSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    rms_norm_eps: c.epsilon,
    qkv_bias: false,
    use_bias: false,
    attention_dropout: 0,
    projection_dropout: 0,
    ...(c.anyResolution === undefined ? {} : anyResolutionPublished(c.anyResolution)),
  }),
)
