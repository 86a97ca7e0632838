import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  axis,
  evaluate,
  fixed,
  GraphError,
  input,
  parameter,
  program,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { adamW, EmaStepKey, ema, emaKey, isEmaKey } from '../../src/optim/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'

const engines = await hostEngines()
const test = suite(`ema: a plain recurrence, on ${engines.map((e) => e.name).join(' and ')}`)

const Row = axis('row', 3)
const weight = (): Tensor => parameter('w', [Row], zeros)
const start = [1, -2, 0.5]

/** The averages after each update, from the weight before the first and after each, in plain numbers. */
const recurrence = (
  weights: readonly (readonly number[])[],
  decay: number,
  warmup: boolean,
): readonly (readonly number[])[] => {
  let e = weights[0]!
  return weights.slice(1).map((p, t) => {
    const d = warmup ? Math.min(decay, (1 + t) / (10 + t)) : decay
    e = e.map((x, i) => d * x + (1 - d) * p[i]!)
    return e
  })
}

const settings = fc.record({
  decay: fc.double({ min: 0, max: 0.9999, noNaN: true }),
  warmup: fc.constantFrom(true, false, undefined),
  moves: fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 }), {
    minLength: 1,
    maxLength: 12,
  }),
})

test('in float64, over random updates', () => {
  fc.assert(
    fc.property(settings, ({ decay, warmup, moves }) => {
      const w = new Map([['w', weight()]])
      const out = ema(w, new Map([['w', input('moved', [Row]) as Tensor]]), {
        decay,
        ...(warmup === undefined ? {} : { warmup }),
      })
      const keys = [...out.keys()]
      assert.equal(keys, [EmaStepKey, 'ema.w'])
      // the decay rises unless it is told not to
      const want = recurrence([start, ...moves], decay, warmup ?? true)
      let states: Record<string, ArrayLike<number>> = { [EmaStepKey]: [0], 'ema.w': [7, 7, 7], w: start }
      for (const [i, moved] of moves.entries()) {
        const values = evaluate([...out.values()], { inputs: { moved }, states })
        states = { ...Object.fromEntries(keys.map((k, j) => [k, values[j]!])), w: moved }
        assert.ok(
          maxRelativeError(states['ema.w']!, want[i]!) < 1e-6 || Math.max(...want[i]!.map(Math.abs)) < 1e-6,
        )
        assert.equal([...(states[EmaStepKey] as Float64Array)], [i + 1])
      }
    }),
    { numRuns: 60 },
  )
})

for (const engine of engines)
  for (const warmup of [true, false])
    test(`beside AdamW on ${engine.name}, warm-up ${warmup}`, async () => {
      const step = fixed(() => {
        const w = new Map([['w', weight()]])
        const { next } = adamW(w, [input('gradient', [Row])], input('rate', []), { decay: 0.1 })
        const averages = ema(w, next, { decay: 0.8, warmup })
        return { outputs: {}, next: new Map([...next, ...averages]) }
      })
      const session = await orThrow(engine.load(program({ name: 'ema', functions: { step } })))
      await orThrow(session.write(new Map([['w', tensorValue('float32', [3], start)]])))
      const weights: number[][] = [start]
      const averages: number[][] = []
      for (let i = 0; i < 12; i++) {
        const gradient = tensorValue('float32', [3], [Math.sin(i), Math.cos(i), 1])
        await orThrow(session.call('step', { gradient, rate: scalarValue(0.3) }))
        const got = await orThrow(session.read(['w', 'ema.w']))
        weights.push([...got.get('w')!.data])
        averages.push([...got.get('ema.w')!.data])
      }
      const want = recurrence(weights, 0.8, warmup)
      for (const [i, got] of averages.entries()) {
        const error = maxRelativeError(got, want[i]!)
        assert.ok(error < 1e-6, `update ${i}: ${error}`)
      }
      assert.ok(maxRelativeError(averages.at(-1)!, weights.at(-1)!) > 0.01)
      await orThrow(session.close())
    })

test('a weight that the step leaves alone keeps its average', () => {
  const out = ema(new Map([['w', weight()]]), new Map(), { decay: 0.5, warmup: false })
  const [e] = evaluate([out.get('ema.w')!], { states: { [EmaStepKey]: [3], 'ema.w': [0, 0, 0], w: start } })
  assert.equal([...e!], [0.5, -1, 0.25])
})

test('keys, and what is refused', () => {
  assert.ok(isEmaKey(emaKey('a.b')) && isEmaKey(EmaStepKey) && !isEmaKey('emanate.weight'))
  for (const decay of [-0.1, 1, Number.NaN])
    assert.throws(() => ema(new Map(), new Map(), { decay }), /ema: decay is .*from 0 to below 1/)
  assert.throws(
    () => ema(new Map([['ema.w', weight()]]), new Map(), { decay: 0.5 }),
    (e: unknown) => e instanceof GraphError && e.tag === 'KeyConflict',
  )
})

test.run()
