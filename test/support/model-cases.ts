/**
 * The reference models as graphs: for each case of test/fixtures/models, what to build, what to feed and what must come
 * out. The same cases run through the reference evaluator and through every engine.
 */
import {
  type Axis,
  add,
  and,
  attend,
  axis,
  cast,
  causal,
  constant,
  equal,
  gradient,
  input,
  mean,
  mul,
  notPadding,
  parametersOf,
  type Results,
  reshape,
  rotate,
  rotations,
  sameSegment,
  splitAxis,
  type Tensor,
  topological,
} from '../../src/dsl/index.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adapter } from '../../src/models/adapter.ts'
import { gridRotations, patchPlaces, placesInput, resizedPositions } from '../../src/models/any-resolution.ts'
import { decodeConfig, languageConfig, visionConfig, visionLanguageConfig } from '../../src/models/config.ts'
import { decode, prefill } from '../../src/models/generate.ts'
import { mixtureOfExperts, routersOf, routing } from '../../src/models/moe.ts'
import { balanceLoss, routerSums } from '../../src/models/moe-balance.ts'
import { type Qwen3Config, qwen3 } from '../../src/models/qwen3.ts'
import { type SailVitConfig, sailVit, sailVitPacked, vitAxes } from '../../src/models/sail-vit.ts'
import {
  nextTokenLoss,
  type SailVl2Config,
  sailVl2,
  sailVl2Model,
  visualTokens,
} from '../../src/models/sail-vl2.ts'
import { loadCase, type ReferenceCase } from './fixtures.ts'

/** One reference case, ready to run: a function of the program, its inputs, the weights, and the expected outputs. */
export interface ModelCase {
  readonly name: string
  /** Largest difference, relative to the largest expected magnitude of the array. */
  readonly tolerance: number
  /** Outputs under the names of `expected`. */
  readonly build: () => Results
  readonly inputs: Readonly<Record<string, TensorValue>>
  readonly states: ReadonlyMap<string, TensorValue>
  readonly expected: Readonly<Record<string, Float32Array>>
}

/** A prompt's greedy continuation: ids are padded on the right to `length`, `logits` at each position come out. */
export interface GreedyCase extends Omit<ModelCase, 'expected'> {
  readonly prompt: readonly number[]
  readonly expected: readonly number[]
  readonly vocab: number
}

const weightsOf = (c: ReferenceCase): ReadonlyMap<string, TensorValue> =>
  new Map(
    [...c.weights].map(([key, w]) => [key, { shape: w.shape, dtype: 'float32' as const, data: w.data }]),
  )

/** The configuration of a case, read by the models' own codecs. */
const configOf = <C>(kind: Parameters<typeof decodeConfig<C>>[0], c: ReferenceCase): C => {
  const read = decodeConfig(kind, c.config)
  if (read._tag === 'Left') throw read.left
  return read.right
}

const given = (c: ReferenceCase, names: readonly string[]): Readonly<Record<string, TensorValue>> =>
  Object.fromEntries(
    names.map((n) => {
      const a = c.io.get(n)!
      return [n, tensorValue(a.data instanceof Float32Array ? 'float32' : 'int32', a.shape, a.data)]
    }),
  )

const wanted = (c: ReferenceCase, names: Iterable<string>): Readonly<Record<string, Float32Array>> =>
  Object.fromEntries(
    [...names].map((n) => [
      n,
      c.io.get(n)!.data instanceof Float32Array ? c.floats(n) : Float32Array.from(c.ints(n)),
    ]),
  )

/** The output of the layer `kind` at `path`: what a summary calls a row is also what a fixture compares. */
export const outputAt = (roots: readonly Tensor[], path: string, kind: string): Tensor => {
  const found = topological(roots).filter((t) => t.marks.some((m) => m.path === path && m.layer === kind))
  if (found.length !== 1) throw new Error(`${found.length} outputs of '${kind}' at '${path}'`)
  return found[0]!
}

/** Gradients of the loss with respect to the weights of which the case has one, by `grad:<key>`. */
const gradientsOf = (c: ReferenceCase, loss: Tensor): Readonly<Record<string, Tensor>> => {
  const parameters = parametersOf(loss)
  const keys = [...c.io.keys()].filter((n) => n.startsWith('grad:')).map((n) => n.slice(5))
  const leaves = keys.map((key) => {
    const leaf = parameters.get(key)
    if (leaf === undefined) throw new Error(`the loss reads no '${key}'`)
    return leaf
  })
  return Object.fromEntries(gradient(loss, leaves).map((g, i) => [`grad:${keys[i]}`, g]))
}

const modelCase = (
  name: string,
  feeds: readonly string[],
  build: (c: ReferenceCase) => Readonly<Record<string, Tensor>>,
  more: (c: ReferenceCase) => Readonly<Record<string, TensorValue>> = () => ({}),
): ModelCase => {
  const c = loadCase(name)
  const inputs = { ...given(c, feeds), ...more(c) }
  const others = [...c.io.keys()].filter((n) => !(n in inputs) && !elsewhere.includes(n))
  return {
    name,
    tolerance: c.case.relative_tolerance,
    build: () => ({ outputs: build(c) }),
    inputs,
    states: weightsOf(c),
    expected: wanted(c, others),
  }
}

/** Arrays that {@link greedyCases} compare, and one from which another input is made. */
const elsewhere: readonly string[] = ['prompt', 'greedy', 'tiles_per_row']

const vit = (): ModelCase =>
  modelCase('sail-vit', ['pixel_values', 'loss_weights'], (c) => {
    const config: SailVitConfig = configOf(visionConfig, c)
    const { channel, height, width, patch, vision } = vitAxes(config)
    const tile = axis('tile', c.shape('pixel_values')[0]!)
    const images = input('pixel_values', [tile, channel, height, width])
    const output = sailVit(config).apply(images, '')
    const loss = mean(mul(output, input('loss_weights', [tile, patch, vision])), 'tile', 'patch', 'vision')
    return {
      embedded: outputAt([output], 'vision_model.preprocessor', 'preprocessor'),
      'block.0': outputAt([output], 'vision_model.trunk.blocks.0', 'block'),
      'block.1': outputAt([output], 'vision_model.trunk.blocks.1', 'block'),
      output,
      loss,
      ...gradientsOf(c, loss),
    }
  })

/** Images of several sizes in one row, against each of them alone. */
const anyVit = (): ModelCase =>
  modelCase('sail-vit-any', ['pixel_values', 'patch_places', 'loss_weights'], (c) => {
    const config: SailVitConfig = configOf(visionConfig, c)
    const [patches, , side] = c.shape('pixel_values') as readonly [number, number, number]
    const [patch, { channel, vision }] = [axis('patch', patches), vitAxes(config)]
    const pixels = input('pixel_values', [patch, channel, axis('height', side), axis('width', side)])
    const output = sailVitPacked(config, placesInput(patch)).apply(pixels)
    const loss = mean(mul(output, input('loss_weights', [patch, vision])), 'patch', 'vision')
    return {
      embedded: outputAt([output], 'vision_model.preprocessor', 'preprocessor'),
      output,
      loss,
      ...gradientsOf(c, loss),
    }
  })

const mlp1 = (): ModelCase =>
  modelCase('adapter', ['tokens', 'loss_weights'], (c) => {
    const [tiles, patches, size] = c.shape('tokens')
    const config = { patches: patches!, visionSize: size!, embedSize: c.config.language_hidden as number }
    const tokens = input('tokens', [axis('tile', tiles!), axis('patch', patches!), axis('vision', size!)])
    const v2 = adapter(config).apply(tokens)
    const v1 = adapter({ ...config, order: 'v1' }).apply(tokens)
    const weights = input('loss_weights', v2.axes)
    const loss = mean(mul(v2, weights), 'tile', 'visual', 'embed')
    return {
      shuffled_v2: outputAt([v2], 'mlp1', 'pixelShuffle'),
      shuffled_v1: outputAt([v1], 'mlp1', 'pixelShuffle'),
      output: v2,
      loss,
      ...gradientsOf(c, loss),
    }
  })

const tokenFeeds = ['input_ids', 'attention_mask', 'position_ids', 'labels']

/** The inputs of a padded batch, and what shows real positions only, as the references do. */
const paddedBatch = (c: ReferenceCase) => {
  const [rows, length] = c.shape('input_ids')
  const batch = axis('batch', rows!)
  const token = axis('token', length!)
  const of = (name: string) => input(name, [batch, token], 'int32')
  const attention = of('attention_mask')
  return {
    token,
    ids: of('input_ids'),
    positions: of('position_ids'),
    labels: of('labels'),
    mask: and(causal(token), notPadding(attention, 'token')),
    real: (t: Tensor): Tensor => mul(t, cast(attention, 'float32')),
  }
}

const language = (name: 'qwen3-tied' | 'qwen3-untied'): ModelCase =>
  modelCase(name, tokenFeeds, (c) => {
    const config: Qwen3Config = configOf(languageConfig, c)
    const x = paddedBatch(c)
    const logits = qwen3(config, x).apply(x.ids)
    const loss = nextTokenLoss(logits, x.labels).mean
    return {
      logits: x.real(logits),
      hidden_first: x.real(outputAt([logits], 'model.layers.0', 'decoderLayer')),
      hidden_last: x.real(outputAt([logits], 'model', 'decoder')),
      loss,
      ...gradientsOf(c, loss),
    }
  })

/** One block of experts on its own, under the keys of the first layer. */
const expertBlock = (c: ReferenceCase, config: Qwen3Config): Readonly<Record<string, Tensor>> => {
  const [tokens, size] = c.shape('block_in')
  const embed = axis('embed', size!)
  const x = input('block_in', [axis('token', tokens!), embed])
  const y = mixtureOfExperts(config.moe!, embed).apply(x, 'model.layers.0.mlp')
  const r = routing(config.moe!, routersOf(y)[0]!.logits)
  return { block_out: y, block_topk: cast(r.index, 'float32'), block_weights: r.weights }
}

/** Experts, by either computation. */
const experts = (computation: 'all' | 'chosen'): ModelCase => ({
  ...modelCase('qwen3-moe', [...tokenFeeds, 'block_in'], (c) => {
    const read: Qwen3Config = configOf(languageConfig, c)
    const moe = { ...read.moe!, computation }
    const config = { ...read, moe }
    const x = paddedBatch(c)
    const logits = qwen3(config, x).apply(x.ids)
    const routers = routersOf(logits)
    const masked = balanceLoss(
      moe,
      routerSums(moe, routers, equal(input('attention_mask', x.ids.axes, 'int32'), 1)),
    )
    const ce = nextTokenLoss(logits, x.labels).mean
    const loss = add(ce, mul(masked, moe.balance!))
    return {
      logits: x.real(logits),
      ...Object.fromEntries(routers.map((r, i) => [`router_logits.${i}`, r.logits])),
      aux_masked: masked,
      aux_unmasked: balanceLoss(moe, routerSums(moe, routers)),
      loss_ce: ce,
      loss,
      ...expertBlock(c, config),
      ...gradientsOf(c, loss),
    }
  }),
  name: `qwen3-moe, ${computation} experts`,
})

/** For each position the row among the visual tokens of all tiles, in order, or −1. */
const visualIndexOf = (c: ReferenceCase): TensorValue => {
  let next = 0
  const ids = [...c.ints('input_ids')]
  return tensorValue(
    'int32',
    c.shape('input_ids'),
    ids.map((id) => (id === c.config.img_context_token_id ? next++ : -1)),
  )
}

const joined = (): ModelCase =>
  modelCase(
    'sail-vl2',
    [...tokenFeeds, 'pixel_values'],
    (c) => {
      const config: SailVl2Config = configOf(visionLanguageConfig, c)
      const { channel, height, width } = vitAxes(config.vision)
      const tiles = c.ints('tiles_per_row').reduce((a, b) => a + b, 0)
      const x = paddedBatch(c)
      const logits = sailVl2(config, {
        ...x,
        visualIndex: input('visual_index', x.ids.axes, 'int32'),
        images: input('pixel_values', [axis('tile', tiles), channel, height, width]),
      })
      if (tiles * visualTokens(config) !== [...visualIndexOf(c).data].filter((i) => i >= 0).length)
        throw new Error('the context tokens are not as many as the visual tokens')
      const loss = nextTokenLoss(logits, x.labels).mean
      return {
        visual_tokens: outputAt([logits], 'mlp1', 'adapter'),
        logits: x.real(logits),
        loss,
        ...gradientsOf(c, loss),
      }
    },
    (c) => ({ visual_index: visualIndexOf(c) }),
  )

const packed = (): ModelCase =>
  modelCase('packed-attention', ['query', 'key', 'value', 'segment', 'position'], (c) => {
    const [rows, heads, length, size] = c.shape('query') as readonly [number, number, number, number]
    const kvHeads = c.shape('key')[1]!
    const batch = axis('batch', rows)
    const token = axis('token', length)
    const dim = axis('headDim', size)
    const head = axis('head', kvHeads)
    const keys: readonly Axis[] = [batch, head, axis('key', length), dim]
    // axes meet by name, so the reference's own layout [batch, head, token, headDim] needs no transpose
    const query = input('query', [batch, axis('queryHead', heads), token, dim])
    const grouped = splitAxis(query, 'queryHead', [head, axis('group', heads / kvHeads)])
    const segment = input('segment', [batch, token], 'int32')
    const turns = rotations(input('position', [batch, token], 'int32'), dim, 1e6)
    const q = rotate(grouped, turns, 'headDim')
    const k = rotate(input('key', keys), turns, 'headDim', { from: 'token', to: 'key' })
    const mask = and(sameSegment(segment, 'token'), causal(token))
    return { query_rotated: q, key_rotated: k, output: attend(q, k, input('value', keys), 'headDim', mask) }
  })

/** The grids of the case, rows × columns. */
const resized = ['5x11', '16x4', '8x8'] as const

/** The places of a whole grid, row by row. */
export const gridPlaces = (rows: number, columns: number, image = 1): number[] =>
  Array.from({ length: rows * columns }, (_, p) => [
    ...[image, Math.floor(p / columns), p % columns],
    ...[rows, columns],
  ]).flat()

/** Positions resized to grids, and queries turned by row and column; the encoder's own are in test/models/any-resolution. */
const anyResolution = (): ModelCase =>
  modelCase('any-resolution', ['pos_embed', ...resized.map((g) => `query.${g}`)], (c) => {
    const [, positions, size] = c.shape('pos_embed') as readonly [number, number, number]
    const [side, embed] = [Math.sqrt(positions), axis('embed', size)]
    const one = axis('one', 1)
    const learned = input('pos_embed', [one, axis('position', positions), embed])
    const table = reshape(learned, [axis('gridRow', side), axis('gridColumn', side), embed])
    const outputs: Record<string, Tensor> = {}
    for (const grid of resized) {
      const [rows, columns] = grid.split('x').map(Number) as [number, number]
      const patch = axis('patch', rows * columns)
      const places = patchPlaces(
        constant(Int32Array.from(gridPlaces(rows, columns)), [patch, axis('place', 5)]),
      )
      for (const [how, name] of [
        ['bicubic', 'bicubic'],
        ['bilinear', 'bilinear'],
        ['bilinearCorners', 'bilinear_align_corners'],
      ] as const)
        outputs[`${name}.${grid}`] = resizedPositions(table, places, how)
      const [, heads, , headDim] = c.shape(`query.${grid}`) as readonly [number, number, number, number]
      const dim = axis('headDim', headDim)
      const query = input(`query.${grid}`, [one, axis('head', heads), patch, dim])
      outputs[`query_rotated.${grid}`] = rotate(query, gridRotations(places, dim), 'headDim')
    }
    return outputs
  })

/** Every case of test/fixtures/models that is a model. */
export const modelCases = (): readonly ModelCase[] => [
  vit(),
  anyVit(),
  mlp1(),
  language('qwen3-tied'),
  language('qwen3-untied'),
  experts('all'),
  experts('chosen'),
  joined(),
  packed(),
  anyResolution(),
]

/** The greedy continuations of the language models. */
export const greedyCases = (): readonly GreedyCase[] =>
  (['qwen3-tied', 'qwen3-untied'] as const).map((name) => {
    const c = loadCase(name)
    const config: Qwen3Config = configOf(languageConfig, c)
    const expected = [...c.ints('greedy')]
    const batch = axis('batch', 1)
    const token = axis('token', expected.length)
    return {
      name: `${name}, greedy`,
      tolerance: c.case.relative_tolerance,
      build: () => {
        const ids = input('input_ids', [batch, token], 'int32')
        const positions = input('position_ids', [batch, token], 'int32')
        return { outputs: { logits: qwen3(config, { token, positions, mask: causal(token) }).apply(ids) } }
      },
      inputs: { position_ids: tensorValue('int32', [1, expected.length], expected.keys()) },
      states: weightsOf(c),
      prompt: [...c.ints('prompt')],
      expected,
      vocab: config.vocabSize,
    }
  })

/** A reference sequence read token by token: what each call takes, and the logits of the next token after it. */
export interface CachedCase {
  readonly name: string
  readonly tolerance: number
  readonly functions: Readonly<Record<'prefill' | 'decode', () => Results>>
  readonly states: ReadonlyMap<string, TensorValue>
  readonly calls: readonly {
    readonly call: 'prefill' | 'decode'
    readonly inputs: Readonly<Record<string, TensorValue>>
    readonly logits: Float32Array
  }[]
}

/** The second row of the joined model's case: its prompt at once, padded, then its answer a token at a time. */
export const cachedCase = (): CachedCase => {
  const c = loadCase('sail-vl2')
  const config: SailVl2Config = configOf(visionLanguageConfig, c)
  const length = c.shape('input_ids')[1]!
  const ids = [...c.ints('input_ids')].slice(length, 2 * length)
  const real = [...c.ints('attention_mask')].slice(length).reduce((a, b) => a + b, 0)
  const prompt = 9
  const sizes = { rows: 1, prompt: 11, capacity: length }
  const row = (values: readonly number[], fill: number): TensorValue =>
    tensorValue(
      'int32',
      [1, sizes.prompt],
      Array.from({ length: sizes.prompt }, (_, i) => values[i] ?? fill),
    )
  const one = (value: number): TensorValue => tensorValue('int32', [1], [value])
  const [tiles, ...image] = c.shape('pixel_values')
  const pixels = c.floats('pixel_values')
  const context = ids.slice(0, prompt).map((id) => id === c.config.img_context_token_id)
  const logitsAt = (t: number): Float32Array => {
    const vocab = config.language.vocabSize
    return c.floats('logits').slice((length + t) * vocab, (length + t + 1) * vocab)
  }
  return {
    name: 'sail-vl2, by prefill and decode',
    tolerance: c.case.relative_tolerance,
    functions: {
      prefill: () => prefill(sailVl2Model('reference', config), sizes),
      decode: () => decode(sailVl2Model('reference', config), sizes),
    },
    states: weightsOf(c),
    calls: [
      {
        call: 'prefill',
        inputs: {
          input_ids: row(ids.slice(0, prompt), 0),
          position_ids: row([...ids.keys()].slice(0, prompt), 0),
          visual_index: row(
            context.map((yes, i) => (yes ? context.slice(0, i).filter(Boolean).length : -1)),
            -1,
          ),
          pixel_values: tensorValue(
            'float32',
            [1, ...image],
            pixels.slice(pixels.length - pixels.length / tiles!),
          ),
          last: one(prompt - 1),
          source: one(0),
        },
        logits: logitsAt(prompt - 1),
      },
      ...Array.from({ length: real - prompt }, (_, i) => ({
        call: 'decode' as const,
        inputs: { input_ids: one(ids[prompt + i]!), position: one(prompt + i) },
        logits: logitsAt(prompt + i),
      })),
    ],
  }
}

/** Continues a prompt by the likeliest token until `length`; `logits` gives all positions' logits for padded ids. */
export const continueGreedily = async (
  g: GreedyCase,
  logits: (inputs: Readonly<Record<string, TensorValue>>) => Promise<ArrayLike<number>>,
): Promise<readonly number[]> => {
  const ids = [...g.prompt]
  const length = g.expected.length
  while (ids.length < length) {
    const padded = Array.from({ length }, (_, i) => ids[i] ?? 0)
    const all = await logits({ ...g.inputs, input_ids: tensorValue('int32', [1, length], padded) })
    const row = Array.from({ length: g.vocab }, (_, v) => all[(ids.length - 1) * g.vocab + v]!)
    ids.push(row.indexOf(Math.max(...row)))
  }
  return ids
}
