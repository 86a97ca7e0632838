import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  andThen,
  applyTo,
  at,
  axis,
  composite,
  contract,
  embedding,
  evaluate,
  type Feeds,
  fill,
  fixed,
  gradient,
  head,
  input,
  layer,
  linear,
  mean,
  mul,
  optimise,
  parameter,
  parametersOf,
  program,
  repeat,
  reshape,
  residual,
  selfAttention,
  silu,
  sizes,
  square,
  type Tensor,
  tied,
  total,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { qwen3Model, routersOf } from '../../src/models/index.ts'
import {
  type Floats,
  type LoraAdapter,
  LoraError,
  lora,
  loraKeys,
  loraKeysOf,
  loraPairs,
  mergeLora,
  readAdapter,
  saveAdapter,
  unmergeLora,
} from '../../src/optim/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { fixtureJson, fixturePath, loadCase, maxRelativeError } from '../support/fixtures.ts'

const engines = await hostEngines()

// --- against PEFT -----------------------------------------------------------------------------------------

const reference = suite('lora: PEFT')

const c = loadCase('lora')
const { rank, alpha } = c.case.settings
const tolerance = c.case.relative_tolerance as number
const [Batch, Token, Embed, Hidden, Vocab, Out] = [
  axis('batch', 2),
  axis('token', 4),
  axis('embed', 6),
  axis('hidden', 10),
  axis('vocab', 12),
  axis('out', 5),
] as const

/** The model of the case, in the words of the language. */
const logits = (): Tensor => {
  const block = residual(
    pipe(
      at('up_proj')(linear(Embed, Hidden, { bias: false })),
      andThen(silu),
      andThen(at('down_proj')(linear(Hidden, Embed))),
    ),
  )
  const model = pipe(
    at('embed_tokens')(embedding(Vocab, Embed)),
    andThen(at('layers')(repeat(2, block))),
    andThen(at('head')(linear(Embed, Out, { bias: false }))),
  )
  return applyTo(model, input('ids', [Batch, Token], 'int32'), '') as Tensor
}
const named = (key: string): boolean => /(up_proj|down_proj|embed_tokens)\.weight$/.test(key)
const adapt = lora({ rank, alpha, on: named })

const { tensors: adapter } = await orThrow(readAdapter(fixturePath('models/lora')))
const weights: ReadonlyMap<string, Floats> = c.weights
const feeds = (...of: readonly ReadonlyMap<string, Floats>[]): Feeds => ({
  inputs: { ids: c.ints('ids'), weights: c.floats('weights') },
  states: Object.fromEntries(of.flatMap((m) => [...m].map(([k, v]) => [k, v.data]))),
})
const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>, limit = tolerance): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= limit, `${what}: relative error ${error}`)
}

reference('the same keys and shapes', () => {
  const [y] = adapt([logits()])
  const found = [...parametersOf(y!)].filter(([k]) => loraKeys.has(k))
  assert.equal(
    new Map(found.map(([k, t]) => [k, sizes(t.axes)])),
    new Map(found.map(([k]) => [k, adapter.get(k)!.shape])),
  )
  assert.is(found.length, adapter.size)
})

const lossOf = (y: Tensor): Tensor =>
  mean(mul(y, input('weights', [Batch, Token, Out])), 'batch', 'token', 'out') as Tensor
const roots = (): { keys: string[]; all: Tensor[] } => {
  const plain = logits()
  const [y, loss] = adapt([plain, lossOf(plain)])
  const trained = [...parametersOf(loss!)].filter(([k]) => loraKeys.has(k))
  return {
    keys: trained.map(([k]) => k),
    all: [
      y!,
      loss!,
      ...gradient(
        loss!,
        trained.map(([, t]) => t),
      ),
    ],
  }
}

reference('forward, loss and every gradient, in float64; after the passes too', () => {
  const { keys, all } = roots()
  for (const graph of [all, optimise(all)]) {
    const [y, loss, ...slopes] = evaluate(graph, feeds(weights, adapter))
    near('logits', y!, c.floats('logits'))
    near('loss', loss!, c.floats('loss'))
    for (const [i, key] of keys.entries()) near(key, slopes[i]!, c.floats(`grad:${key}`))
  }
})

for (const engine of engines)
  reference(`forward and every gradient on ${engine.name}`, async () => {
    const { keys, all } = roots()
    const outputs = Object.fromEntries(all.map((t, i) => [['logits', 'loss', ...keys][i]!, t]))
    const session = await orThrow(
      engine.load(program({ name: 'lora', functions: { run: fixed(() => ({ outputs })) } })),
    )
    await orThrow(
      session.write(
        new Map([...weights, ...adapter].map(([k, v]) => [k, tensorValue('float32', v.shape, v.data)])),
      ),
    )
    const got = await orThrow(
      session.call('run', {
        ids: tensorValue('int32', [2, 4], c.ints('ids')),
        weights: tensorValue('float32', [2, 4, 5], c.floats('weights')),
      }),
    )
    near('logits', got.logits!.data, c.floats('logits'))
    for (const key of keys) near(key, got[key]!.data, c.floats(`grad:${key}`))
    await orThrow(session.close())
  })

reference('merged weights, and what the merged model computes', () => {
  const merged = mergeLora(weights, adapter, alpha)
  for (const [key, w] of merged) near(key, w.data, c.floats(`merged:${key}`), 1e-6)
  const [y] = evaluate([logits()], feeds(merged))
  near('logits', y!, c.floats('merged_logits'))
  const [adapted] = evaluate(adapt([logits()]), feeds(weights, adapter))
  near('adapted', y!, adapted!, 1e-6)
  const back = unmergeLora(merged, adapter, alpha)
  for (const [key, w] of back) near(key, w.data, weights.get(key)!.data, 1e-6)
  assert.ok(
    maxRelativeError(merged.get('embed_tokens.weight')!.data, weights.get('embed_tokens.weight')!.data) > 0.1,
  )
  assert.is(merged.get('head.weight'), weights.get('head.weight'))
})

reference.run()

// --- the rewrite ------------------------------------------------------------------------------------------

const graphs = suite('lora: the rewrite')

const random = (keys: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Floats> =>
  new Map(
    [...keys].map(([k, t]) => {
      const shape = sizes(t.axes)
      const size = shape.reduce((a, b) => a * b, 1)
      return [k, { shape, data: fill({ kind: 'normal', std: 0.5 }, size, 1, k) }]
    }),
  )

/** An adapted graph computes what the graph over merged weights does; and something other than the bare one. */
const mergesExactly = (
  y: Tensor,
  settings: Parameters<typeof lora>[0],
  inputs: Record<string, number[]>,
): void => {
  const [adapted] = lora(settings)([y])
  const values = random(parametersOf(adapted!))
  const own = new Map([...values].filter(([k]) => loraKeys.has(k)))
  const bare = new Map([...values].filter(([k]) => !loraKeys.has(k)))
  const run = (t: Tensor, of: ReadonlyMap<string, Floats>) =>
    evaluate([t], { inputs, states: Object.fromEntries([...of].map(([k, v]) => [k, v.data])) })[0]!
  const got = run(adapted!, values)
  near('merged', run(y, mergeLora(bare, own, settings.alpha)), got, 1e-6)
  assert.ok(maxRelativeError(run(y, bare), got) > 1e-3)
}

graphs('a fresh adapter changes nothing: one of the pair is zero', () => {
  const y = logits()
  const [adapted] = adapt([y])
  const init = (t: Tensor) => (t.op.op === 'state' ? t.op.init : undefined)
  const fresh = new Map(
    [...parametersOf(adapted!)]
      .filter(([k]) => loraKeys.has(k))
      .map(([k, t]) => {
        const shape = sizes(t.axes)
        return [k, { shape, data: fill(init(t)!, shape[0]! * shape[1]!, 0, k) }] as const
      }),
  )
  const [got, want] = [evaluate([adapted!], feeds(weights, fresh)), evaluate([y], feeds(weights))]
  assert.equal([...got[0]!], [...want[0]!])
  // Kaiming uniform with a = √5: ±1/√in
  assert.equal(init(parametersOf(adapted!).get('layers.0.down_proj.lora_A.weight')!), {
    kind: 'uniform',
    limit: 1 / Math.sqrt(10),
  })
  const { a, b } = loraKeysOf('embed_tokens.weight', 'embedding')
  assert.ok(fresh.get(a)!.data.every((x) => x === 0) && fresh.get(b)!.data.some((x) => x !== 0))
})

graphs('a tied table is one weight: rows and head take the same pair', () => {
  const model = pipe(
    at('embed')(embedding(Vocab, Embed)),
    andThen(tied(at('embed')(head(Embed, axis('vocab', 12))))),
  )
  const y = applyTo(model, input('ids', [Token], 'int32'), '') as Tensor
  mergesExactly(y, { rank: 2, alpha: 3, on: (k) => k === 'embed.weight' }, { ids: [1, 0, 11, 5] })
})

graphs('through attention with its fused and its separate maps', () => {
  for (const fused of [true, false]) {
    const model = selfAttention({ token: Token, embed: Embed, heads: 2, ...(fused ? { fused: 'qkv' } : {}) })
    const y = applyTo(at('attn')(model), input('x', [Batch, Token, Embed]), '') as Tensor
    const x = Array.from({ length: 48 }, (_, i) => Math.sin(i))
    mergesExactly(y, { rank: 3, alpha: 1, on: (k) => k.endsWith('.weight') }, { x })
  }
})

graphs('a transposed weight, summed over its other side, in either place', () => {
  const x = input('x', [Hidden])
  const w = parameter('w.weight', [Hidden, Embed], zeros)
  const turned = transpose(w, ['embed', 'hidden'])
  const values = { x: Array.from({ length: 10 }, (_, i) => Math.cos(i)) }
  for (const y of [contract(x, w, 'hidden'), contract(turned, x, 'hidden')])
    mergesExactly(y as Tensor, { rank: 4, alpha: 2, on: (k) => k === 'w.weight' }, values)
})

graphs('a composite that an engine would compute from the bare weight gives way to its definition', () => {
  const x = input('x', [Hidden])
  const w = parameter('w.weight', [Hidden, Embed], zeros)
  for (const weightFirst of [false, true]) {
    const fused = layer('fused', [Hidden], (x) =>
      composite('fusedProduct', {}, contract(x, w, 'hidden') as Tensor, weightFirst ? [w, x] : [x, w]),
    )
    const y = applyTo(fused, x, '') as Tensor
    const [adapted] = lora({ rank: 2, alpha: 1, on: () => true })([y])
    assert.not(adapted!.op.op === 'composite')
    // it is still what the layer made
    assert.equal(
      adapted!.marks.map((m) => m.layer),
      ['fused'],
    )
    mergesExactly(y, { rank: 2, alpha: 1, on: () => true }, { x: Array(10).fill(1) })
  }
})

graphs('a router that is adapted is one router, as it was: it is balanced once', () => {
  const logits = qwen3Model('experts', withExperts).graph()
  const [adapted] = lora({ rank: 1, alpha: 1, on: (k) => k.endsWith('.mlp.gate.weight') })([logits])
  assert.ok([...parametersOf(adapted!).keys()].some(loraKeys.has))
  assert.is(routersOf(logits).length, 1)
  const [router, ...more] = routersOf(adapted!)
  assert.is(more.length, 0)
  assert.ok([...parametersOf(router!.logits).keys()].some(loraKeys.has), 'what is balanced is what chooses')
})

graphs('a weight that is not named is left alone, its node as it was', () => {
  const y = logits()
  const [adapted] = lora({ rank: 1, alpha: 1, on: (k) => k === 'head.weight' })([y])
  const keys = [...parametersOf(adapted!).keys()].filter(loraKeys.has)
  assert.equal(keys, ['head.lora_A.weight', 'head.lora_B.weight'])
  const loss = total(square(adapted!))
  const trained = [...parametersOf(loss)].filter(([k]) => loraKeys.has(k))
  assert.is(
    gradient(
      loss,
      trained.map(([, t]) => t),
    ).length,
    2,
  )
})

const square2 = () => parameter('w.weight', [Hidden, Embed], zeros)
/** A Qwen3 with experts. */
const withExperts = {
  ...{ vocabSize: 12, hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 2, kvHeads: 1, headDim: 4 },
  ...{ ropeTheta: 100, epsilon: 1e-6, tied: true },
  moe: { experts: 3, perToken: 1, intermediateSize: 4, normalise: true },
}
const refused: readonly (readonly [
  string,
  Partial<Parameters<typeof lora>[0]>,
  () => Tensor,
  string,
  RegExp,
])[] = [
  ['no key', { on: () => false }, logits, 'on', /names none of the graph's 8 weights; they are embed_tokens/],
  ['a rank of no whole number', { rank: 1.5 }, logits, 'rank', /from 1 up/],
  ['a rank of zero', { rank: 0 }, logits, 'rank', /from 1 up/],
  ['a rank above a side', { rank: 7 }, logits, 'rank', /the smaller side of '.+' is 6; give a rank up to 6/],
  ['an alpha of zero', { alpha: 0 }, logits, 'alpha', /above 0/],
  ['an alpha that is no number', { alpha: Number.NaN }, logits, 'alpha', /above 0/],
  ['a bias', { on: (k) => k.endsWith('bias') }, logits, 'on', /down_proj.bias'.*name matrices only/],
  [
    'a weight that is multiplied by elements',
    {},
    () => mul(square2(), 2) as Tensor,
    'on',
    /used by a binary/,
  ],
  [
    'a weight in other shape',
    {},
    () => contract(reshape(square2(), [axis('all', 60)]), input('x', [axis('all', 60)]), 'all') as Tensor,
    'on',
    /used by a reshape/,
  ],
  [
    'one of several experts',
    { on: (k) => k.endsWith('_proj.weight') },
    () => qwen3Model('moe', withExperts).graph({ batch: 1, tokens: 4 }),
    'on',
    /'model\.layers\.0\.mlp\.experts\.0\..+', which is stacked with others.+outside of experts/,
  ],
  [
    'a weight summed whole',
    {},
    () => contract(square2(), input('x', [Hidden, Embed]), 'hidden', 'embed') as Tensor,
    'on',
    /used by a contract/,
  ],
  [
    'a weight with a batch side',
    {},
    () => contract(square2(), input('x', [Hidden, Embed]), 'hidden') as Tensor,
    'on',
    /used by a contract/,
  ],
]
for (const [what, some, build, setting, message] of refused)
  graphs(`refuses ${what}`, () => {
    assert.throws(
      () => lora({ rank: 2, alpha: 2, on: (k) => k.endsWith('weight'), ...some })([build()]),
      (e: unknown) => e instanceof LoraError && e.setting === setting && message.test(e.message),
    )
  })

graphs.run()

// --- merging ----------------------------------------------------------------------------------------------

const merging = suite('lora: merging')

merging('a worked example: W + α/r · B A', () => {
  const f = (shape: number[], data: number[]): Floats => ({ shape, data: Float32Array.from(data) })
  const w = new Map([['m.weight', f([2, 3], [1, 2, 3, 4, 5, 6])]])
  const own = new Map([
    ['m.lora_A.weight', f([1, 3], [1, 0, 2])],
    ['m.lora_B.weight', f([2, 1], [1, 10])],
  ])
  assert.equal([...mergeLora(w, own, 3).get('m.weight')!.data], [4, 2, 9, 34, 5, 66])
  assert.equal([...unmergeLora(mergeLora(w, own, 3), own, 3).get('m.weight')!.data], [1, 2, 3, 4, 5, 6])
  const table = new Map([
    ['m.lora_embedding_A', f([1, 2], [1, 10])],
    ['m.lora_embedding_B', f([3, 1], [1, 0, 2])],
  ])
  assert.equal([...mergeLora(w, table, 3).get('m.weight')!.data], [4, 2, 9, 34, 5, 66])
  const half = new Map([...own].slice(0, 1))
  assert.throws(() => mergeLora(w, half, 1), /'m.lora_A.weight' and no 'm.lora_B.weight'/)
  assert.throws(() => mergeLora(new Map(), own, 1), /'m.weight', which is no weight of the model/)
  const wide = new Map([...own, ['m.lora_A.weight', f([1, 2], [1, 0])]])
  assert.throws(() => mergeLora(w, wide, 1), /'m.weight' is \[2,3\], its adapters are \[1,2\] and \[2,1\]/)
  assert.equal([...loraPairs(own.keys()).keys()], ['m.weight'])
})

merging.run()

// --- files ------------------------------------------------------------------------------------------------

const files = suite('lora: files')

const inFolder = async (body: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'lora-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
const stored: LoraAdapter = { rank, alpha, base: null, task: 'CAUSAL_LM', tensors: adapter }

files('the tensors are byte for byte what PEFT saved, the configuration agrees in all that it says', () =>
  inFolder(async (folder) => {
    await orThrow(saveAdapter(folder, { ...stored, task: null }))
    const [got, want] = [folder, fixturePath('models/lora')].map((f) =>
      readFileSync(join(f, 'adapter_model.safetensors')),
    )
    assert.ok(got!.equals(want!))
    const config = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8'))
    const peft = fixtureJson('models/lora/adapter_config.json')
    const { target_modules: modules, ...rest } = config
    for (const [key, value] of Object.entries(rest)) assert.equal(peft[key], value, key)
    assert.equal(modules, [
      'embed_tokens',
      ...['layers.0', 'layers.1'].flatMap((l) => [`${l}.down_proj`, `${l}.up_proj`]),
    ])
  }),
)

files('what is saved is read as it was', () =>
  inFolder(async (folder) => {
    const one = { ...stored, base: 'models/base' }
    await orThrow(saveAdapter(folder, one))
    const back = await orThrow(readAdapter(folder))
    assert.equal({ ...back, tensors: 0 }, { ...one, tensors: 0 })
    assert.equal([...back.tensors.keys()].sort(), [...adapter.keys()].sort())
    for (const [key, { shape, data }] of back.tensors) {
      assert.equal(shape, adapter.get(key)!.shape)
      assert.equal(data, adapter.get(key)!.data)
    }
  }),
)

for (const [setting, value] of [
  ['peft_type', 'LOHA'],
  ['use_dora', true],
  ['use_rslora', true],
  ['bias', 'all'],
  ['rank_pattern', { up_proj: 8 }],
  ['alpha_pattern', { up_proj: 8 }],
  ['modules_to_save', ['head']],
  ['fan_in_fan_out', true],
] as const)
  files(`an adapter with ${setting} ${JSON.stringify(value)} is refused`, () =>
    inFolder(async (folder) => {
      await orThrow(saveAdapter(folder, stored))
      const file = join(folder, 'adapter_config.json')
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), [setting]: value }))
      const got = await readAdapter(folder)()
      assert.ok(got._tag === 'Left' && got.left instanceof LoraError)
      assert.match((got as { left: Error }).left.message, `${setting} is ${JSON.stringify(value)}`)
    }),
  )

files('what is no adapter says so', () =>
  inFolder(async (folder) => {
    const left = async (what: Promise<unknown>, message: RegExp) =>
      assert.match(((await what) as { left: Error }).left.message, message)
    await left(readAdapter(folder)(), /no such file.*give a folder/)
    writeFileSync(join(folder, 'adapter_config.json'), '{')
    await left(readAdapter(folder)(), /not JSON/)
    writeFileSync(join(folder, 'adapter_config.json'), '{"peft_type":"LORA"}')
    await left(readAdapter(folder)(), /r or lora_alpha/)
    await left(saveAdapter(folder, { ...stored, rank: 4 })(), /are 3 and 3, not 4/)
    const [first] = [...adapter].filter(([key]) => key.endsWith('.lora_A.weight'))
    const { shape, data } = first![1]
    const shorter = { shape: [2, shape[1]!], data: data.slice(0, 2 * shape[1]!) }
    const uneven = new Map([...adapter, [first![0], shorter] as const])
    await left(saveAdapter(folder, { ...stored, tensors: uneven })(), /are 2 and 3, not 3/)
    await left(saveAdapter(folder, { ...stored, tensors: new Map() })(), /no adapter/)
    await left(saveAdapter(folder, { ...stored, tensors: weights })(), /no key of an adapter/)
    await left(saveAdapter(folder, { ...stored, tensors: new Map([...adapter].slice(1)) })(), /and no/)
  }),
)

files.run()
