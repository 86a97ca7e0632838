import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ConfigError,
  decodeConfig,
  fromPublished,
  languageConfig,
  readConfig,
  toPublished,
  visionConfig,
  visionLanguageConfig,
} from '../../src/models/config.ts'
import { nano, type Preset, presetModel, presets } from '../../src/models/presets.ts'
import { pretrained, pretrainedModel } from '../../src/models/pretrained.ts'
import { type Qwen3Config, qwen3Model } from '../../src/models/qwen3.ts'
import type { SailVitConfig } from '../../src/models/sail-vit.ts'
import { type SailVl2Model, sailVl2Model } from '../../src/models/sail-vl2.ts'
import { fixtureJson, fixturePath } from '../support/fixtures.ts'

const test = suite('models: config.json in published words')

const read = (json: unknown): Preset => {
  const got = fromPublished(json)
  if (E.isLeft(got)) throw got.left
  return got.right
}

const failure = (json: unknown): ConfigError => {
  const got = fromPublished(json)
  if (E.isRight(got)) throw new Error(`read as ${JSON.stringify(got.right)}`)
  assert.instance(got.left, ConfigError)
  return got.left
}

const json = (name: string): Record<string, unknown> => fixtureJson(`models/${name}/config.json`)

test('the reference models', () => {
  const vision = {
    imageSize: 56,
    patchSize: 14,
    hiddenSize: 16,
    intermediateSize: 24,
    layers: 2,
    heads: 2,
    epsilon: 1e-5,
  }
  const language = {
    vocabSize: 40,
    hiddenSize: 32,
    intermediateSize: 48,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    ropeTheta: 1e6,
    epsilon: 1e-6,
    tied: true,
  }
  assert.equal(read(json('sail-vit')), { kind: 'vision', config: vision })
  assert.equal(read(json('qwen3-tied')), { kind: 'language', config: language })
  assert.equal(read(json('qwen3-untied')), {
    kind: 'language',
    config: { ...language, kvHeads: 4, tied: false },
  })
  const anyVision = { ...vision, imageSize: 32, patchSize: 4 }
  for (const [change, anyResolution] of [
    [{}, { positions: 'both' }],
    [{ disable_rope: true }, { positions: 'learned' }],
    [
      { disable_rope: true, interpolate_pe_method: 'bilinear_align_corners' },
      { positions: 'learned', interpolation: 'bilinearCorners' },
    ],
    [
      { preserve_original_pe: undefined, rope_theta: 100 },
      { positions: 'rotary', ropeTheta: 100 },
    ],
  ] as const) {
    const preset = { kind: 'vision', config: { ...anyVision, anyResolution } } as const
    assert.equal(read({ ...json('sail-vit-any'), ...change }), preset)
    assert.equal(read(toPublished(preset)), preset)
  }
  // with the published word for the number of experts as with the newer one
  const { num_local_experts, ...published } = json('qwen3-moe')
  for (const file of [json('qwen3-moe'), { ...published, num_experts: num_local_experts }])
    assert.equal(read(file), {
      kind: 'language',
      config: {
        ...language,
        tied: false,
        moe: { experts: 8, perToken: 2, intermediateSize: 16, normalise: true, balance: 0.01 },
      },
    })
  // what the class of transformers means where a file says nothing
  const { norm_topk_prob: _n, router_aux_loss_coef: _r, ...short } = published
  const bare = read({ ...short, num_experts: 8, decoder_sparse_step: 2, mlp_only_layers: [1] })
  assert.equal((bare.config as Qwen3Config).moe, {
    ...{ experts: 8, perToken: 2, intermediateSize: 16, normalise: false, balance: 0.001 },
    ...{ sparseStep: 2, denseLayers: [1] },
  })
  assert.equal(read(JSON.parse(JSON.stringify(toPublished(bare)))), bare)
  // what is not balanced says so: without the word a reader balances
  const { balance: _b, ...unbalanced } = (bare.config as Qwen3Config).moe!
  const told = toPublished({ ...bare, config: { ...bare.config, moe: unbalanced } } as Preset)
  assert.is((told as { router_aux_loss_coef?: number }).router_aux_loss_coef, 0)
  assert.equal(read(json('sail-vl2')), {
    kind: 'vision-language',
    config: {
      vision,
      language: { ...language, vocabSize: 48, intermediateSize: 56, tied: false },
      order: 'v2',
    },
  })
})

/** As it comes back: the order of the pixel shuffle said, and how fresh weights are filled left out. */
const asPublished = (p: Preset): Preset => {
  const trunk = ({ patchInit: _, ...c }: SailVitConfig): SailVitConfig => c
  return p.kind === 'vision'
    ? { ...p, config: trunk(p.config) }
    : p.kind === 'language'
      ? p
      : { ...p, config: { order: 'v2', ...p.config, vision: trunk(p.config.vision) } }
}

test('every preset comes back from its published words, through JSON', () => {
  for (const [name, preset] of Object.entries(presets))
    assert.equal(read(JSON.parse(JSON.stringify(toPublished(preset)))), asPublished(preset), name)
})

test('the round trip holds for any configuration', () => {
  const n = fc.integer({ min: 1, max: 300 })
  const positive = fc.double({ min: 1e-9, max: 1e7, noNaN: true })
  const vision = fc
    .tuple(n, n, n, n, n, n, positive)
    .map(([side, patch, head, hidden, layers, heads, epsilon]) => ({
      imageSize: 2 * side * patch,
      patchSize: patch,
      hiddenSize: head * heads,
      intermediateSize: hidden,
      layers,
      heads,
      epsilon,
    }))
  const language = fc
    .tuple(n, n, n, n, n, n, n, positive, positive, fc.boolean())
    .map(([vocab, width, hidden, layers, group, kv, half, theta, epsilon, tied]) => ({
      vocabSize: vocab,
      hiddenSize: width,
      intermediateSize: hidden,
      layers,
      heads: group * kv,
      kvHeads: kv,
      headDim: 2 * half,
      ropeTheta: theta,
      epsilon,
      tied,
    }))
  const order = fc.constantFrom('v1' as const, 'v2' as const)
  fc.assert(
    fc.property(vision, language, order, (v, l, o) => {
      const joined = { vision: v, language: l, order: o }
      assert.equal(decodeConfig(visionConfig, visionConfig.encode(v)), E.right(v))
      assert.equal(decodeConfig(languageConfig, languageConfig.encode(l)), E.right(l))
      assert.equal(
        decodeConfig(visionLanguageConfig, JSON.parse(JSON.stringify(visionLanguageConfig.encode(joined)))),
        E.right(joined),
      )
    }),
  )
})

test('a codec knows its own configurations', () => {
  assert.ok(visionConfig.is(nano.vision))
  assert.ok(languageConfig.is(nano.language))
  assert.ok(visionLanguageConfig.is(nano))
  assert.not.ok(languageConfig.is(nano.vision))
  assert.not.ok(visionConfig.is({ ...nano.vision, patchSize: 13 }))
  for (const u of [null, 1, 'nano', {}]) assert.not.ok(visionLanguageConfig.is(u))
})

test('what is left out: untied head, the class default of ps_version; a newer place of the rotary base', () => {
  const { tie_word_embeddings: _t, rope_theta: _r, ...rest } = json('qwen3-tied')
  const newer = read({ ...rest, rope_parameters: { rope_theta: 5e6, rope_type: 'default' } })
  assert.ok(newer.kind === 'language' && newer.config.ropeTheta === 5e6 && !newer.config.tied)
  const { ps_version: _p, ...joined } = json('sail-vl2')
  const old = read(joined)
  assert.ok(old.kind === 'vision-language' && old.config.order === 'v1')
})

test('a scaling that scales nothing is none; the base that stands nearest to the rotary positions holds', () => {
  const { rope_theta: _r, ...rest } = json('qwen3-tied')
  const theta = (more: object): number => {
    const got = read({ ...rest, ...more })
    return got.kind === 'language' ? got.config.ropeTheta : Number.NaN
  }
  for (const rope_scaling of [
    null,
    {},
    { type: 'default' },
    { rope_type: 'default' },
    { type: 'linear', factor: 1 },
  ])
    assert.is(theta({ rope_theta: 5e5, rope_scaling }), 5e5)
  assert.is(theta({ rope_scaling: { rope_theta: 3e5, rope_type: 'default' } }), 3e5)
  assert.is(theta({ rope_theta: 1e4, rope_scaling: { rope_theta: 3e5 } }), 3e5)
  assert.is(theta({ rope_theta: 1e4, rope_parameters: { rope_theta: 1e6, rope_type: 'default' } }), 1e6)
  assert.is(theta({ rope_theta: 1e4, rope_parameters: { rope_type: 'default' } }), 1e4)
})

test('how a joined model was trained to see images cut: read, written, and refused where it cannot be done', () => {
  const plain = toPublished({ kind: 'vision-language', config: nano })
  const tiled = { ...plain, dynamic_image_size: true }
  const tilingOf = (words: object): unknown => (read({ ...tiled, ...words }).config as typeof nano).tiling
  assert.is((read(plain).config as typeof nano).tiling, undefined)
  // the defaults of the published class
  assert.equal(tilingOf({}), { least: 1, most: 6, thumbnail: false })
  const all = { min_dynamic_patch: 2, max_dynamic_patch: 12, use_thumbnail: true }
  assert.equal(tilingOf(all), { least: 2, most: 12, thumbnail: true })
  const { image } = presetModel('tiled', read({ ...tiled, ...all })) as SailVl2Model
  assert.equal(image, { size: 112, tokens: 16, tiling: { least: 2, most: 12, thumbnail: true } })
  assert.equal(read({ ...plain, force_image_size: nano.vision.imageSize }), read(plain))
  for (const [words, key, why] of [
    [{ force_image_size: 224 }, 'force_image_size', /is 224, and vision_config.image_size is 112/],
    [{ pad2square: true }, 'pad2square', /is true, not false; images are stretched/],
    [{ dynamic_image_size: 'yes' }, 'dynamic_image_size', /is "yes", not true or false/],
    [{ ...tiled, min_dynamic_patch: 7 }, 'min_dynamic_patch', /is 7, and max_dynamic_patch is 6/],
    [{ ...tiled, max_dynamic_patch: 0 }, 'max_dynamic_patch', /is 0, not a whole number from 1 on/],
  ] as const) {
    const error = failure({ ...plain, ...words })
    assert.is(error.key, key)
    assert.match(error.message, why)
  }
  const any = toPublished(presets['nano-anyres']!)
  assert.is(failure({ ...any, dynamic_image_size: true }).key, 'dynamic_image_size')
})

test('quantised weights and other layouts of models that see are refused by name', () => {
  const fp8 = { quantization_config: { quant_method: 'fp8' } }
  const [see, say] = [toPublished({ kind: 'vision-language', config: nano }), json('qwen3-tied')]
  for (const [words, key] of [
    [{ ...say, ...fp8 }, 'quantization_config'],
    [{ ...see, ...fp8 }, 'quantization_config'],
    [
      { ...see, llm_config: { ...languageConfig.encode(nano.language), ...fp8 } },
      'llm_config.quantization_config',
    ],
    [{ ...visionConfig.encode(nano.vision), ...fp8 }, 'quantization_config'],
  ] as const) {
    const error = failure(words)
    assert.equal([error.tag, error.key], ['Unsupported', key])
    assert.match(error.message, /not null; weights are read as they are: take the model as it was before/)
  }
  const other = failure({ model_type: 'qwen3_vl', text_config: say, vision_config: { depth: 2 } })
  assert.equal([other.tag, other.key], ['Unsupported', 'text_config'])
  assert.match(other.message, /another layout \("qwen3_vl"\).*vision_config and llm_config/)
  // as an export writes the model of an experiment's own file: it was said to be an encoder without an image_size
  const own = failure({ kind: 'my-llava', size: 32, patchSize: 8, eos_token_id: 2 })
  assert.equal([own.tag, own.key], ['Unsupported', 'kind'])
  assert.match(own.message, /"my-llava".*name the run that trained it/)
})

test('errors name the key, what it is and what to do', () => {
  const vision = json('sail-vit')
  const any = json('sail-vit-any')
  const language = json('qwen3-tied')
  const experts = json('qwen3-moe')
  const joined = json('sail-vl2')
  const inside = (part: 'vision_config' | 'llm_config', change: Record<string, unknown>): unknown => ({
    ...joined,
    [part]: { ...(joined[part] as object), ...change },
  })
  const cases: readonly (readonly [unknown, string, string, RegExp])[] = [
    [
      { ...vision, hidden_size: undefined },
      'Missing',
      'hidden_size',
      /is missing; add it: the width of a token/,
    ],
    [{ ...vision, patch_size: 13 }, 'BadValue', 'patch_size', /13.*does not divide image_size 56/],
    [
      { ...vision, num_attention_heads: 3 },
      'BadValue',
      'num_attention_heads',
      /does not divide hidden_size 16/,
    ],
    [{ ...vision, rms_norm_eps: 0 }, 'BadValue', 'rms_norm_eps', /is 0, not a positive number/],
    [{ ...vision, qkv_bias: true }, 'Unsupported', 'qkv_bias', /is true, not false; .*without biases/],
    [{ ...vision, is_native: true }, 'Unsupported', 'is_native', /not fixed sines/],
    ...['v1', undefined].map((ps_version): readonly [unknown, string, string, RegExp] => [
      { ...joined, vision_config: { ...(joined.vision_config as object), disable_rope: false }, ps_version },
      ...(['BadValue', 'ps_version', /"v2"/] as const),
    ]),
    [{ ...any, interpolate_pe_method: 'one_dim' }, 'Unsupported', 'interpolate_pe_method', /two dimensions/],
    [{ ...any, fullatt_block_indexes: [1] }, 'Unsupported', 'fullatt_block_indexes', /whole image/],
    [{ ...any, hidden_stride: 1 }, 'Unsupported', 'hidden_stride', /2 × 2/],
    [
      { ...any, preserve_original_pe: false, disable_rope: true },
      'BadValue',
      'disable_rope',
      /where a patch is/,
    ],
    [{ ...any, num_attention_heads: 8 }, 'BadValue', 'num_attention_heads', /heads of 2; .*multiple of 4/],
    [{ ...language, head_dim: '128' }, 'BadValue', 'head_dim', /is "128", not a whole number.*128 in Qwen3/],
    [{ ...language, head_dim: 7 }, 'BadValue', 'head_dim', /make it even/],
    [{ ...language, vocab_size: 1.5 }, 'BadValue', 'vocab_size', /is 1.5, not a whole number/],
    [{ ...language, num_key_value_heads: 3 }, 'BadValue', 'num_key_value_heads', /does not divide/],
    [{ ...language, rope_theta: undefined }, 'Missing', 'rope_theta', /is missing; .*1000000/],
    [
      { ...language, rope_scaling: { type: 'yarn', factor: 4 } },
      'Unsupported',
      'rope_scaling.type',
      /"yarn".*unscaled/,
    ],
    [
      { ...language, rope_parameters: { rope_type: 'yarn' } },
      'Unsupported',
      'rope_parameters.rope_type',
      /yarn/,
    ],
    [
      { ...language, rope_scaling: { type: 'linear', factor: 2 } },
      'Unsupported',
      'rope_scaling.factor',
      /is 2/,
    ],
    [{ ...language, rope_scaling: { factor: 8 } }, 'Unsupported', 'rope_scaling.factor', /is 8/],
    [
      { ...language, rope_scaling: { type: 'default', mrope_section: [16, 24, 24] } },
      'Unsupported',
      'rope_scaling.mrope_section',
      /one number a token/,
    ],
    [
      { ...language, rope_parameters: { partial_rotary_factor: 0.5 } },
      'Unsupported',
      'rope_parameters.partial_rotary_factor',
      /is 0.5/,
    ],
    [{ ...language, partial_rotary_factor: 0.5 }, 'Unsupported', 'partial_rotary_factor', /is 0.5/],
    ...['siglip_vision_model', 'intern_vit_6b', 'clip_vision_model', 7].flatMap(
      (model_type): (readonly [unknown, string, string, RegExp])[] => [
        [{ ...vision, model_type }, 'Unsupported', 'model_type', /only SAIL-ViT/],
        // the encoder is named before any key that it lacks
        [{ model_type, image_size: 224, patch_size: 16 }, 'Unsupported', 'model_type', /only SAIL-ViT/],
        [inside('vision_config', { model_type }), 'Unsupported', 'vision_config.model_type', /only SAIL-ViT/],
      ],
    ),
    [{ ...language, model_type: 'qwen2_moe' }, 'Unsupported', 'model_type', /"qwen2_moe".*only Qwen3/],
    [{ ...language, model_type: 'qwen3_moe' }, 'Missing', 'num_experts', /is missing; add it/],
    [{ ...language, num_experts: 8 }, 'BadValue', 'model_type', /has experts; write "qwen3_moe"/],
    [{ ...experts, num_experts: 4 }, 'BadValue', 'num_local_experts', /is 8 and num_experts is 4/],
    [{ ...experts, num_experts_per_tok: undefined }, 'Missing', 'num_experts_per_tok', /is missing/],
    [{ ...experts, num_experts_per_tok: 9 }, 'BadValue', 'num_experts_per_tok', /more than the 8 experts/],
    [
      { ...experts, moe_intermediate_size: 0 },
      'BadValue',
      'moe_intermediate_size',
      /is 0, not a whole number/,
    ],
    [{ ...experts, mlp_only_layers: [0, 2] }, 'BadValue', 'mlp_only_layers', /names layer 2/],
    [{ ...experts, mlp_only_layers: 1 }, 'BadValue', 'mlp_only_layers', /not a list of layers/],
    [{ ...experts, router_aux_loss_coef: -1 }, 'BadValue', 'router_aux_loss_coef', /from 0 on/],
    [{ ...language, use_sliding_window: true }, 'Unsupported', 'use_sliding_window', /all earlier tokens/],
    [{ ...language, tie_word_embeddings: 1 }, 'BadValue', 'tie_word_embeddings', /not true or false/],
    [inside('llm_config', { hidden_size: null }), 'BadValue', 'llm_config.hidden_size', /is null/],
    [inside('vision_config', { image_size: 42 }), 'BadValue', 'vision_config.image_size', /3 × 3 patches/],
    [{ ...joined, llm_config: undefined }, 'Missing', 'llm_config', /is missing; add it/],
    [{ ...joined, vision_config: [] }, 'BadValue', 'vision_config', /is \[\], not an object of keys/],
    [{ ...joined, ps_version: 'v3' }, 'BadValue', 'ps_version', /"v3", not "v1" or "v2"/],
    [{ ...joined, downsample_ratio: 0.25 }, 'Unsupported', 'downsample_ratio', /2 × 2/],
    [{ ...joined, select_layer: -4 }, 'Unsupported', 'select_layer', /is -4, not -1; .*last norm/],
    ['nano', 'BadValue', '', /^config.json: is "nano", not an object of keys$/],
  ]
  for (const [config, tag, key, message] of cases) {
    const e = failure(config)
    assert.is(e.tag, tag, e.message)
    assert.is(e.key, key, e.message)
    assert.match(e.message, message)
    assert.ok(e.message.startsWith(`config.json${key === '' ? '' : `, ${key}`}: `), e.message)
  }
  assert.match(failure({ ...vision, hidden_size: -1, patch_size: 'x' }).message, /\(and 1 more\)$/)
})

test('a byte-order mark is passed over; NaN and Infinity, as Python writes them, are told with their place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  try {
    const text = readFileSync(fixturePath('models/qwen3-tied/config.json'), 'utf8')
    writeFileSync(join(folder, 'config.json'), `\ufeff${text}`)
    assert.ok(E.isRight(await readConfig(folder)()))
    for (const word of ['Infinity', '-Infinity', 'NaN']) {
      writeFileSync(join(folder, 'config.json'), text.replace('{', `{"a": "NaN",\n "limit": [0.0, ${word}],`))
      const got = await readConfig(folder)()
      assert.ok(E.isLeft(got) && got.left.tag === 'BadJson', word)
      assert.ok(got.left.message.includes(`line 2, column 17 has ${word}`), got.left.message)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a folder is read; a missing file and text that is no JSON say so', async () => {
  const got = await readConfig(fixturePath('models/sail-vl2'))()
  assert.ok(E.isRight(got) && got.right.kind === 'vision-language')
  const none = await readConfig(fixturePath('models/nowhere'))()
  assert.ok(E.isLeft(none) && none.left.tag === 'Io' && /ENOENT.*give the folder/.test(none.left.message))
  assert.is(presets.nano?.config, nano)
})

test('what a model says of itself makes it again', () => {
  const [text, seeing] = [qwen3Model('m', nano.language), sailVl2Model('m', nano)]
  assert.equal(qwen3Model('m', text.config as Qwen3Config).config, text.config)
  assert.equal(sailVl2Model('m', seeing.config as typeof nano).config, seeing.config)
  // of another kind it is no configuration of this one
  assert.throws(() => qwen3Model('m', seeing.config as Qwen3Config), /kind: there is no such setting|vision/)
})

test('a model of parts that are none says which', () => {
  const made = (c: unknown) => () => sailVl2Model('m', c as never)
  assert.throws(made({}), /^sailVl2, vision: it is undefined; give its configuration/)
  assert.throws(
    made({ ...nano, language: [] }),
    /^sailVl2, language: it is a list of 0; give its configuration/,
  )
})

test('what is no preset and no folder is said in words', () => {
  assert.throws(
    () => presetModel('m', presets['qwen3-0.6'] as Preset),
    /^presetModel, preset: it is undefined; give one of presets: nano, /,
  )
  assert.throws(() => presetModel('m', 'nano' as never), /preset: it is 'nano'; give one of presets/)
  for (const open of [pretrained, pretrainedModel])
    assert.throws(() => open(undefined as never), /^pretrained, folder: it is undefined; give a path/)
})

test.run()
