import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Conversation } from '../../src/data/index.ts'
import { mul, type Scalar, scalar } from '../../src/dsl/index.ts'
import { heldOut } from '../../src/eval/index.ts'
import { type EventOf, RunEvent } from '../../src/run/index.ts'
import { type Evaluation, nextToken, type Objective, orThrow } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import {
  contextIn,
  thrown,
  tinyConversation,
  tinyModel,
  tinyProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`eval: held-out loss on ${engines.map((e) => e.name).join(' and ')}`)

const tokens = nextToken(tinyModel, tinyProcessor, { rows: 3, tokens: 32 })
/** Seven conversations of which the first three count more tokens: batches of unequal weight. */
const held = Array.from({ length: 7 }, (_, i): Conversation => {
  const c = tinyConversation(500 + i)
  return i < 3 ? { ...c, lossMask: c.ids.map((_, t) => t > 0) } : c
})
const about = { family: 'held out', objective: tokens, batches: 9 }

type Told = EventOf<'evaluated'> | EventOf<'measured'>
const told = async (
  e: Evaluation,
  session: Parameters<Evaluation['run']>[0],
  stage = 'tiny',
  done: readonly string[] = [],
): Promise<readonly Told[]> => {
  const all: Told[] = []
  const context = contextIn('/nowhere', engines[0]!)
  for await (const m of e.run(session, { name: stage, last: true, done: new Set(done) }, context)) {
    assert.ok(RunEvent.is(m))
    if (m.type !== 'predicted') all.push(m)
  }
  return all
}

/** The objective with an auxiliary loss of 0.25, and two metrics: one in a unit, one that is no share. */
const own: Objective<Conversation> = {
  ...tokens,
  name: 'own',
  terms: (sizes) => {
    const terms = tokens.terms(sizes)
    return {
      ...terms,
      auxiliary: { balance: scalar(0.25) as Scalar },
      metrics: () => ({
        doubled: { sum: mul(terms.sum, 2) as Scalar, weight: terms.weight, unit: 'bits and pieces' },
        half: { sum: mul(terms.weight, 0.5) as Scalar, weight: terms.weight },
        wrong: { sum: mul(terms.weight, 2) as Scalar, weight: terms.weight },
      }),
    }
  },
}

for (const engine of engines) {
  test(`${engine.name}: the loss is a mean over all that is counted, in the objective's unit`, async () => {
    const source = watched((i) => held[i]!, held.length)
    const loss = heldOut({ ...about, source, metric: 'loss' })
    const withAuxiliary = heldOut({ ...about, family: 'own', objective: own, source, metric: 'loss' })
    const doubled = heldOut({ ...about, family: 'doubled', objective: own, source, metric: 'doubled' })
    const two = heldOut({ ...about, family: 'two', source, metric: 'loss', batches: 2 })
    const all = [loss, withAuxiliary, doubled, two]
    // nothing is learnt, so that the training step says what the loss of a batch is
    const stage = tinyStage({ rows: 3, learningRate: 0 })
    const functions = Object.assign({}, ...all.map((e) => e.functions('tiny')))
    const session = await orThrow(engine.load(stage.program(functions).program, { seed: 2 }))
    const byHand = { sum: 0, weight: 0, means: [] as number[] }
    for (let at = 0; at < held.length; at += 3) {
      const [b] = tokens.collate(held.slice(at, at + 3))
      const rate = { learning_rate: { shape: [], dtype: 'float32' as const, data: new Float32Array(1) } }
      const out = await orThrow(session.call('step', { ...b!.inputs, ...rate }))
      const [mean, weight] = [out.loss!.data[0]!, out.weight!.data[0]!]
      byHand.sum += mean * weight
      byHand.weight += weight
      byHand.means.push(mean)
      if (at === 3) {
        const [m] = await told(two, session)
        assert.ok(m?.type === 'measured' && Math.abs(m.value - byHand.sum / byHand.weight) < 1e-5)
      }
    }
    const want = byHand.sum / byHand.weight
    const meanOfMeans = byHand.means.reduce((a, b) => a + b) / byHand.means.length
    assert.ok(Math.abs(want - meanOfMeans) > 1e-3, 'a mean of means is another number')
    const values: number[] = []
    for (const [e, unit] of [
      [loss, 'nats per token'],
      [withAuxiliary, 'nats per token'],
      [doubled, 'bits and pieces'],
    ] as const) {
      const [m, ...more] = await told(e, session)
      assert.is(more.length, 0)
      assert.ok(m?.type === 'measured')
      assert.equal([m.stage, m.family, m.unit, m.weight], ['tiny', e.families[0], unit, byHand.weight])
      values.push(m.value)
    }
    for (const [i, w] of [want, want + 0.25, 2 * want].entries())
      assert.ok(Math.abs(values[i]! - w) < 1e-5 * w, `${values[i]} for ${w}`)
    assert.equal(await told(loss, session, 'tiny', ['held out']), [], 'measured by an earlier start')
    await orThrow(session.close())
  })

  test(`${engine.name}: a metric of labels alone is measured; one without a unit that is no share is refused`, async () => {
    const source = watched((i) => held[i]!, held.length)
    const e = heldOut({ ...about, objective: own, source, metric: 'wrong' })
    const half = heldOut({ ...about, family: 'half', objective: own, source, metric: 'half' })
    const stage = tinyStage({ rows: 3 })
    const functions = { ...e.functions('tiny'), ...half.functions('tiny') }
    const session = await orThrow(engine.load(stage.program(functions).program))
    const [share] = await told(half, session)
    assert.ok(share?.type === 'evaluated' && share.total > 0 && share.correct === share.total / 2)
    const { message } = await thrown(() => told(e, session))
    assert.match(message, /^heldOut 'held out', metric: 'wrong' of objective 'own' came to \d+ of \d+, which/)
    assert.match(message, /give the metric a unit/)
    await orThrow(session.close())
  })
}

test('without a stage it is measured after every one; a metric that there is not is named with those that there are', async () => {
  const source = watched((i) => held[i]!, held.length)
  const each = heldOut({ ...about, source, metric: 'loss' })
  assert.is(each.stages, undefined)
  assert.equal(Object.keys(each.functions('any')), ['heldOut.held out'])
  assert.not('stage' in (each.config as object))
  const one = heldOut({ ...about, source, stage: 'tiny' })
  assert.equal([one.stages, Object.keys(one.functions('any'))], [['tiny'], []])
  assert.is((one.config as { stage: string }).stage, 'tiny')
  const none = heldOut({ ...about, source, metric: 'perplexity' })
  const { message } = await thrown(() => tinyStage({ rows: 3 }).program(none.functions('tiny')))
  assert.match(message, /has no metric 'perplexity'; it has loss, correct, exactMatch/)
  assert.match(
    (await thrown(() => heldOut({ ...about, source, metric: '' }))).message,
    /^heldOut 'held out', metric: it is/,
  )
})

test.run()
