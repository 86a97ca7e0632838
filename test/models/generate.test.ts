import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  axis,
  causal,
  elements,
  fill,
  input,
  type Results,
  type Tensor,
  topological,
} from '../../src/dsl/index.ts'
import { draw, settled } from '../../src/generation/index.ts'
import { filterInputs } from '../../src/models/cache.ts'
import { drawToken } from '../../src/models/draw-token.ts'
import { extendLoop } from '../../src/models/extend-loop.ts'
import { decode, extend, prefill } from '../../src/models/generate.ts'
import { type GenerationSizes, isCacheKey } from '../../src/models/generation-sizes.ts'
import { vitAxes } from '../../src/models/sail-vit.ts'
import { type SailVl2Config, sailVl2, sailVl2Model, visualTokens } from '../../src/models/sail-vl2.ts'
import { presentEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { onEngine } from '../support/on-engine.ts'

const test = suite('models: generation with a cache')

const model: SailVl2Config = {
  vision: {
    imageSize: 8,
    patchSize: 2,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 1,
    heads: 2,
    epsilon: 1e-5,
  },
  language: {
    vocabSize: 11,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 4,
    ropeTheta: 100,
    epsilon: 1e-6,
    tied: true,
  },
}
const visual = visualTokens(model)
const sizes: GenerationSizes = { rows: 2, prompt: 9, capacity: 13 }
const vocab = model.language.vocabSize

/** Fresh weights, norms and biases moved off their plain start; the cache filled with what must never be read. */
const statesOf = (...rs: readonly Results[]): Map<string, ArrayLike<number>> => {
  const roots = rs.flatMap((r) => [...Object.values(r.outputs), ...(r.next?.values() ?? [])])
  const states = new Map<string, ArrayLike<number>>()
  for (const t of topological(roots)) {
    if (t.op.op !== 'state') continue
    const noise = fill({ kind: 'uniform', limit: 0.3 }, elements(t.axes), 5, t.op.key)
    const start = fill(t.op.init, elements(t.axes), 5, t.op.key)
    states.set(t.op.key, isCacheKey(t.op.key) ? noise.fill(1e6) : start.map((x, i) => x + noise[i]!))
  }
  return states
}

/** The logits of the whole sequence at once, without a cache: `[batch, token, vocab]`. */
const whole = (length: number): Tensor => {
  const batch = axis('batch', sizes.rows)
  const token = axis('token', length)
  const { channel, height, width } = vitAxes(model.vision)
  const of = (name: string) => input(name, [batch, token], 'int32')
  return sailVl2(model, {
    token,
    positions: of('position_ids'),
    mask: causal(token),
    ids: of('input_ids'),
    visualIndex: of('visual_index'),
    images: input('pixel_values', [axis('tile', sizes.rows), channel, height, width]),
  })
}

const first = prefill(sailVl2Model('small', model), sizes)
const each = decode(sailVl2Model('small', model), sizes)
const weights = statesOf(first, each)
const answer = sizes.capacity - sizes.prompt

/** Rows of ids with their image's places, padded on the right. */
const padded = (
  rows: readonly (readonly number[])[],
  length: number,
  fillWith: (i: number) => number,
): number[] => rows.flatMap((r) => Array.from({ length }, (_, i) => r[i] ?? fillWith(i)))

const stepBy = (
  r: Results,
  inputs: Record<string, ArrayLike<number>>,
  states: Map<string, ArrayLike<number>>,
): Float64Array => {
  const keys = [...r.next!.keys()]
  const [logits, ...values] = evaluate([r.outputs.logits!, ...keys.map((k) => r.next!.get(k)!)], {
    inputs,
    states,
  })
  keys.forEach((k, i) => {
    states.set(k, values[i]!)
  })
  return logits!
}

const prompt = fc
  .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 }))
  .chain(([before, after]) =>
    fc
      .array(fc.nat(vocab - 1), { minLength: before + after, maxLength: before + after })
      .map((text) => ({ text, before })),
  )

test('prefill and decode give the logits of the whole sequence, for prompts of unequal length', () => {
  const images = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), {
    minLength: sizes.rows * 3 * 64,
    maxLength: sizes.rows * 3 * 64,
  })
  const answers = fc.array(fc.array(fc.nat(vocab - 1), { minLength: answer, maxLength: answer }), {
    minLength: sizes.rows,
    maxLength: sizes.rows,
  })
  const prompts = fc.array(prompt, { minLength: sizes.rows, maxLength: sizes.rows })
  fc.assert(
    fc.property(prompts, images, answers, (ps, pixel_values, continuation) => {
      const ids = ps.map(({ text, before }) => [
        ...text.slice(0, before),
        ...Array.from({ length: visual }, () => 0),
        ...text.slice(before),
      ])
      const places = ps.map(({ before }, row) =>
        Array.from({ length: before + visual }, (_, i) => (i < before ? -1 : row * visual + i - before)),
      )
      const states = new Map(weights)
      const got: Float64Array[] = []
      got.push(
        stepBy(
          first,
          {
            input_ids: padded(ids, sizes.prompt, () => 0),
            position_ids: padded(
              ids.map((r) => [...r.keys()]),
              sizes.prompt,
              () => 0,
            ),
            visual_index: padded(places, sizes.prompt, () => -1),
            pixel_values,
            last: ids.map((r) => r.length - 1),
            source: ids.map((_, row) => row),
          },
          states,
        ),
      )
      for (let i = 0; i < answer; i++)
        got.push(
          stepBy(
            each,
            { input_ids: continuation.map((c) => c[i]!), position: ids.map((r) => r.length + i) },
            states,
          ),
        )
      const all = ids.map((r, row) => [...r, ...continuation[row]!])
      const length = sizes.capacity
      const [expected] = evaluate([whole(length)], {
        inputs: {
          input_ids: padded(all, length, () => 0),
          position_ids: padded(
            all.map((r) => [...r.keys()]),
            length,
            () => 0,
          ),
          visual_index: padded(places, length, () => -1),
          pixel_values,
        },
        states: weights,
      })
      got.forEach((logits, i) => {
        const want = ids.flatMap((r, row) => {
          const at = (row * length + r.length - 1 + i) * vocab
          return [...expected!.subarray(at, at + vocab)]
        })
        assert.ok(maxRelativeError(logits, want) < 1e-9, `token ${i} after the prompt`)
      })
    }),
    { numRuns: 8 },
  )
})

const uniform23 = fc.nat(2 ** 23 - 1).map((n) => n / 2 ** 23)

test('a token drawn in the graph is the one that is drawn on the host, and never one without probability', () => {
  const cases = fc.integer({ min: 2, max: 70 }).chain((size) =>
    fc.record({
      rows: fc.array(fc.array(fc.integer({ min: -40, max: 40 }), { minLength: size, maxLength: size }), {
        minLength: 1,
        maxLength: 3,
      }),
      never: fc.subarray(
        Array.from({ length: size - 1 }, (_, i) => i + 1),
        { maxLength: size - 1 },
      ),
      temperature: fc.constantFrom(0, 0.5, 1, 3),
      uniform: fc.oneof(uniform23, fc.constantFrom(0, 1 - 2 ** -23)),
    }),
  )
  fc.assert(
    fc.property(cases, ({ rows, never, temperature, uniform }) => {
      const [batch, of] = [axis('batch', rows.length), axis('vocab', rows[0]!.length)]
      const { ids, logProbs } = drawToken(input('logits', [batch, of]), {
        scale: input('scale', []),
        greedy: input('greedy', [], 'bool'),
        bias: input('bias', [of]),
        uniform: input('uniform', [batch]),
      })
      const [got, gotLog] = evaluate([ids, logProbs], {
        inputs: {
          logits: rows.flat().map((x) => x / 4),
          scale: [temperature === 0 ? 1 : 1 / temperature],
          greedy: [temperature === 0 ? 1 : 0],
          bias: rows[0]!.map((_, i) => (never.includes(i) ? Number.NEGATIVE_INFINITY : 0)),
          uniform: rows.map(() => uniform),
        },
        states: new Map(),
      })
      const s = settled({ maxNewTokens: 1, temperature })
      rows.forEach((row, r) => {
        const want = draw(
          row.map((x) => x / 4),
          s,
          uniform,
          { never },
        )
        assert.is(got![r], want.id)
        assert.ok(Math.abs(gotLog![r]! - want.logProb) < 1e-9)
      })
    }),
    { numRuns: 150 },
  )
})

test('top-k, top-p, min-p and the repetition penalty leave what they leave outside the graph, each row its own', () => {
  const cases = fc.integer({ min: 1, max: 30 }).chain((n) =>
    fc.record({
      rows: fc.array(
        fc.record({
          // few values: many are equal
          logits: fc.array(fc.integer({ min: -12, max: 12 }), { minLength: n, maxLength: n }),
          topK: fc.integer({ min: 1, max: n + 2 }),
          topP: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 1, noNaN: true })),
          minP: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
          // a power of two changes logits exactly, so that equal ones stay equal
          penalty: fc.constantFrom(1, 2, 0.5),
          seen: fc.array(fc.nat(n - 1), { maxLength: n }),
          uniform: uniform23,
        }),
        { minLength: 1, maxLength: 3 },
      ),
      never: fc.array(fc.nat(n - 1), { maxLength: n - 1 }).filter((ids) => new Set(ids).size < n),
      temperature: fc.constantFrom(0, 0.5, 1, 3),
    }),
  )
  fc.assert(
    fc.property(cases, ({ rows, never, temperature }) => {
      const [batch, of] = [axis('batch', rows.length), axis('vocab', rows[0]!.logits.length)]
      const { ids, logProbs } = drawToken(input('logits', [batch, of]), {
        scale: input('scale', []),
        greedy: input('greedy', [], 'bool'),
        bias: input('bias', [of]),
        uniform: input('uniform', [batch]),
        ...filterInputs({ vocabSize: of.size }, batch),
      })
      const [got, gotLog] = evaluate([ids, logProbs], {
        inputs: {
          logits: rows.flatMap((r) => r.logits.map((x) => x / 4)),
          scale: [temperature === 0 ? 1 : 1 / temperature],
          greedy: [temperature === 0 ? 1 : 0],
          bias: rows[0]!.logits.map((_, i) => (never.includes(i) ? Number.NEGATIVE_INFINITY : 0)),
          uniform: rows.map((r) => r.uniform),
          ...{
            top_k: rows.map((r) => r.topK),
            top_p: rows.map((r) => r.topP),
            min_p: rows.map((r) => r.minP),
            penalty: rows.map((r) => r.penalty),
            seen: rows.flatMap((r) => r.logits.map((_, id) => Number(r.seen.includes(id)))),
          },
        },
        states: new Map(),
      })
      rows.forEach(({ logits, topK, topP, minP, penalty, seen, uniform }, r) => {
        const own = { topK, topP, minP, repetitionPenalty: penalty }
        const s = settled({ maxNewTokens: 1, temperature, ...own })
        const want = draw(
          logits.map((x) => x / 4),
          s,
          uniform,
          { never, seen: new Set(seen) },
        )
        assert.is(got![r], want.id)
        assert.ok(Math.abs(gotLog![r]! - want.logProb) < 1e-9)
      })
    }),
    { numRuns: 150 },
  )
})

for (const engine of await presentEngines())
  test(`${engine.name}: filters draw the tokens that are drawn outside the graph`, async () => {
    const [n, size] = [24, 40]
    const [batch, of] = [axis('batch', n), axis('vocab', size)]
    const { ids } = drawToken(input('logits', [batch, of]), {
      scale: input('scale', []),
      greedy: input('greedy', [], 'bool'),
      bias: input('bias', [of]),
      uniform: input('uniform', [batch]),
      ...filterInputs({ vocabSize: size }, batch),
    })
    const random = (key: string, count: number): Float32Array =>
      fill({ kind: 'uniform', limit: 1 }, count, 2, key) as Float32Array
    const logits = random('logits', n * size).map((x) => 5 * x)
    const share = (key: string): Float32Array => random(key, n).map((x) => (x + 1.001) / 2.002)
    const [uniform, topP, minP] = [share('uniform'), share('top_p'), share('min_p').map((x) => x / 4)]
    const topK = Int32Array.from({ length: n }, (_, i) => 2 + 3 * i)
    const inputs = { logits, uniform, scale: [0.5], greedy: [0], bias: new Float32Array(size) }
    const seen = random('seen', n * size).map((x) => (x > 0.6 ? 1 : 0))
    const filters = { top_k: topK, top_p: topP, min_p: minP, seen, penalty: new Float32Array(n).fill(1.25) }
    const [got] = await onEngine(engine, [ids], { ...inputs, ...filters })
    const want = Array.from({ length: n }, (_, r) => {
      const own = { topK: topK[r]!, topP: topP[r]!, minP: minP[r]!, repetitionPenalty: 1.25 }
      const s = settled({ maxNewTokens: 1, temperature: 2, ...own })
      const had = Array.from({ length: size }, (_, id) => id).filter((id) => seen[r * size + id] === 1)
      return draw(logits.subarray(r * size, (r + 1) * size), s, uniform[r]!, { seen: new Set(had) }).id
    })
    assert.equal(got, want)
    assert.ok(new Set(want).size > 8)
  })

test('several tokens of one call are those of as many calls, and leave the same cache', () => {
  const steps = 3
  const many = extend(sailVl2Model('small', model), sizes, steps)
  const row = fc.record({
    id: fc.nat(vocab - 1),
    // to the last slots and beyond
    position: fc.integer({ min: 1, max: sizes.capacity - 1 }),
    uniforms: fc.array(uniform23, { minLength: steps, maxLength: steps }),
  })
  const rows = fc.array(row, { minLength: sizes.rows, maxLength: sizes.rows })
  fc.assert(
    fc.property(rows, fc.constantFrom(0, 0.7), fc.nat(vocab - 1), (start, temperature, never) => {
      const noise = new Map(
        [...weights].map(([k, v]) =>
          isCacheKey(k)
            ? ([k, fill({ kind: 'uniform', limit: 1 }, v.length, 3, k)] as const)
            : ([k, v] as const),
        ),
      )
      const [states, one] = [
        new Map<string, ArrayLike<number>>(noise),
        new Map<string, ArrayLike<number>>(noise),
      ]
      const keys = [...many.next!.keys()]
      const [ids, logProbs, ...caches] = evaluate(
        [many.outputs.ids!, many.outputs.log_probs!, ...keys.map((k) => many.next!.get(k)!)],
        {
          inputs: {
            input_ids: start.map((r) => r.id),
            position: start.map((r) => r.position),
            uniform: Array.from({ length: steps }, (_, i) => start.map((r) => r.uniforms[i]!)).flat(),
            scale: [temperature === 0 ? 1 : 1 / temperature],
            greedy: [temperature === 0 ? 1 : 0],
            bias: Array.from({ length: vocab }, (_, i) => (i === never ? Number.NEGATIVE_INFINITY : 0)),
          },
          states,
        },
      )
      const s = settled({ maxNewTokens: 1, temperature })
      let now = start.map((r) => r.id)
      const inside = start.map(() => true)
      for (let i = 0; i < steps; i++) {
        const position = start.map((r) => r.position + i)
        const logits = stepBy(each, { input_ids: now, position }, one)
        now = start.map((r, at) => {
          const want = draw(logits.subarray(at * vocab, (at + 1) * vocab), s, r.uniforms[i]!, {
            never: [never],
          })
          // what does not fit into the cache is not kept, and what comes after it nobody asked for
          inside[at] &&= position[at]! <= sizes.capacity
          if (inside[at]) {
            assert.is(ids![i * sizes.rows + at], want.id)
            assert.ok(Math.abs(logProbs![i * sizes.rows + at]! - want.logProb) < 1e-9)
          }
          return ids![i * sizes.rows + at]!
        })
      }
      if (start.every((r) => r.position + steps <= sizes.capacity))
        keys.forEach((k, i) => {
          assert.ok(maxRelativeError(caches[i]!, one.get(k)!) < 1e-9, k)
        })
    }),
    { numRuns: 20 },
  )
})

test('the loop gives the tokens of the steps written out, to the last that any row may take, and leaves the same cache', () => {
  const steps = 3
  const lm = sailVl2Model('small', model)
  const [many, loop] = [extend(lm, sizes, steps), extendLoop(lm, sizes, steps)]
  const keys = [...many.next!.keys()]
  const roots = (r: Results): Tensor[] => [
    ...['ids', 'log_probs'].map((n) => r.outputs[n]!),
    ...keys.map((k) => r.next!.get(k)!),
  ]
  const row = fc.record({
    id: fc.nat(vocab - 1),
    position: fc.integer({ min: 1, max: sizes.capacity - steps }),
    left: fc.nat(steps + 1),
  })
  const rows = fc.array(row, { minLength: sizes.rows, maxLength: sizes.rows })
  const numbers = fc.array(uniform23, { minLength: steps * sizes.rows, maxLength: steps * sizes.rows })
  fc.assert(
    fc.property(rows, numbers, fc.nat(vocab - 1), (start, uniform, end) => {
      const states = new Map(
        [...weights].map(([k, v]) =>
          isCacheKey(k)
            ? ([k, fill({ kind: 'uniform', limit: 1 }, v.length, 3, k)] as const)
            : ([k, v] as const),
        ),
      )
      const inputs = {
        input_ids: start.map((r) => r.id),
        position: start.map((r) => r.position),
        left: start.map((r) => r.left),
        ends: Array.from({ length: vocab }, (_, i) => (i === end ? 1 : 0)),
        ...{ uniform, scale: [1], greedy: [0], bias: Array.from({ length: vocab }, () => 0) },
      }
      const [ids, logProbs, ...caches] = evaluate(roots(many), { inputs, states })
      const [ran, gotIds, gotLogs, ...got] = evaluate([loop.outputs.ran!, ...roots(loop)], {
        inputs,
        states,
      })
      const open = (r: number, steps_: number): boolean =>
        start[r]!.left > steps_ &&
        !Array.from({ length: steps_ }, (_, i) => ids![i * sizes.rows + r]).includes(end)
      let want = 1
      while (want < steps && start.some((_, r) => open(r, want))) want++
      assert.is(ran![0], want)
      for (let i = 0; i < want * sizes.rows; i++) {
        assert.is(gotIds![i], ids![i])
        assert.ok(Math.abs(gotLogs![i]! - logProbs![i]!) < 1e-9)
      }
      if (want === steps)
        got.forEach((c, k) => {
          assert.ok(maxRelativeError(c, caches[k]!) < 1e-9, keys[k])
        })
    }),
    { numRuns: 20 },
  )
})

test('sizes that no generation has are refused, and the sizes named', () => {
  const cases: readonly (readonly [Partial<GenerationSizes>, RegExp])[] = [
    [{ prompt: 40, capacity: 30 }, /capacity 30 is less than prompt 40; .*the sum of both/],
    [{ rows: 0 }, /rows is 0; give a whole number/],
    [{ prompt: 2.5 }, /prompt is 2.5/],
    [{ capacity: Number.NaN }, /capacity is NaN/],
  ]
  for (const [change, message] of cases)
    for (const build of [prefill, decode])
      assert.throws(
        () => build(sailVl2Model('small', model), { ...sizes, ...change }),
        (e: Error) =>
          e.name === 'GraphError' && message.test(e.message) && /generate.test.ts/.test(e.message),
      )
  assert.ok(
    prefill(sailVl2Model('small', model), { ...sizes, capacity: sizes.prompt }),
    'a prompt alone may fill the capacity',
  )
})

test.run()
