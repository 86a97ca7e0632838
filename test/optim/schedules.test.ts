import * as fc from 'fast-check'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  constantRate,
  decay,
  followedBy,
  linearWarmup,
  type Schedule,
  ScheduleError,
  type ScheduleSpec,
  scaledBy,
  schedule,
} from '../../src/optim/schedules.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'

const test = suite('schedules')

const built = (spec: ScheduleSpec, steps?: number): Schedule => {
  const result = schedule(spec, steps)
  if (result._tag === 'Left') throw result.left
  return result.right
}
const factors = (s: Schedule, steps: number): number[] => Array.from({ length: steps }, (_, i) => s(i))

const reference = loadCase('schedules')
const { steps, warmup, wsd } = reference.case.settings
const published: Record<string, ScheduleSpec> = {
  constant: { kind: 'constant' },
  constant_with_warmup: { kind: 'constant', warmup },
  linear: { kind: 'linear', warmup, steps },
  cosine: { kind: 'cosine', warmup, steps },
  warmup_stable_decay: { kind: 'wsd', warmup, steps, decay: wsd.decay_steps, minRatio: wsd.min_ratio },
}
for (const name of reference.io.keys())
  test(`${name}: the factors of transformers.get_scheduler at every step`, () => {
    const expected = reference.floats(name)
    const error = maxRelativeError(factors(built(published[name]!), steps), expected)
    assert.ok(error < 1e-6, `relative error ${error}`)
  })

test('the decays at their ends and middle', () => {
  const at = (shape: 'linear' | 'cosine' | '1-sqrt', step: number) =>
    decay({ steps: 16, shape, minRatio: 0.1 })(step)
  for (const shape of ['linear', 'cosine', '1-sqrt'] as const) {
    assert.is(at(shape, 0), 1)
    assert.is(at(shape, 16), 0.1)
    assert.is(at(shape, 1000), 0.1)
  }
  assert.ok(Math.abs(at('linear', 4) - (0.1 + 0.9 * 0.75)) < 1e-12)
  assert.ok(Math.abs(at('cosine', 8) - (0.1 + 0.9 * 0.5)) < 1e-12)
  assert.ok(Math.abs(at('1-sqrt', 4) - (0.1 + 0.9 * 0.5)) < 1e-12)
})

const arbitrarySpec = fc
  .record({
    steps: fc.integer({ min: 3, max: 300 }),
    split: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    minRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    shape: fc.constantFrom('linear' as const, 'cosine' as const, '1-sqrt' as const),
    kind: fc.constantFrom('constant' as const, 'linear' as const, 'cosine' as const, 'wsd' as const),
  })
  .map(({ steps, split, minRatio, shape, kind }) => {
    const warmup = Math.floor(split[0] * (steps - 1))
    const last = 1 + Math.floor(split[1] * (steps - warmup - 1))
    const spec: ScheduleSpec =
      kind === 'constant'
        ? { kind, warmup, steps }
        : kind === 'wsd'
          ? { kind, warmup, steps, minRatio, shape, decay: last }
          : { kind, warmup, steps, minRatio }
    return { spec, steps, warmup, minRatio, last }
  })

test('any schedule rises to 1, never rises again, and stays at its end', () => {
  fc.assert(
    fc.property(arbitrarySpec, ({ spec, steps, warmup, minRatio, last }) => {
      const f = built(spec)
      const all = factors(f, steps + 10)
      const start = spec.kind === 'wsd' ? minRatio : 0
      for (let i = 0; i < warmup; i++)
        assert.ok(Math.abs(all[i]! - (start + ((1 - start) * i) / warmup)) < 1e-12, `step ${i}: ${all[i]}`)
      assert.is(all[warmup], 1)
      for (let i = warmup + 1; i < all.length; i++) assert.ok(all[i]! <= all[i - 1]!)
      const end = spec.kind === 'constant' ? 1 : minRatio
      for (const value of all.slice(steps)) assert.is(value, end)
      if (spec.kind === 'wsd') {
        for (let i = warmup; i <= steps - last; i++) assert.is(all[i], 1)
        if (minRatio < 0.99) assert.ok(all[steps - last + 1]! < 1)
      }
    }),
  )
})

test('fractions are of all steps, rounded up; the stage gives the steps that the specification lacks', () => {
  const same = (a: ScheduleSpec, b: ScheduleSpec, steps?: number) =>
    assert.equal(factors(built(a, steps), 120), factors(built(b), 120))
  same({ kind: 'cosine', warmup: 0.03 }, { kind: 'cosine', warmup: 4, steps: 101 }, 101)
  same({ kind: 'wsd', decay: 0.2 }, { kind: 'wsd', decay: 20, steps: 100 }, 100)
  same(
    { kind: 'wsd', decay: 9, warmup: 9, minRatio: 0.2 },
    { kind: 'wsd', decay: 9, warmup: 9, minRatio: 0.2, start: 0.2, steps: 50 },
    50,
  )
  same({ kind: 'linear', steps: 50 }, { kind: 'linear', steps: 50 }, 100)
})

test('pieces compose, and a peak turns factors into learning rates', () => {
  const s = pipe(
    linearWarmup(2),
    followedBy(2, constantRate(0.5)),
    followedBy(5, constantRate(0)),
    scaledBy(2e-4),
  )
  assert.equal(factors(s, 7), [0, 1e-4, 1e-4, 1e-4, 1e-4, 0, 0])
})

const wrong: [spec: unknown, steps: number | undefined, setting: string, message: string][] = [
  [null, 10, 'kind', 'constant, linear, cosine, wsd'],
  [{ kind: 'step' }, 10, 'kind', '"step"'],
  [{ kind: 'cosine' }, undefined, 'steps', 'needs it'],
  [{ kind: 'cosine', steps: 0 }, undefined, 'steps', 'it is 0'],
  [{ kind: 'cosine', steps: '10' }, undefined, 'steps', '"10"'],
  [{ kind: 'cosine', steps: 2.5 }, undefined, 'steps', '2.5'],
  [{ kind: 'cosine', warmup: 10 }, 10, 'warmup', '10 of 10 steps'],
  [{ kind: 'cosine', warmup: -1 }, 10, 'warmup', '-1'],
  [{ kind: 'linear', warmup: 1.5 }, 10, 'warmup', '1.5'],
  [{ kind: 'constant', warmup: Number.NaN }, 10, 'warmup', 'NaN'],
  [{ kind: 'constant', warmup: 0.1 }, undefined, 'warmup', 'give steps'],
  [{ kind: 'linear', minRatio: 1.5 }, 10, 'minRatio', '1.5'],
  [{ kind: 'linear', minRatio: null }, 10, 'minRatio', 'null'],
  [{ kind: 'constant', warmup: 3, start: 2 }, 10, 'start', 'it is 2'],
  [{ kind: 'wsd' }, 10, 'decay', 'give a number'],
  [{ kind: 'wsd', decay: 0 }, 10, 'decay', 'it is 0'],
  [{ kind: 'wsd', decay: 6, warmup: 5 }, 10, 'decay', '5 + 6 of 10'],
  [{ kind: 'wsd', decay: 6, shape: 'toString' }, 10, 'shape', 'linear, cosine, 1-sqrt'],
]
for (const [spec, n, setting, message] of wrong)
  test(`refuses ${JSON.stringify(spec)} over ${n} steps`, () => {
    const result = schedule(spec, n)
    if (result._tag === 'Right') throw new Error('an error was expected')
    assert.instance(result.left, ScheduleError)
    assert.is(result.left.setting, setting, result.left.message)
    assert.match(result.left.message, message)
  })

test('pieces refuse bad settings too', () => {
  for (const make of [
    () => linearWarmup(-1),
    () => linearWarmup(0.5),
    () => decay({ steps: 0, shape: 'linear' }),
    () => decay({ steps: 1, shape: 'linear', minRatio: -0.1 }),
    () => followedBy(Number.NaN, constantRate()),
    () => scaledBy(-1),
    () => scaledBy(Number.POSITIVE_INFINITY),
  ])
    assert.throws(make, (e: unknown) => e instanceof ScheduleError)
})
test('pieces that make no schedule are refused by name', () => {
  const refused = (f: () => unknown, setting: string): void => {
    try {
      f()
    } catch (e) {
      assert.instance(e, ScheduleError)
      assert.is((e as ScheduleError).setting, setting)
      return
    }
    throw new Error(`${setting} was not refused`)
  }
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) refused(() => constantRate(value), 'value')
  for (const shape of ['cubic', 'toString'])
    refused(() => decay({ steps: 2, shape: shape as 'linear' }), 'shape')
  assert.is(constantRate(0)(3), 0)
})

test.run()
