import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { axis, countParameters, input, parametersOf, sizes } from '../../src/dsl/index.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { adapter } from '../../src/models/adapter.ts'
import { type Preset, presetModel, presets, qwen3Medium } from '../../src/models/presets.ts'
import type { Qwen3Config } from '../../src/models/qwen3.ts'
import type { SailVitConfig } from '../../src/models/sail-vit.ts'
import { grouped } from '../../src/terminal/index.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { continueGreedily, greedyCases, type ModelCase, modelCases } from '../support/model-cases.ts'

const test = suite('models: reference numbers, by the float64 evaluator')

const data = (values: Iterable<readonly [string, TensorValue]>): Map<string, TensorValue['data']> =>
  new Map([...values].map(([name, v]) => [name, v.data]))

const feeds = (c: Pick<ModelCase, 'states'>, inputs: ModelCase['inputs']) => ({
  inputs: data(Object.entries(inputs)),
  states: data(c.states),
})

for (const c of modelCases()) {
  test(c.name, () => {
    const { outputs } = c.build()
    assert.equal(Object.keys(outputs).sort(), Object.keys(c.expected).sort(), 'every expected array is built')
    const names = Object.keys(outputs)
    const got = evaluate(Object.values(outputs), feeds(c, c.inputs))
    names.forEach((name, i) => {
      const error = maxRelativeError(got[i]!, c.expected[name]!)
      assert.ok(error <= c.tolerance, `${c.name}, ${name}: relative error ${error}`)
    })
  })

  test(`${c.name}: parameters are the checkpoint's keys and shapes`, () => {
    const parameters = parametersOf(...Object.values(c.build().outputs))
    const own = [...parameters].map(([key, t]) => [key, sizes(t.axes)])
    const published = [...c.states].map(([key, v]) => [key, v.shape])
    const byKey = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1)
    assert.equal(own.sort(byKey), published.sort(byKey))
    const numbers = [...c.states.values()].reduce((n, v) => n + v.data.length, 0)
    assert.is(countParameters(parameters), numbers)
  })
}

for (const g of greedyCases())
  test(g.name, async () => {
    const root = g.build().outputs.logits!
    const ids = await continueGreedily(g, async (inputs) => evaluate([root], feeds(g, inputs))[0]!)
    assert.equal(ids, g.expected)
  })

/** The parameters of a preset: sizes of data change nothing. */
const parametersOfPreset = (preset: Preset): number =>
  countParameters(parametersOf(presetModel('preset', preset).graph({ tokens: 2 })))

/** The same by arithmetic from the configuration alone. */
const counted = (p: Preset): number => {
  const vit = (c: SailVitConfig): number => {
    const [d, m, patches] = [c.hiddenSize, c.intermediateSize, (c.imageSize / c.patchSize) ** 2]
    const before = 3 * c.patchSize ** 2 * d + d + d + patches * d
    return before + c.layers * (2 * d + 4 * d * d + 3 * d * m) + d
  }
  const language = (c: Qwen3Config): number => {
    const [d, q, kv] = [c.hiddenSize, c.heads * c.headDim, c.kvHeads * c.headDim]
    const layer = 2 * d + d * (q + 2 * kv) + q * d + 2 * c.headDim
    const feedForward =
      c.moe === undefined
        ? 3 * d * c.intermediateSize
        : d * c.moe.experts + c.moe.experts * 3 * d * c.moe.intermediateSize
    return c.vocabSize * d * (c.tied ? 1 : 2) + c.layers * (layer + feedForward) + d
  }
  if (p.kind === 'vision') return vit(p.config)
  if (p.kind === 'language') return language(p.config)
  const [folded, d] = [4 * p.config.vision.hiddenSize, p.config.language.hiddenSize]
  return vit(p.config.vision) + 2 * folded + (folded + 1) * d + (d + 1) * d + language(p.config.language)
}

test('README names every preset with its number of parameters', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const told = [...readme.matchAll(/^\| `([\w.-]+)` \| ([\d,]+) \|/gm)].map(([, name, count]) => [
    name!,
    count!,
  ])
  assert.equal(told.map(([name]) => name).sort(), Object.keys(presets).sort())
  for (const [name, count] of told) assert.is(count, grouped(counted(presets[name!]!)), name)
})

test('presets have the published number of parameters, and building one allocates none of them', () => {
  const huge = 682_031_616
  const counts: Readonly<Record<string, number>> = {
    'aimv2-huge': huge,
    'qwen3-0.6b': 596_049_920,
    'qwen3-1.7b': 1_720_574_976,
    'qwen3-8b': 8_190_735_360,
    'qwen3-30b-a3b': 30_532_122_624,
    'sail-vl2-30b-a3b': huge + 16_793_600 + 30_532_122_624,
    'sail-vl2-2b': huge + 16_793_600 + 2_031_739_904,
    'sail-vl2-anyres-2b': huge + 16_793_600 + 2_031_739_904,
    'sail-vl2-8b': huge + 41_963_520 + 8_190_735_360,
  }
  const before = process.memoryUsage().rss
  for (const [name, expected] of Object.entries(counts))
    assert.is(parametersOfPreset(presets[name]!), expected, name)
  assert.ok(process.memoryUsage().rss - before < 5e8, 'memory grew by less than 0.5 GB')
  for (const [name, preset] of Object.entries(presets))
    assert.is(parametersOfPreset(preset), counted(preset), name)
  const untied = { kind: 'language', config: { ...qwen3Medium, tied: false } } as const
  assert.is(parametersOfPreset(untied), 2_031_739_904)
  for (const [embedSize, expected] of [
    [2048, 16_793_600],
    [4096, 41_963_520],
  ] as const) {
    const c = { patches: 1024, visionSize: 1536, embedSize }
    const tokens = input('tokens', [axis('patch', 1024), axis('vision', 1536)])
    assert.is(countParameters(parametersOf(adapter(c).apply(tokens))), expected)
  }
})

test.run()
