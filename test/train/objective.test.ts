/** Losses and metrics of an objective, counted by hand from logits and labels. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { axis, input, mul, type Scalar, scalar, total } from '../../src/dsl/index.ts'
import { crossEntropyTerms, type LossTerms, lossOf, ratioOf } from '../../src/train/objective.ts'

const objective = suite('train: losses and metrics by hand')

const [rows, tokens, vocab] = [3, 4, 5]
const [Row, Token, Vocab] = [axis('row', rows), axis('token', tokens), axis('vocab', vocab)]

/** One head by hand: the sum of the losses, and of each row how many positions count and how many of them are right. */
const byHand = (logits: readonly number[], labels: readonly number[]) => {
  let sum = 0
  const counted = new Array<number>(rows).fill(0)
  const right = new Array<number>(rows).fill(0)
  labels.forEach((label, at) => {
    if (label < 0) return
    const scores = logits.slice(at * vocab, (at + 1) * vocab)
    const row = Math.floor(at / tokens)
    sum += Math.log(scores.reduce((n, x) => n + Math.exp(x), 0)) - scores[label]!
    counted[row]!++
    if (scores.indexOf(Math.max(...scores)) === label) right[row]!++
  })
  return { sum, counted, right }
}

const logits = fc.array(
  fc.integer({ min: -300, max: 300 }).map((n) => n / 100),
  {
    minLength: rows * tokens * vocab,
    maxLength: rows * tokens * vocab,
  },
)
/** Labels of which many are the likeliest, so that rows are right in part and as a whole. */
const labels = fc.array(
  fc.constantFrom<number | 'likeliest'>('likeliest', 'likeliest', 'likeliest', -100, 0, 2),
  {
    minLength: rows * tokens,
    maxLength: rows * tokens,
  },
)
const heads = fc.tuple(logits, labels).map(([l, wanted]) => ({
  logits: l,
  labels: wanted.map((label, at) => {
    const scores = l.slice(at * vocab, (at + 1) * vocab)
    return label === 'likeliest' ? scores.indexOf(Math.max(...scores)) : label
  }),
}))
const near = (what: string, got: number, want: number): void =>
  assert.ok(Math.abs(got - want) <= 1e-9 * Math.max(1, Math.abs(want)), `${what}: ${got} for ${want}`)
const add = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

objective('one head, and two that count the same positions', () => {
  let [partly, wholly] = [0, 0]
  fc.assert(
    fc.property(heads, logits, fc.boolean(), (first, second, two) => {
      const given = [first, ...(two ? [{ logits: second, labels: first.labels }] : [])]
      const terms = crossEntropyTerms(
        'vocab',
        ...given.map((_, i) => ({
          logits: input(`logits ${i}`, [Row, Token, Vocab]),
          labels: input(`labels ${i}`, [Row, Token], 'int32'),
        })),
      )
      const { correct, exactMatch } = terms.metrics!()
      const roots = [
        terms.sum,
        terms.weight,
        correct!.sum,
        correct!.weight,
        exactMatch!.sum,
        exactMatch!.weight,
      ]
      const got = evaluate([...roots, ratioOf(terms), lossOf(terms)], {
        inputs: Object.fromEntries(
          given.flatMap((h, i) => [
            [`logits ${i}`, h.logits],
            [`labels ${i}`, h.labels],
          ]),
        ),
      }).map((v) => v[0]!)
      const hands = given.map((h) => byHand(h.logits, h.labels))
      const sum = add(hands.map((h) => h.sum))
      const positions = add(hands[0]!.counted)
      const of = (what: 'counted' | 'right', row: number): number => add(hands.map((h) => h[what][row]!))
      const whole = [0, 1, 2].filter((r) => of('counted', r) > 0 && of('right', r) === of('counted', r))
      const some = [0, 1, 2].filter((r) => of('counted', r) > 0)
      const mean = positions === 0 ? 0 : sum / positions
      const want = [
        ...[sum, positions, add([0, 1, 2].map((r) => of('right', r))), given.length * positions],
        ...[whole.length, some.length, mean, mean],
      ]
      want.forEach((w, i) => {
        near(`number ${i}`, got[i]!, w)
      })
      if (whole.length > 0) wholly++
      if (some.some((r) => of('right', r) > 0 && of('right', r) < of('counted', r))) partly++
    }),
  )
  assert.ok(wholly > 5 && partly > 5, `${wholly} with a whole row, ${partly} with a part of one`)
})

objective('where nothing counts the loss is 0, and so is every share', () => {
  const terms = crossEntropyTerms('vocab', {
    logits: input('logits', [Row, Token, Vocab]),
    labels: input('labels', [Row, Token], 'int32'),
  })
  const { correct, exactMatch } = terms.metrics!()
  const inputs = { logits: new Array(60).fill(1), labels: new Array(12).fill(-100) }
  const got = evaluate([ratioOf(terms), lossOf(terms), ratioOf(correct!), ratioOf(exactMatch!)], { inputs })
  assert.equal(
    got.map((v) => v[0]),
    [0, 0, 0, 0],
  )
})

objective('auxiliary losses are added to the mean as they are', () => {
  const x = input('x', [axis('n', 2)])
  const terms: LossTerms = {
    sum: total(x),
    weight: scalar(4),
    auxiliary: { balance: scalar(0.5), other: mul(scalar(2), 3) as Scalar },
  }
  assert.equal([...evaluate([lossOf(terms)], { inputs: { x: [6, 10] } })[0]!], [16 / 4 + 0.5 + 6])
  assert.equal([...evaluate([ratioOf(terms)], { inputs: { x: [6, 10] } })[0]!], [4])
})

objective.run()
