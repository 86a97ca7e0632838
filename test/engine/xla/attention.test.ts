/**
 * Attention as a call of cuDNN against its definition, forward and backward: on a machine with CUDA, where the plugin is
 * named in SAILWRIGHT_TEST_PLUGIN. Elsewhere there is no such call, and the definition is tested with all other graphs.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../../src/dsl/index.ts'
import { tensorValue } from '../../../src/engine/values.ts'
import { type XlaOptions, xlaEngine } from '../../../src/engine/xla/index.ts'
import { orThrow } from '../../../src/train/task.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'

const plugin = await cpuPlugin()
const cuda = plugin !== undefined && /cuda/.test(plugin)
if (!cuda) process.stderr.write('no plugin for CUDA is here, attention as a call of cuDNN is not tried\n')
const test = suite('xla: attention as a call')

const [B, T, H, G, D] = [
  d.axis('batch', 3),
  d.axis('token', 128),
  d.axis('head', 2),
  d.axis('group', 2),
  d.axis('dim', 64),
]
const K = d.as(T, d.Key)

const graph = (mask: d.Tensor | undefined): d.Results => {
  const q = d.input('q', [B, T, H, G, D])
  const [k, v] = [d.input('k', [B, K, H, D]), d.input('v', [B, K, H, D])]
  const y = d.attend(q, k, v, 'dim', mask)
  const weights = d.input('weights', [B, T, H, G, D])
  const [gq, gk, gv] = d.gradient(d.total(d.mul(y, weights)), [q, k, v])
  return { outputs: { y, gq: gq!, gk: gk!, gv: gv! } }
}

const real = d.notPadding(d.input('attention_mask', [B, T], 'int32'), 'token')
const masks: Readonly<Record<string, d.Tensor | undefined>> = {
  none: undefined,
  causal: d.causal(T),
  'causal and padded': d.and(d.causal(T), real),
  'padding in front, so that some tokens see nothing': d.and(d.causal(T), d.not(real)),
}

const numbers = (n: number, phase: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.sin(i * 1.37 + phase))

const run = async (attention: XlaOptions['attention'], mask: d.Tensor | undefined) => {
  const got = await xlaEngine({ plugin: plugin!, attention: attention! })()
  if (isLeft(got)) throw new Error(got.left.message)
  const p = d.program({ name: 'attention', functions: { f: d.fixed(() => graph(mask)) } })
  const session = await orThrow(got.right.load(p, { precision: 'bfloat16' }))
  const wide = [3, 128, 2, 2, 64]
  const narrow = [3, 128, 2, 64]
  const given = {
    q: tensorValue('float32', wide, numbers(3 * 128 * 256, 0)),
    k: tensorValue('float32', narrow, numbers(3 * 128 * 128, 1)),
    v: tensorValue('float32', narrow, numbers(3 * 128 * 128, 2)),
    weights: tensorValue('float32', wide, numbers(3 * 128 * 256, 3)),
    attention_mask: tensorValue(
      'int32',
      [3, 128],
      Array.from({ length: 384 }, (_, i) => Number(i % 128 < 100)),
    ),
  }
  const names = new Set(p.functions.get('f')![0]!.inputs.keys())
  const fed = Object.fromEntries(Object.entries(given).filter(([name]) => names.has(name)))
  try {
    return await orThrow(session.call('f', fed))
  } finally {
    await orThrow(session.close())
  }
}

if (cuda)
  for (const [name, mask] of Object.entries(masks))
    test(`mask: ${name}`, async () => {
      const [call, definition] = [await run('auto', mask), await run('definition', mask)]
      for (const [output, want] of Object.entries(definition)) {
        const [got, right] = [Array.from(call[output]!.data), Array.from(want.data)]
        const scale = right.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
        // two roundings of bfloat16, 2⁻⁸ each, of numbers as large as the largest
        right.forEach((x, i) => {
          assert.ok(Math.abs(x - got[i]!) <= 0.02 * scale, `${output} at ${i}: ${got[i]} for ${x}`)
        })
      }
    })

if (!cuda) test.skip('there is no plugin for CUDA', () => undefined)

test.run()
