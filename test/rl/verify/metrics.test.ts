/** Metrics of public benchmarks, against the values of their reference implementations. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  anls,
  choiceOf,
  hasAnswer,
  iou,
  levenshtein,
  type Region,
  regionIn,
  regionInPixels,
  relaxedMatch,
  vqaAccuracy,
  vqaNormal,
  yesOrNo,
} from '../../../src/rl/index.ts'
import { fixtureJson } from '../../support/fixtures.ts'

const test = suite('rl: metrics')

test('a choice that is said twice is the last', () => {
  const choices = { A: 'a car', B: 'a bicycle', C: 'a tram' }
  assert.is(
    choiceOf(
      'First I thought the answer is A, but looking again the answer is C because of its rails',
      choices,
    ),
    'C',
  )
})

test('ANLS: below the threshold nothing is left', () => {
  assert.is(anls('abcd', ['abxy'], 0.5), 0.5)
  // a letter beyond 16 bits is one
  assert.is(anls('b', ['𝒜b'], 0.5), 0.5)
  assert.is(anls('abcd', ['axyz'], 0.5), 0)
  assert.is(anls('abcd', ['axyz'], 0.25), 0.25)
})

/** Cases marked debatable in which this package takes what a reader takes, and why. */
const otherwise: ReadonlyMap<string, readonly [expected: unknown, why: string]> = new Map([
  ['me-56', ['C', '答案：C names an option']],
  ['me-61', ['B', 'the text is an option, word for word; that another option begins alike does not matter']],
  ['me-62', ['B', 'what stands before </think> is no answer']],
  ['me-63', ['B', 'one option alone is in the text']],
] as const)

// biome-ignore lint/suspicious/noExplicitAny: the arguments differ from metric to metric
const measures: Readonly<Record<string, (a: any) => unknown>> = {
  anls: (a) => anls(a.prediction, a.answers, a.threshold),
  levenshtein: (a) => levenshtein(a.a, a.b),
  relaxed_accuracy: (a) =>
    relaxedMatch(a.prediction, a.target, { tolerance: a.max_relative_change, groups: false }),
  vqa_normalise: (a) => vqaNormal(a.text),
  vqa_soft_accuracy: (a) => vqaAccuracy(a.prediction, a.answers),
  iou: (a) => iou(a.a, a.b),
  parse_box: (a) => regionIn(a.text),
  box_to_pixels: (a) => regionInPixels(a.box, a.width, a.height),
  refcoco: (a) => {
    const overlap = iou(regionInPixels(regionIn(a.text)!, a.width, a.height), a.gt_pixels)
    return { iou: overlap, hit: overlap >= a.threshold }
  },
  ocrbench_contains: (a) =>
    Number(hasAnswer(a.prediction, a.answers, a.category.startsWith('Handwritten Math'))),
  mcq_option: (a) => choiceOf(a.text, a.choices),
  yes_no: (a) => ({ yes: 'Yes', no: 'No', unknown: 'Unknown' })[yesOrNo(a.text) ?? 'unknown'],
}

const near = (got: unknown, expected: unknown, tolerance: number): boolean =>
  typeof expected === 'number'
    ? Math.abs((got as number) - expected) <= tolerance
    : Array.isArray(expected)
      ? Array.isArray(got) &&
        got.length === expected.length &&
        expected.every((x, i) => near(got[i], x, tolerance))
      : typeof expected === 'object' && expected !== null
        ? Object.entries(expected).every(([key, x]) =>
            near((got as Record<string, unknown>)[key], x, tolerance),
          )
        : got === expected

test('metrics.json: every case but the debatable ones that are listed', () => {
  const { cases } = fixtureJson('text/metrics.json')
  assert.is(cases.length, 70)
  for (const c of cases) {
    const got = measures[c.metric]!(c.args)
    const listed = otherwise.get(c.id)
    if (listed !== undefined) assert.ok(c.debatable, `${c.id} is not marked debatable`)
    const expected = listed === undefined ? c.expected : listed[0]
    if (listed !== undefined) assert.is(c.truth, expected, `${c.id}: what a reader takes`)
    assert.ok(near(got, expected, c.tolerance ?? 1e-9), `${c.id} ${c.metric}: ${JSON.stringify(got)}`)
  }
})

test('the distance of texts is a distance', () =>
  fc.assert(
    fc.property(
      fc.string({ maxLength: 12 }),
      fc.string({ maxLength: 12 }),
      fc.string({ maxLength: 12 }),
      (a, b, c) => {
        assert.is(levenshtein(a, a), 0)
        assert.is(levenshtein(a, b), levenshtein(b, a))
        assert.ok(levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c))
        assert.ok(levenshtein(a, b) >= Math.abs(Array.from(a).length - Array.from(b).length))
      },
    ),
  ))

test('overlap is from 0 to 1, symmetric, and 1 with itself', () => {
  const side = fc.integer({ min: 0, max: 1000 })
  const region = fc
    .tuple(side, side, side, side)
    .map(([a, b, c, d]): Region => [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)])
  fc.assert(
    fc.property(region, region, (a, b) => {
      const overlap = iou(a, b)
      assert.ok(overlap >= 0 && overlap <= 1)
      assert.is(overlap, iou(b, a))
      if (a[0] < a[2] && a[1] < a[3]) assert.is(iou(a, a), 1)
    }),
  )
})

test('the tolerance is a share of the true number', () => {
  assert.is(relaxedMatch('105', '100'), true)
  assert.is(relaxedMatch('105.2', '100'), false)
  assert.is(relaxedMatch('95', '100'), true)
})

test('a thousand with its comma is a number unless that is turned off', () => {
  assert.is(relaxedMatch('1,000', '1010'), true)
  assert.is(relaxedMatch('1,000', '1010', { groups: false }), false)
  assert.is(relaxedMatch('0', '0.0'), true)
  assert.is(relaxedMatch('0.01', '0'), false)
})

test.run()
