/**
 * A model that reads images of any size, through batches, packs, training and generation: what stands beside an image in a
 * batch changes nothing, and the colours of wide and tall images are learnt.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Pack } from '../../src/data/pack.ts'
import {
  buckets,
  elements,
  type FunctionSpec,
  fill,
  fixed,
  gradient,
  input,
  parametersOf,
  program,
  type Tensor,
} from '../../src/dsl/index.ts'
import type { Session } from '../../src/engine/session.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { generator } from '../../src/generation/generator.ts'
import { adamW } from '../../src/optim/index.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf, type MicroBatch, type Objective } from '../../src/train/objective.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { orThrow } from '../../src/train/task.ts'
import { anyConversation as about, anyProcessor as layout, anyModel as model } from '../support/any-sizes.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { messageThrown } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`train: images of any size on ${engines.map((e) => e.name).join(' and ')}`)

/** The sum of the losses, what was counted, and the sum's gradient by every parameter. */
const sums = (o: Objective<never>): FunctionSpec =>
  buckets(o.buckets, (s) => {
    const terms = o.terms(s)
    const parameters = [...parametersOf(terms.sum)]
    const by = gradient(
      terms.sum,
      parameters.map(([, p]) => p),
    )
    return {
      outputs: {
        ...{ sum: terms.sum, weight: terms.weight },
        ...Object.fromEntries(parameters.map(([key], i) => [key, by[i]!])),
      },
    }
  })

const weightsOf = (parameters: ReadonlyMap<string, Tensor>) =>
  new Map(
    [...parameters].map(([key, t]) => [
      key,
      tensorValue(
        'float32',
        t.axes.map((a) => a.size),
        fill({ kind: 'uniform', limit: 0.6 }, elements(t.axes), 3, key).map((x) =>
          key.includes('norm') ? 1 + x : x,
        ),
      ),
    ]),
  )

const samples = [0, 1, 2, 3, 4].map((i) => about(i))
const pack: Pack = { rows: [samples.slice(0, 2), samples.slice(2, 3), samples.slice(3)] }

const together = packedNextToken(model, layout, { rows: 4, tokens: 80, images: 40 })
const inRows = nextToken(model, layout, { rows: 8, tokens: 40, images: 48 })
const alone = nextToken(model, layout, { rows: 1, tokens: 40, images: 8 })

for (const engine of engines) {
  test(`${engine.name}: loss and gradients are those of each sample alone, in rows and in packs`, async () => {
    const functions = { together: sums(together), inRows: sums(inRows), alone: sums(alone) }
    const session = await orThrow(engine.load(program({ name: 'any', functions })))
    const numbers = async (name: string, [batch]: readonly MicroBatch[]) => {
      const out = await orThrow(session.call(name, batch!.inputs))
      return Object.fromEntries(Object.entries(out).map(([key, v]) => [key, Array.from(v.data, Number)]))
    }
    try {
      await orThrow(session.write(weightsOf(parametersOf(alone.terms(alone.buckets[0]!).sum))))
      const each: Awaited<ReturnType<typeof numbers>>[] = []
      for (const c of samples) each.push(await numbers('alone', alone.collate([c])))
      for (const [name, batch] of [
        ['together', together.collate([pack])],
        ['inRows', inRows.collate(samples)],
      ] as const) {
        const got = await numbers(name, batch)
        assert.ok(Object.keys(got).length > 20)
        for (const [key, own] of Object.entries(got)) {
          const wanted = own.map((_, i) => each.reduce((n, one) => n + one[key]![i]!, 0))
          const error = maxRelativeError(own, wanted)
          assert.ok(error <= 2e-5, `${name}, ${key}: ${error}`)
        }
      }
    } finally {
      await orThrow(session.close())
    }
  })

  test(`${engine.name}: it learns from wide and tall images, and says what it sees`, async () => {
    const o = nextToken(model, layout, { rows: 16, tokens: 40, images: 128 })
    const writing = generator(model, layout, { rows: 8, prompt: 32, capacity: 40, images: 64 })
    const step = fixed(() => {
      const terms = o.terms(o.buckets[0]!)
      const loss = lossOf(terms)
      const parameters = parametersOf(loss)
      const flows = gradient(loss, [...parameters.values()])
      return {
        outputs: { loss },
        next: adamW(parameters, flows, input('learning_rate', [])).next,
      }
    })
    const session: Session = await orThrow(
      engine.load(program({ name: 'any', functions: { step, ...writing.functions } })),
    )
    try {
      const losses: number[] = []
      for (let i = 0; i < 60; i++) {
        const [batch] = o.collate(Array.from({ length: 16 }, (_, k) => about(100 + 16 * i + k)))
        losses.push(
          (await orThrow(session.call('step', { ...batch!.inputs, learning_rate: scalarValue(1e-2) }))).loss!
            .data[0]!,
        )
      }
      assert.ok(losses.at(-1)! < losses[0]! / 10, `${losses[0]} → ${losses.at(-1)}`)
      const held = Array.from({ length: 20 }, (_, i) => about(i))
      const answers = await writing.generate(session, held)
      const right = answers.filter(
        (ids, i) =>
          layout.tokenizer.decode([...ids]) ===
          layout.tokenizer.decode(held[i]!.ids.slice(held[i]!.promptLength, -1)),
      )
      assert.ok(right.length >= 17, `${right.length} of 20 are right`)
      // what else is read at once changes nothing
      for (const i of [0, 7]) assert.equal(await writing.generate(session, [held[i]!]), [answers[i]])
    } finally {
      await orThrow(session.close())
    }
  })
}

test('sizes must say how many squares there are', () => {
  assert.match(
    messageThrown(() => nextToken(model, layout, { rows: 1, tokens: 40 })),
    /images/,
  )
  assert.match(
    messageThrown(() => generator(model, layout, { rows: 1, prompt: 20, capacity: 30 })),
    /images of any size; give the visual tokens/,
  )
})

test.run()
