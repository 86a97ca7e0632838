/** How tokens are drawn: against transformers' logits processors, and by the laws that any draw obeys. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { draw, probabilities, type Sampling, settled, uniforms } from '../../src/generation/index.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'

const test = suite('generation: how tokens are drawn')
const of = (s: Omit<Sampling, 'maxNewTokens'>) => settled({ maxNewTokens: 1, ...s })

test('probabilities after temperature, top-k, top-p and min-p are those of transformers', () => {
  const c = loadCase('sampling')
  const [rows, vocab] = c.shape('logits') as [number, number]
  const cases: Readonly<Record<string, Omit<Sampling, 'maxNewTokens'>>> = {
    temperature: { temperature: 0.7 },
    top_k: { temperature: 1.3, topK: 5 },
    top_p: { topP: 0.8 },
    top_k_top_p: { temperature: 0.6, topK: 8, topP: 0.9 },
    min_p: { minP: 0.1 },
  }
  for (const [name, s] of Object.entries(cases))
    for (let r = 0; r < rows; r++) {
      const row = (from: string) => c.floats(from).slice(r * vocab, (r + 1) * vocab)
      const [got, want] = [probabilities(row('logits'), of(s)), row(name)]
      assert.equal(
        [...got].map((p) => p === 0),
        [...want].map((p) => p === 0),
        `${name}: what is left`,
      )
      assert.ok(maxRelativeError(got, want) < c.case.relative_tolerance, `${name}, row ${r}`)
    }
})

// quarters: ties are ties and nothing is nearly one
const quarters = fc.integer({ min: -32, max: 32 }).map((n) => n / 4)
const logits = fc.array(quarters, { minLength: 2, maxLength: 40 })
const settings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 2),
  topK: fc.integer({ min: 1, max: 50 }),
  topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
  minP: fc.double({ min: 0, max: 1, noNaN: true }),
  repetitionPenalty: fc.constantFrom(1, 1.5),
})

test('probabilities add up to one, the likeliest token stays, and filters only take tokens away', () => {
  fc.assert(
    fc.property(logits, settings, fc.array(fc.nat(39)), (row, s, had) => {
      const seen = new Set(had.filter((id) => id < row.length))
      const p = probabilities(row, of(s), { seen })
      assert.ok(Math.abs(p.reduce((a, b) => a + b, 0) - 1) < 1e-12)
      const { temperature, repetitionPenalty } = s
      const open = probabilities(row, of({ temperature, repetitionPenalty }), { seen })
      const top = open.reduce((a, b) => Math.max(a, b))
      assert.ok(open.some((x, i) => x === top && p[i]! > 0))
      const least = open.toSorted((a, b) => b - a)[Math.min(s.topK, row.length) - 1]!
      assert.ok(p.every((x, i) => x === 0 || open[i]! >= least - 1e-15))
      p.forEach((x, i) => {
        assert.ok(x === 0 || x >= open[i]! - 1e-12, 'what is left is at least as likely as before')
      })
    }),
  )
})

test('the number that draws picks the token at whose place the probabilities added up pass it', () => {
  fc.assert(
    fc.property(
      logits,
      settings,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (row, s, u) => {
        const p = probabilities(row, of(s))
        const { id } = draw(row, of(s), u)
        assert.ok(p[id]! > 0)
        const before = p.slice(0, id).reduce((a, b) => a + b, 0)
        assert.ok(before <= u + 1e-12 && u < before + p[id]! + 1e-12)
      },
    ),
  )
})

test('tokens come as often as they are likely', () => {
  const row = [0.3, -1, 2, 0, 1.1]
  const s = of({ temperature: 0.8 })
  const counts = row.map(() => 0)
  const u = uniforms(3, 'often', 0)
  const n = 40_000
  for (let i = 0; i < n; i++) counts[draw(row, s, u(i)).id]!++
  const p = probabilities(row, s)
  const chi = counts.reduce((sum, c, i) => sum + (c - n * p[i]!) ** 2 / (n * p[i]!), 0)
  // four degrees of freedom: beyond 18.5 once in a thousand
  assert.ok(chi < 18.5, `${chi}`)
})

test('a log-probability is taken at the temperature, and before penalty and filters', () => {
  const row = [0.5, 2, -1]
  const logSoftmax = (t: number, i: number): number =>
    row[i]! / t - Math.log(row.reduce((sum, x) => sum + Math.exp(x / t), 0))
  const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12, `${a}, ${b}`)
  const one = draw(row, of({ temperature: 0.5, topK: 1, repetitionPenalty: 3 }), 0.9, { seen: new Set([1]) })
  assert.is(one.id, 1)
  near(one.logProb, logSoftmax(0.5, 1))
  near(draw(row, of({ temperature: 0 }), 0.9).logProb, logSoftmax(1, 1))
  // far below what a float can hold as a probability
  assert.ok(draw([0, -800], of({}), 0).logProb === 0)
})

test('a token that is never drawn has no probability, and its share of the log-probability stays', () => {
  const row = [0, 5, 1]
  for (const s of [{}, { temperature: 0 }, { topK: 1 }]) {
    assert.equal([...probabilities(row, of(s), { never: [1] })].map((p) => p > 0)[1], false)
    const { id, logProb } = draw(row, of(s), 0.99, { never: [1] })
    assert.is(id, 2)
    assert.ok(logProb < -4, 'that of the whole softmax')
  }
})

test('of equals the first is the likeliest', () => {
  assert.is(draw([1, 3, 3, 0], of({ temperature: 0 }), 0.9).id, 1)
})

test('the penalty divides what is above zero and multiplies what is below', () => {
  const p = probabilities([2, -2, 2], of({ repetitionPenalty: 2 }), { seen: new Set([0, 1]) })
  const total = Math.exp(1) + Math.exp(-4) + Math.exp(2)
  assert.ok(maxRelativeError(p, [Math.exp(1) / total, Math.exp(-4) / total, Math.exp(2) / total]) < 1e-12)
})

test('the numbers of an answer depend on seed, task, sample and place, and on nothing else', () => {
  const all = new Map<number, string>()
  for (const seed of [0, 1, '1'])
    for (const task of ['a', 'b', 'a/0'])
      for (const sample of [0, 1]) {
        const u = uniforms(seed, task, sample)
        const forward = Array.from({ length: 9 }, (_, i) => u(i))
        const again = uniforms(seed, task, sample)
        assert.equal(
          [8, 3, 0, 5].map(again),
          [8, 3, 0, 5].map((i) => forward[i]),
        )
        for (const x of forward) {
          assert.ok(x >= 0 && x < 1 && Math.fround(x) === x)
          assert.not.ok(all.has(x), `${x} twice`)
          all.set(x, `${seed} ${task} ${sample}`)
        }
      }
})

test('settings that cannot be are refused by name, and a diverged model is no token', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ maxNewTokens: 0 }, /sampling, maxNewTokens: it is 0; give a whole number from 1/],
    [{ maxNewTokens: 1, temperature: -1 }, /temperature: it is -1/],
    [{ maxNewTokens: 1, topK: 0 }, /topK: it is 0/],
    [{ maxNewTokens: 1, topP: 0 }, /topP: it is 0, which leaves no token/],
    [{ maxNewTokens: 1, minP: 1.5 }, /minP: it is 1.5; give a probability/],
    [{ maxNewTokens: 1, repetitionPenalty: 0 }, /repetitionPenalty: it is 0/],
    [{ maxNewTokens: 1, stopIds: [-1] }, /stopIds\[0\]: it is -1/],
    [{ maxNewTokens: 1, topk: 3 }, /topk: there is no such setting/],
  ]
  for (const [s, says] of cases) assert.throws(() => settled(s as Sampling), says)
  assert.throws(
    () => settled(undefined as never),
    /sampling, settings: it is undefined; give a record of settings: maxNewTokens/,
  )
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => draw([0, bad], of({}), 0.5), /logit of token 1 is .*diverged/)
  assert.is(draw([Number.NEGATIVE_INFINITY, 0], of({}), 0.5).id, 1, 'a token that is ruled out')
})

test.run()
