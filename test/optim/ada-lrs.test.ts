import * as fc from 'fast-check'
import { TestScheduler } from 'rxjs/testing'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type AdaLrsDecision,
  AdaLrsError,
  type AdaLrsSettings,
  AdaLrsState,
  adaLrs,
  adaLrsReducer,
  fitLosses,
  isAtMark,
  type Searched,
} from '../../src/optim/index.ts'

// --- slopes -----------------------------------------------------------------------------------------------

const slopes = suite('adaLrs: slopes')

const near = (got: number, want: number, tolerance = 1e-9): void =>
  assert.ok(Math.abs(got - want) <= tolerance * (1 + Math.abs(want)), `${got} for ${want}`)

slopes('of a line: its slope, downward positive, without error', () => {
  const fit = fitLosses([5, 4.5, 4, 3.5])
  near(fit.velocity, 0.5)
  near(fit.error, 0)
})

slopes('a worked example: losses 1, 0, 2', () => {
  // slope (2 − 1) / 2; residuals ½, −1, ½; noise √(1.5 / 1); error noise / √2
  const fit = fitLosses([1, 0, 2])
  near(fit.velocity, -0.5)
  near(fit.noise, Math.sqrt(1.5))
  near(fit.error, Math.sqrt(1.5 / 2))
})

slopes('a loss that explodes at a window of any length counts as rising', () => {
  for (const n of [3, 10, 100, 1000]) {
    const fit = fitLosses(Array.from({ length: n }, (_, i) => (i === n - 1 ? 1e6 : 1)))
    assert.ok(fit.velocity < -1.7 * fit.error, `${n}`)
  }
})

slopes.run()

// --- one decision after the other -------------------------------------------------------------------------

const decisions = suite('adaLrs: decisions')

/** Windows of four, no noise, trials from the start. */
const plain: AdaLrsSettings = { steps: 100, window: 4, search: [0, 1], error: 0.1, alpha: 3, beta: 2 }

/** Feeds windows of losses; a number is a window that falls by so much a step, from 100 down. */
const fed = (settings: AdaLrsSettings, windows: readonly (number | readonly number[])[]) => {
  const search = adaLrsReducer(settings)
  let state = search.start
  let level = 100
  const ends: AdaLrsDecision[] = []
  for (const w of windows) {
    const losses = typeof w === 'number' ? Array.from({ length: 4 }, () => (level -= w)) : w
    for (const loss of losses) {
      const out = search.next(state, loss)
      state = out.state
      if (out.decision._tag !== 'Wait') ends.push(out.decision)
    }
  }
  return { ends, state, search }
}
const tags = (ends: readonly AdaLrsDecision[]): string[] =>
  ends.map((d) => (d._tag === 'RolledBack' ? d.why : d._tag))

decisions('eq. 1, faster than before by more than 2e: α′η stays', () => {
  const { ends, state } = fed({ ...plain, lambda: 0.9 }, [2, 1, 1.21])
  assert.equal(tags(ends), ['Watched', 'Tried', 'Kept'])
  near(ends[1]!.scale, 3)
  near(state.scale, 3)
  assert.is(state.trials, 1)
  assert.equal(
    ends.map((d) => [d.mark, d.rollBack]),
    [
      [true, false],
      [true, false],
      [true, false],
    ],
  )
})

decisions('eq. 1, slower by more than 2e: everything goes back, β′η of the rate before the trial', () => {
  const { ends, state } = fed(plain, [2, 1, 0.79])
  assert.equal(tags(ends), ['Watched', 'Tried', 'slower'])
  near(state.scale, 1 / 2)
  const last = ends[2]!
  assert.ok(last.rollBack && !last.mark)
  if (last._tag !== 'RolledBack') throw new Error('expected a rollback')
  near(last.from, 3)
  near(last.window!.velocity, 0.79)
  near(last.against!.velocity, 1)
})

decisions('eq. 1, inside 2e on either side: η stays, nothing goes back', () => {
  for (const v of [0.81, 1, 1.19]) {
    const { ends, state } = fed(plain, [2, 1, v])
    assert.equal(tags(ends), ['Watched', 'Tried', 'Left'])
    assert.is(state.scale, 1)
    assert.is(state.trials, 1)
    assert.ok(ends[2]!.mark && !ends[2]!.rollBack)
  }
})

decisions('the error of the slopes where none is given: the larger of the two', () => {
  // the wave adds a standard error and nothing to the slope
  const noisy = (v: number, size: number): number[] => {
    const wave = [1, -1, -1, 1].map((x) => x * size)
    return [0, 1, 2, 3].map((i) => 50 - v * i + wave[i]!)
  }
  const error = fitLosses(noisy(1, 0.1)).error
  const { error: _, ...standard } = plain
  const at = (a: number, b: number, gain: number) =>
    tags(fed(standard, [[60, 57, 54, 51], noisy(1, a), noisy(1 + gain * error, b)]).ends)[2]
  assert.is(at(0.1, 0, 2.1), 'Kept')
  assert.is(at(0, 0.1, 2.1), 'Kept')
  assert.is(at(0.1, 0, 1.9), 'Left')
  assert.is(at(0, 0.1, 1.9), 'Left')
  assert.is(at(0.1, 0, -2.1), 'slower')
  assert.is(at(0, 0, 1.9), 'Kept')
})

decisions('a trial begins where the descent slows down and nowhere else', () => {
  assert.equal(tags(fed(plain, [1, 1.5, 2, 2]).ends), ['Watched', 'Watched', 'Watched', 'Watched'])
  assert.equal(tags(fed(plain, [1, 1.5, 1.4]).ends), ['Watched', 'Watched', 'Tried'])
})

decisions('factors decay with trials, α′ and β′ by λ each time, and never pass 1', () => {
  const failing = [2, 1, 0.5] as const // the window after a rollback has none before it
  const { ends } = fed({ ...plain, steps: 1000, lambda: 0.8 }, [...failing, ...failing, ...failing])
  const scales = ends.filter((d) => d._tag === 'Tried' || d._tag === 'RolledBack').map((d) => d.scale)
  const want: number[] = []
  let scale = 1
  for (let t = 0; t < 3; t++) {
    want.push(scale * 3 * 0.8 ** t)
    scale /= Math.max(2 * 0.8 ** t, 1)
    want.push(scale)
  }
  assert.is(scales.length, 6)
  for (const [i, s] of scales.entries()) near(s, want[i]!)
  // 2 · 0.4 < 1: a failure raises nothing
  near(fed({ ...plain, alpha: 10, lambda: 0.4 }, [...failing, ...failing]).state.scale, 1 / 2)
  // 3 · 0.2 < 1: there is nothing left to try
  const spent = fed({ ...plain, lambda: 0.2 }, [2, 1, 1, 1, 0.9, 0.8, 0.7])
  assert.equal(tags(spent.ends), ['Watched', 'Tried', 'Left', 'Watched', 'Watched', 'Watched', 'Watched'])
})

decisions('trials begin in their part of training only, early enough to end and be undone in it', () => {
  const slowing = Array.from({ length: 25 }, (_, i) => 30 - i)
  const { ends } = fed({ ...plain, search: [0.2, 0.6], alpha: 1.5 }, slowing)
  const tried = ends.filter((d) => d._tag === 'Tried').map((d) => d.step)
  assert.ok(tried[0]! >= 20 && tried[0]! < 28, `${tried}`)
  assert.ok(tried.at(-1)! <= 60 - 4 * 4, `${tried}`)
})

decisions(
  'after the search nothing is tried, and what rises goes back only where it is higher than ever',
  () => {
    const late = { ...plain, search: [0, 0.3] } as const
    const { ends, state } = fed(late, [2, 1, 1.5, ...Array(8).fill(1.5), 1, 0.5, -1, -1, -1])
    assert.equal(tags(ends).slice(0, 3), ['Watched', 'Tried', 'Kept'])
    assert.ok(ends.slice(3).every((d) => d._tag === 'Watched'))
    assert.is(state.scale, 3)
    const diverged = fed(late, [2, 1, 1.5, ...Array(8).fill(1.5), -1, -30])
    assert.equal(tags(diverged.ends).slice(-2), ['Watched', 'rising'])
    near(diverged.state.scale, 3 / 2)
    assert.equal(tags(fed(late, [...Array(10).fill(1), [Number.NaN]]).ends).at(-1), 'notFinite')
  },
)

decisions('guard: a trial whose loss exceeds the highest so far ends at once, beyond the noise', () => {
  const { ends, state } = fed(plain, [2, 1, [100.5]])
  assert.equal(tags(ends), ['Watched', 'Tried', 'exceeded'])
  assert.is(ends[2]!.step, 9)
  near(state.scale, 1 / 2)
  assert.is(state.trials, 1)
  assert.equal(tags(fed(plain, [2, 1, [97.9]]).ends), ['Watched', 'Tried'])
  // three standard deviations of the window before the trial
  const wave = [90, 88, 88, 88.5]
  const { noise } = fitLosses(wave)
  const over = (x: number) => tags(fed(plain, [2, wave, [98 + x * noise]]).ends)
  assert.equal(over(2.9), ['Watched', 'Tried'])
  assert.equal(over(3.1), ['Watched', 'Tried', 'exceeded'])
})

decisions('guard: two windows in a row that rise go back to before the first', () => {
  const { ends, state } = fed({ ...plain, alpha: 1.0001 }, [2, -1, -1])
  assert.equal(tags(ends), ['Watched', 'Watched', 'rising'])
  assert.equal(
    ends.map((d) => [d.mark, d.rollBack]),
    [
      [true, false],
      [false, false],
      [false, true],
    ],
  )
  near(state.scale, 1 / 2)
  assert.equal(tags(fed({ ...plain, alpha: 1.0001 }, [2, -1, 1, -1]).ends).includes('rising'), false)
})

decisions('guard: a loss that is no number goes back at once, at any step and in a trial', () => {
  for (const loss of [Number.NaN, Infinity]) {
    const first = fed(plain, [[loss]])
    assert.equal(tags(first.ends), ['notFinite'])
    near(first.state.scale, 1 / 2)
    const inTrial = fed(plain, [2, 1, [90, loss]])
    assert.equal(tags(inTrial.ends), ['Watched', 'Tried', 'notFinite'])
    near(inTrial.state.scale, 1 / 2)
    assert.ok(inTrial.ends[2]!.rollBack)
  }
  // the guards' factor does not decay: no divergence can outlive it
  const often = fed({ ...plain, lambda: 0.1 }, [2, 1, 1, [Number.NaN], [Number.NaN]])
  near(often.state.scale, 1 / 4)
})

decisions('what is marked is what a checkpoint holds', () => {
  const { state, search } = fed(plain, [2, 1])
  assert.ok(isAtMark(search.start) && isAtMark(state))
  assert.not(isAtMark(search.next(state, 1).state))
  assert.not(isAtMark(fed({ ...plain, alpha: 1.0001 }, [2, -1]).state))
  assert.ok(isAtMark(fed(plain, [2, 1, 0.1]).state))
})

const wrong: readonly (readonly [Partial<Record<keyof AdaLrsSettings, unknown>>, string, RegExp])[] = [
  [{ steps: 0 }, 'steps', /it is 0; give the whole number of steps/],
  [{ steps: 10.5 }, 'steps', /10.5/],
  [{ alpha: 1 }, 'alpha', /above 1/],
  [{ alpha: Number.NaN }, 'alpha', /above 1/],
  [{ beta: 0.5 }, 'beta', /it is 0.5; give a divisor above 1/],
  [{ lambda: 0 }, 'lambda', /above 0/],
  [{ lambda: 1.01 }, 'lambda', /up to 1/],
  [{ search: [0.4, 0.4] }, 'search', /the first below the second/],
  [{ search: [-0.1, 0.4] }, 'search', /it is -0.1/],
  [{ search: [0, 1.1] }, 'search', /it is 1.1/],
  [{ window: 2 }, 'window', /from 3 up/],
  [{ window: 60 }, 'window', /from 0.1 to 0.4 of 1000 steps has 300; give one of which it holds 6/],
  [{ error: -1 }, 'error', /'standard'/],
  [{ error: 'half' }, 'error', /"half"/],
]
for (const [settings, setting, message] of wrong)
  decisions(`refuses ${JSON.stringify(settings)}`, () => {
    assert.throws(
      () => adaLrsReducer({ steps: 1000, ...settings } as AdaLrsSettings),
      (e: unknown) => e instanceof AdaLrsError && e.setting === setting && message.test(e.message),
    )
  })

decisions('the defaults', () => {
  const config = { alpha: 3, beta: 2, lambda: 0.99, search: [0.1, 0.4], error: 'standard' }
  assert.equal(adaLrsReducer({ steps: 10_000 }).config, { ...config, steps: 10_000, window: 30 })
  assert.equal(adaLrsReducer({ steps: 1000 }).config, { ...config, steps: 1000, window: 8 })
})

decisions.run()

// --- simulated training -----------------------------------------------------------------------------------

const simulated = suite('adaLrs: simulated losses')

/** splitmix32 and Box–Muller. */
const gaussian = (seed: number): (() => number) => {
  let a = seed | 0
  const next = (): number => {
    a = (a + 0x9e3779b9) | 0
    let t = a ^ (a >>> 16)
    t = Math.imul(t, 0x21f0aaad)
    t ^= t >>> 15
    t = Math.imul(t, 0x735a2d97)
    return ((t ^ (t >>> 15)) >>> 0) / 4294967296
  }
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

/** ½ Σ hᵢxᵢ²: curvatures h and the point where training begins. */
interface Quadratic {
  readonly curvatures: readonly number[]
  readonly start: readonly number[]
  /** The noise of a measured loss, relative to it. */
  readonly noise: number
  readonly seed: number
}
const Steps = 3000

const lossAt = (q: Quadratic, x: readonly number[]): number =>
  q.curvatures.reduce((sum, h, i) => sum + (h * x[i]! ** 2) / 2, 0)

/** The loss after all steps of gradient descent at one rate, exactly. */
const lossAfter = (q: Quadratic, rate: number): number =>
  lossAt(
    q,
    q.start.map((x, i) => x * (1 - rate * q.curvatures[i]!) ** Steps),
  )

/** Of all constant rates the one whose training ends lowest, to 4 %. */
const bestRate = (q: Quadratic): number =>
  Array.from({ length: 120 }, (_, i) => 1.04 ** (i - 90) / q.curvatures[0]!).reduce((a, b) =>
    lossAfter(q, b) < lossAfter(q, a) ? b : a,
  )

const quadratics: fc.Arbitrary<Quadratic> = fc
  .record({
    curvature: fc.double({ min: -2, max: 2, noNaN: true }).map((e) => 10 ** e),
    fall: fc.double({ min: 1.75, max: 2.5, noNaN: true }),
    share: fc.double({ min: 1, max: 1.5, noNaN: true }),
    noise: fc.double({ min: -5, max: -3, noNaN: true }).map((e) => 10 ** e),
    seed: fc.integer(),
  })
  .map(({ curvature, fall, share, noise, seed }) => {
    const curvatures = Array.from({ length: 64 }, (_, i) => curvature * (i + 1) ** -fall)
    return {
      curvatures,
      start: curvatures.map((h, i) => Math.sqrt((2 * (i + 1) ** -share) / h)),
      noise,
      seed,
    }
  })

/** Trains as a trainer does; gives the last rate and every decision that was no wait. */
const trained = (q: Quadratic, rate: number, settings: AdaLrsSettings) => {
  const search = adaLrsReducer(settings)
  const noise = gaussian(q.seed)
  let state = search.start
  let x = q.start
  let marked = x
  const ends: AdaLrsDecision[] = []
  for (let i = 0; i < Steps; i++) {
    const loss = lossAt(q, x) * (1 + q.noise * noise())
    const eta = rate * state.scale
    x = x.map((v, j) => v * (1 - eta * q.curvatures[j]!))
    const { decision, state: next } = search.next(state, loss)
    state = next
    if (decision.rollBack) x = marked
    if (decision.mark) marked = x
    if (decision._tag !== 'Wait') ends.push(decision)
  }
  return { rate: rate * state.scale, ends, loss: lossAt(q, x) }
}

const settings = { steps: Steps, window: 10, lambda: 0.95 } as const

for (const [name, times] of [
  ['30 times too low', 1 / 30],
  ['10 times too high', 10],
] as const)
  simulated(
    `gradient descent on noisy quadratics, a start ${name}: within a factor of 2 of the best rate`,
    () => {
      fc.assert(
        fc.property(quadratics, (q) => {
          const best = bestRate(q)
          const { rate, loss } = trained(q, best * times, settings)
          assert.ok(rate > best / 2 && rate < best * 2, `${rate / best} of the best`)
          assert.ok(loss < lossAt(q, q.start) / 2, `${loss}`)
        }),
        { numRuns: 100, seed: 20260917, endOnFailure: true },
      )
    },
  )

simulated('with the default decay, within a factor of 3', () => {
  fc.assert(
    fc.property(quadratics, fc.constantFrom(1 / 30, 10), (q, times) => {
      const best = bestRate(q)
      const { rate } = trained(q, best * times, { steps: Steps, window: 10 })
      assert.ok(rate > best / 3 && rate < best * 3, `${rate / best} of the best`)
    }),
    { numRuns: 100, seed: 20260917, endOnFailure: true },
  )
})

simulated('a start too low ends lower than without a search', () => {
  fc.assert(
    fc.property(quadratics, (q) => {
      const low = bestRate(q) / 30
      assert.ok(trained(q, low, settings).loss < lossAfter(q, low) / 1.2)
    }),
    { numRuns: 30, seed: 20260917, endOnFailure: true },
  )
})

simulated('a search that goes on from its JSON goes on to the bit, wherever it stopped', () => {
  fc.assert(
    fc.property(quadratics, fc.integer({ min: 1, max: 1200 }), (q, at) => {
      const search = adaLrsReducer(settings)
      const noise = gaussian(q.seed)
      let whole = search.start
      let halted = search.start
      for (let i = 0; i < 1500; i++) {
        const loss = (10 / (1 + i / 100)) * (1 + q.noise * noise())
        const given = i % 411 === 410 ? Number.NaN : loss
        whole = search.next(whole, given).state
        if (i === at) {
          const decoded = AdaLrsState.decode(JSON.parse(JSON.stringify(halted)))
          if (decoded._tag === 'Left') throw new Error(`step ${at} does not decode`)
          halted = decoded.right
        }
        halted = search.next(halted, given).state
      }
      assert.equal(halted, whole)
    }),
    { numRuns: 30 },
  )
  assert.is(AdaLrsState.decode({ ...adaLrsReducer(settings).start, scale: 'one' })._tag, 'Left')
})

simulated('a step alters nothing of the state that it was given', () => {
  const search = adaLrsReducer(plain)
  const before = JSON.stringify(search.start)
  search.next(search.start, 1)
  assert.is(JSON.stringify(search.start), before)
})

simulated.run()

// --- the operator -----------------------------------------------------------------------------------------

const operator = suite('adaLrs: the operator')

const marbles = (run: Parameters<TestScheduler['run']>[0]): void => {
  new TestScheduler((got, want) => assert.equal(got, want)).run(run)
}

const events = { a: { loss: 4 }, b: { loss: 3 }, c: { loss: 2 }, d: { loss: 1 } }

/** What the reducer says of those losses, in order. */
const expected = (losses: readonly { loss: number }[]): Searched<{ loss: number }>[] => {
  const search = adaLrsReducer(plain)
  let state = search.start
  return losses.map((event) => {
    const out = search.next(state, event.loss)
    state = out.state
    return { event, ...out }
  })
}
const [w, x, y, z] = expected([events.a, events.b, events.c, events.d])

operator('each event with its decision; it completes with its source', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const source = cold(' --a-b--(cd|)', events)
    const result = '      --w-x--(yz|)'
    expectObservable(source.pipe(adaLrs(plain))).toBe(result, { w, x, y, z })
    expectSubscriptions(source.subscriptions).toBe('^------!')
  })
  assert.is(z!.decision._tag, 'Watched')
})

operator('it fails with its source', () => {
  marbles(({ cold, expectObservable }) => {
    const source = cold('            -a-#', events, new Error('no more'))
    expectObservable(source.pipe(adaLrs(plain))).toBe('-w-#', { w }, new Error('no more'))
  })
})

operator('it lets go of its source when it is let go', () => {
  marbles(({ hot, expectObservable, expectSubscriptions }) => {
    const source = hot('-a-b-c-d-', events)
    const stop = '      ----!    '
    const result = '    -w-x-    '
    expectObservable(source.pipe(adaLrs(plain)), stop).toBe(result, { w, x })
    expectSubscriptions(source.subscriptions).toBe('^---!')
  })
})

operator('each subscription is a search of its own; one may go on where another stopped', () => {
  marbles(({ cold, expectObservable }) => {
    const twice = cold('-a-b|', events).pipe(adaLrs(plain))
    expectObservable(twice).toBe('-w-x|', { w, x })
    expectObservable(twice).toBe('-w-x|', { w, x })
    const rest = cold('-c-d|', events).pipe(adaLrs(plain, x!.state))
    expectObservable(rest).toBe('-y-z|', { y, z })
  })
})

operator('bad settings throw before anything is subscribed to', () => {
  assert.throws(() => adaLrs({ steps: 0 }), /steps/)
})

operator.run()
