/**
 * Training on packs: the loss and the gradients are those of the samples in rows of their own, and no sample sees another.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Conversation } from '../../src/data/conversation.ts'
import { type Pack, packed } from '../../src/data/pack.ts'
import { listed, repeated } from '../../src/data/source.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  buckets,
  elements,
  type FunctionSpec,
  fill,
  gradient,
  parametersOf,
  program,
  type Tensor,
} from '../../src/dsl/index.ts'
import type { Engine, Session } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adamWith } from '../../src/optim/index.ts'
import type { EventOf } from '../../src/run/index.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf, type MicroBatch, type Objective } from '../../src/train/objective.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { RecipeError } from '../../src/train/setting-checks.ts'
import { supervised } from '../../src/train/supervised.ts'

import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { otherConversation, otherLength, otherModel, otherProcessor, pairAt } from '../support/other.ts'
import { drained, thrown } from '../support/tiny.ts'

const engines = await hostEngines()
const training = suite(`train: packs on ${engines.map((e) => e.name).join(' and ')}`)

const text = (id: string, more: readonly number[] = []): Conversation => ({
  ...{ id, images: [], promptLength: 3 },
  ids: [0, 7, 15, ...more, 11, 1],
  lossMask: [false, false, false, ...more.map(() => true), true, true],
})
// images and none, of uneven lengths, a row with one sample, a row of padding
const pack: Pack = {
  rows: [[pairAt(1), text('a'), pairAt(2)], [text('b', [10, 9, 12]), pairAt(3)], [text('c', [8])]],
}
const samples = pack.rows.flat()
const sizes = { rows: 4, tokens: 64, images: 8 }
const together = packedNextToken(otherModel, otherProcessor, sizes)
const alone = nextToken(otherModel, otherProcessor, { rows: 1, tokens: otherLength, images: 2 })

/** Weights of every parameter, norms and biases moved off their plain start. */
const weightsFor = (roots: readonly Tensor[]): ReadonlyMap<string, Float32Array> =>
  new Map(
    [...parametersOf(...roots)].map(([key, t]) => [
      key,
      Float32Array.from(fill({ kind: 'uniform', limit: 0.6 }, elements(t.axes), 3, key), (x) =>
        key.includes('norm') ? 1 + x : x,
      ),
    ]),
  )

/** The sum of the losses, what was counted, and the sum's gradient by every parameter. */
const sums = (o: Objective<never>): FunctionSpec =>
  buckets(o.buckets, (s) => {
    const terms = o.terms(s)
    const parameters = parametersOf(terms.sum)
    const by = gradient(terms.sum, [...parameters.values()])
    return {
      outputs: {
        ...{ sum: terms.sum, weight: terms.weight },
        ...Object.fromEntries([...parameters.keys()].map((key, i) => [key, by[i]!])),
      },
    }
  })

const opened = async (engine: Engine): Promise<Session> => {
  const session = await orThrow(
    engine.load(program({ name: 'packs', functions: { together: sums(together), alone: sums(alone) } })),
  )
  const terms = together.terms(sizes)
  const parameters = parametersOf(terms.sum)
  const values = new Map(
    [...weightsFor([terms.sum])].map(([key, w]) => [
      key,
      tensorValue(
        'float32',
        parameters.get(key)!.axes.map((a) => a.size),
        w,
      ),
    ]),
  )
  await orThrow(session.write(values))
  return session
}

type Numbers = Readonly<Record<string, readonly number[]>>
const called = async (session: Session, name: string, [batch]: readonly MicroBatch[]): Promise<Numbers> => {
  const out = await orThrow(session.call(name, batch!.inputs))
  return Object.fromEntries(Object.entries(out).map(([key, v]) => [key, Array.from(v.data, Number)]))
}

for (const engine of engines)
  training(
    `${engine.name}: loss and gradients of a pack are those of its samples in rows of their own`,
    async () => {
      const session = await opened(engine)
      try {
        const got = await called(session, 'together', together.collate([pack]))
        const each: Numbers[] = []
        for (const c of samples) each.push(await called(session, 'alone', alone.collate([c])))
        assert.ok(Object.keys(got).length > 20)
        for (const [key, numbers] of Object.entries(got)) {
          const wanted = numbers.map((_, i) => each.reduce((n, one) => n + one[key]![i]!, 0))
          assert.ok(
            wanted.some((x) => x !== 0),
            `${key} is 0 everywhere`,
          )
          const error = maxRelativeError(numbers, wanted)
          assert.ok(error <= 1e-5, `${key}: ${error}`)
        }
      } finally {
        await orThrow(session.close())
      }
    },
  )

/** The pack's inputs with labels at one place of a row alone. */
const only = (batch: MicroBatch, at: number): MicroBatch => {
  const labels = batch.inputs.labels!
  const data = labels.data.map((l, i) => (i === at ? l : -100)) as Int32Array
  return { ...batch, inputs: { ...batch.inputs, labels: { ...labels, data } } }
}

/** The loss of every counted token of a row, by its place in the row, in float64. */
const perToken = (row: readonly Conversation[]): ReadonlyMap<number, number> => {
  const one = packedNextToken(otherModel, otherProcessor, { rows: 1, tokens: 64, images: 8 })
  const { sum } = one.terms(one.buckets[0]!)
  const states = Object.fromEntries(weightsFor([sum]))
  const [batch] = one.collate([{ rows: [row] }])
  const places = [...batch!.inputs.labels!.data.entries()].flatMap(([at, l]) => (l >= 0 ? [at] : []))
  return new Map(
    places.map((at) => {
      const inputs = Object.fromEntries(
        Object.entries(only(batch!, at).inputs).map(([name, v]) => [name, v.data]),
      )
      return [at, evaluate([sum], { inputs, states })[0]![0]!]
    }),
  )
}

training(
  'another sample’s tokens and images change no loss of a token, whether it stands before or behind',
  () => {
    const row = [
      otherConversation(0, ['dark', 'light']),
      text('a', [10]),
      otherConversation(2, ['light', 'dark']),
    ]
    const base = perToken(row)
    const ends = row.map((_, i) => row.slice(0, i + 1).reduce((n, c) => n + c.ids.length, 0))
    const owner = (at: number): number => ends.findIndex((end) => at < end)
    const attacks: readonly (readonly [number, Conversation])[] = [
      // other images, other words, other learnt tokens: each as long as what it stands for
      [0, { ...row[0]!, images: [...row[0]!.images].reverse() }],
      [0, { ...row[0]!, ids: row[0]!.ids.map((id) => (id > 5 ? ((id + 1) % 10) + 6 : id)) }],
      [1, text('a', [14])],
      [2, { ...row[2]!, images: [...row[2]!.images].reverse() }],
      [2, { ...row[2]!, ids: row[2]!.ids.map((id) => (id > 5 ? ((id + 1) % 10) + 6 : id)) }],
    ]
    for (const [attacked, c] of attacks) {
      const after = perToken(row.map((own, i) => (i === attacked ? c : own)))
      assert.equal([...after.keys()], [...base.keys()])
      let moved = 0
      for (const [at, loss] of after)
        if (owner(at) === attacked) moved += Math.abs(loss - base.get(at)!)
        else
          assert.is(
            loss,
            base.get(at),
            `a token of sample ${owner(at)} sees what changed in sample ${attacked}`,
          )
      assert.ok(moved > 1e-6, `the attack on sample ${attacked} changes nothing at all`)
    }
  },
)

training('where a sample stands changes nothing', () => {
  const row = [pairAt(1), text('a', [10]), pairAt(2)]
  const losses = (order: readonly number[]): readonly number[] => {
    const all = [...perToken(order.map((i) => row[i]!)).values()]
    const counted = order.map((i) => row[i]!.lossMask.filter(Boolean).length)
    const parts = order.map((i, k) => {
      const from = counted.slice(0, k).reduce((a, b) => a + b, 0)
      return [i, all.slice(from, from + counted[k]!)] as const
    })
    return [...parts].sort(([a], [b]) => a - b).flatMap(([, part]) => part)
  }
  const [first, second] = [losses([0, 1, 2]), losses([2, 1, 0])]
  assert.ok(maxRelativeError(first, second) <= 1e-12)
})

training('metrics count tokens and samples, not rows', () => {
  const terms = together.terms(sizes)
  const { correct, exactMatch } = terms.metrics!()
  const roots = [correct!.sum, correct!.weight, exactMatch!.sum, exactMatch!.weight]
  const own = alone.terms(alone.buckets[0]!)
  const ownMetrics = own.metrics!()
  const ownRoots = [ownMetrics.correct!, ownMetrics.exactMatch!].flatMap((f) => [f.sum, f.weight])
  const states = Object.fromEntries(weightsFor(roots))
  const of = (all: readonly Tensor[], [batch]: readonly MicroBatch[]): readonly number[] => {
    const inputs = Object.fromEntries(Object.entries(batch!.inputs).map(([name, v]) => [name, v.data]))
    return evaluate(all, { inputs, states }).map((v) => v[0]!)
  }
  // of the likeliest tokens some are made the labels, so that there is something right
  const likeliest = (c: Conversation): Conversation => {
    for (let id = 6; id < 16; id++) {
      const changed = { ...c, ids: [...c.ids.slice(0, -1), id] }
      if (
        of(
          ownRoots,
          alone.collate([{ ...changed, lossMask: c.ids.map((_, i) => i === c.ids.length - 1) }]),
        )[0] === 1
      )
        return { ...changed, lossMask: c.ids.map((_, i) => i === c.ids.length - 1) }
    }
    return c
  }
  const rows = pack.rows.map((row) => row.map((c, i) => (i === 1 ? c : likeliest(c))))
  const got = of(roots, together.collate([{ rows }]))
  const wanted = rows
    .flat()
    .map((c) => of(ownRoots, alone.collate([c])))
    .reduce((a, b) => a.map((x, i) => x + b[i]!))
  assert.equal(got, wanted)
  assert.is(got[3], samples.length)
  assert.ok(got[2]! > 0 && got[2]! < got[3]!, `${got[2]} of ${got[3]} samples are right`)
})

for (const engine of engines)
  training(`${engine.name}: a stage learns from packs of a source, and goes on in the middle`, async () => {
    const conversations = Array.from({ length: 9 }, (_, i) => (i % 3 === 2 ? text(`${i}`, [8]) : pairAt(i)))
    const small = { rows: 2, tokens: 64, images: 6 }
    const source = packed(repeated(listed('mixed', conversations)), { ...small, buffer: 6 })
    const objective = packedNextToken(otherModel, otherProcessor, small)
    const stage = supervised({
      ...{ name: 'packs', from: 'fresh', to: 'tuned', train: Object.values(otherModel.parts), objective },
      ...{ source, steps: 6, learningRate: 2e-2, optimizer: adamWith({ weightDecay: 0 }) },
    })
    await stage.preflight(stage.program({}).program)
    const context = { position: { index: 1, of: 1 }, trainable: 0 }
    const held: number[] = []
    for await (const { example } of source.open()) {
      held.push(example.rows.flat().length)
      if (held.length === 6) break
    }
    const seen = (n: number): number => held.slice(0, n).reduce((a, b) => a + b, 0)
    assert.ok(new Set(held).size > 1, 'every pack holds as many samples')
    const run = async (halfway: boolean) => {
      const session = await orThrow(engine.load(stage.program({}).program))
      try {
        const losses: number[] = []
        const plans: EventOf<'packed'>[] = []
        for await (const event of stage.run({ ...context, session })) {
          if (event.type === 'stage-started') assert.equal([event.batch, event.example], [1, 'pack'])
          if (event.type === 'packed') plans.push(event)
          if (event.type === 'step') {
            losses.push(event.loss)
            // samples, and not packs
            assert.is(event.samples, seen(event.step))
            if (halfway && event.step === 3) break
          }
        }
        // the first step's, once
        assert.equal(
          plans.map((p) => [p.step, p.packs.length, p.packs.flat(2).length]),
          [[1, 1, held[0]]],
        )
        assert.equal(plans[0]!.sizes, small)
        if (!halfway) return losses
        // from the place behind the third pack, as it would be read from a checkpoint
        let place: unknown
        let n = 0
        for await (const { next } of source.open()) {
          place = JSON.parse(JSON.stringify(next))
          if (++n === 3) break
        }
        const from = { step: 3, samples: seen(3), seconds: 0, tailLoss: 0, place }
        const [events, totals] = await drained(stage.run({ ...context, session, from }))
        assert.is(totals.samples, seen(6))
        assert.is(events.filter((e) => e.type === 'packed').length, 0)
        return [...losses, ...events.flatMap((e) => (e.type === 'step' ? [e.loss] : []))]
      } finally {
        await orThrow(session.close())
      }
    }
    const whole = await run(false)
    assert.is(whole.length, 6)
    assert.ok(whole.at(-1)! < whole[0]!, `${whole}`)
    assert.equal(await run(true), whole)
  })

const perSample = packedNextToken(otherModel, otherProcessor, sizes, { mean: 'sample' })

for (const engine of engines)
  training(
    `${engine.name}: by samples, the loss is the mean of their sums, packed or one by one, and so is its gradient`,
    async () => {
      const loss = (o: Objective<never>): FunctionSpec =>
        buckets(o.buckets, (s) => {
          const all = lossOf(o.terms(s))
          const parameters = parametersOf(all)
          const by = gradient(all, [...parameters.values()])
          const gradients = [...parameters.keys()].map((key, i) => [key, by[i]!] as const)
          return { outputs: { loss: all, weight: o.terms(s).weight, ...Object.fromEntries(gradients) } }
        })
      const session = await orThrow(
        engine.load(
          program({ name: 'packs', functions: { perSample: loss(perSample), alone: sums(alone) } }),
        ),
      )
      try {
        const { sum } = perSample.terms(sizes)
        const values = weightsFor([sum])
        for (const [key, t] of parametersOf(sum))
          await orThrow(
            session.write(
              new Map([
                [
                  key,
                  tensorValue(
                    'float32',
                    t.axes.map((a) => a.size),
                    values.get(key)!,
                  ),
                ],
              ]),
            ),
          )
        const got = await called(session, 'perSample', perSample.collate([pack]))
        const each: Numbers[] = []
        for (const c of samples) each.push(await called(session, 'alone', alone.collate([c])))
        // by hand: −1/|D| Σ_samples Σ_tokens log P, and not the mean over tokens
        const total = each.reduce((n, one) => n + one.sum![0]!, 0)
        const tokens = each.reduce((n, one) => n + one.weight![0]!, 0)
        assert.equal(got.weight, [samples.length])
        assert.ok(tokens > samples.length)
        assert.ok(maxRelativeError(got.loss!, [total / samples.length]) <= 1e-5, `${got.loss}, ${total}`)
        for (const [key, numbers] of Object.entries(got)) {
          if (key === 'loss' || key === 'weight') continue
          const wanted = numbers.map((_, i) => each.reduce((n, one) => n + one[key]![i]!, 0) / samples.length)
          const error = maxRelativeError(numbers, wanted)
          assert.ok(error <= 1e-5, `${key}: ${error}`)
        }
      } finally {
        await orThrow(session.close())
      }
    },
  )

training('by samples, a sample weighs as much however long, and its loss is the sum over its tokens', () => {
  const short = text('short')
  const long = text('long', [10, 9, 12, 8])
  const lossBy = (mean: 'token' | 'sample', row: readonly Conversation[]): number => {
    const o = packedNextToken(otherModel, otherProcessor, { rows: 1, tokens: 64, images: 0 }, { mean })
    const loss = lossOf(o.terms(o.buckets[0]!))
    const [batch] = o.collate([{ rows: [row] }])
    const inputs = Object.fromEntries(Object.entries(batch!.inputs).map(([name, v]) => [name, v.data]))
    return evaluate([loss], { inputs, states: Object.fromEntries(weightsFor([loss])) })[0]![0]!
  }
  const near = (a: number, b: number): void => assert.ok(Math.abs(a / b - 1) <= 1e-9, `${a}, ${b}`)
  for (const c of [short, long]) {
    const sum = [...perToken([c]).values()].reduce((a, b) => a + b, 0)
    near(lossBy('sample', [c]), sum)
    near(lossBy('token', [c]), sum / perToken([c]).size)
  }
  near(lossBy('sample', [short, long]), (lossBy('sample', [short]) + lossBy('sample', [long])) / 2)
  assert.is(perSample.unit, 'nats per sample')
  assert.is(together.unit, 'nats per token')
  assert.is((perSample.config as { mean?: string }).mean, 'sample')
  assert.not('mean' in (together.config as object))
  assert.throws(
    () => packedNextToken(otherModel, otherProcessor, sizes, { mean: 'samples' as 'sample' }),
    /packedNextToken, mean: it is .*give 'token' or 'sample'/,
  )
})

training('sizes that cannot be are refused by name, and text alone takes no images', async () => {
  for (const bad of [{ rows: 0 }, { tokens: 1 }, { images: -1 }, { images: 0.5 }]) {
    const e = await thrown(() => packedNextToken(otherModel, otherProcessor, { ...sizes, ...bad }))
    assert.ok(e instanceof RecipeError)
    assert.match(e.message, `packedNextToken, ${Object.keys(bad)[0]}`)
  }
  const many = { ...sizes, rows: 1e8, tokens: 100 }
  assert.match(
    (await thrown(() => packedNextToken(otherModel, otherProcessor, many))).message,
    /packedNextToken, rows: 100000000 rows of 100 tokens are more than the 2147483647 tokens/,
  )
  const plain = packedNextToken(otherModel, otherProcessor, { rows: 1, tokens: 40, images: 0 })
  const [batch] = plain.collate([{ rows: [[text('a'), text('b')]] }])
  assert.equal(Object.keys(batch!.inputs).sort(), ['input_ids', 'labels', 'position_ids', 'segment_ids'])
  assert.ok(
    Number.isFinite(
      evaluate([lossOf(plain.terms(plain.buckets[0]!))], {
        inputs: Object.fromEntries(Object.entries(batch!.inputs).map(([name, v]) => [name, v.data])),
        states: Object.fromEntries(weightsFor([lossOf(plain.terms(plain.buckets[0]!))])),
      })[0]![0],
    ),
  )
  const e = await thrown(() => plain.collate([{ rows: [[pairAt(0)]] }]))
  assert.match(e.message, /an image too many: the batch holds 0/)
})

training.run()
