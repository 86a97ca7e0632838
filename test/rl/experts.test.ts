/** A model with experts as a policy: what it draws by its cache is what it would say, and reinforcement trains and balances it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, causal, fixed, input, program } from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { expertEntropy } from '../../src/eval/index.ts'
import { decode, logitsOf, prefill, sailVl2Model } from '../../src/models/index.ts'
import { gspo, policyGradient } from '../../src/rl/index.ts'
import type { RunEvent } from '../../src/run/index.ts'
import { callWith } from '../../src/train/batch-inputs.ts'
import {
  begin,
  calibration,
  experiment,
  fromScratch,
  next,
  nextToken,
  orThrow,
  RecipeError,
} from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { seeing } from '../support/seeing.ts'
import { contextIn, tiny, tinyConversation, tinyModel, tinyProcessor, watched } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`a policy with experts on ${engines.map((e) => e.name).join(' and ')}`)
const root = mkdtempSync(join(tmpdir(), 'sailwright-policy-experts-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const moe = { experts: 4, perToken: 2, intermediateSize: 6, normalise: true, balance: 0.1 }
const model = sailVl2Model('tiny experts', { ...tiny, language: { ...tiny.language, layers: 2, moe } })

for (const engine of engines)
  test(`${engine.name}: by prefill and decode the logits are those of the whole row`, async () => {
    const sizes = { rows: 1, prompt: 3, capacity: 8 }
    const token = axis('token', 6)
    const of = (name: string) => input(name, [axis('batch', 1), token], 'int32')
    const whole = fixed(() => {
      const x = { token, positions: of('position_ids'), mask: causal(token), ids: of('input_ids') }
      return { outputs: { logits: logitsOf(model, x) } }
    })
    const p = program({
      name: 'cached',
      functions: {
        whole,
        prefill: fixed(() => prefill({ ...model, image: undefined }, sizes)),
        decode: fixed(() => decode(model, sizes)),
      },
    })
    const session = await orThrow(engine.load(p, { seed: 3 }))
    try {
      const ids = [5, 9, 2, 11, 30, 7]
      const row = (xs: readonly number[]) => tensorValue('int32', [1, xs.length], xs)
      const one = (x: number) => tensorValue('int32', [1], [x])
      const inputs = { input_ids: row(ids), position_ids: row([0, 1, 2, 3, 4, 5]) }
      const all = (await orThrow(session.call('whole', inputs))).logits!
      const vocab = all.shape[2]!
      const wanted = (i: number) => (all.data as Float32Array).slice(i * vocab, (i + 1) * vocab)
      const first = {
        input_ids: row(ids.slice(0, 3)),
        position_ids: row([0, 1, 2]),
        last: one(2),
        source: one(0),
      }
      const read = p.functions.get('prefill')![0]!.inputs
      const given = Object.fromEntries(Object.entries(first).filter(([name]) => read.has(name)))
      let got = await orThrow(session.call('prefill', given))
      for (let i = 2; i < 6; i++) {
        if (i > 2) got = await orThrow(session.call('decode', { input_ids: one(ids[i]!), position: one(i) }))
        const off = maxRelativeError(got.logits!.data as Float32Array, wanted(i))
        assert.ok(off < 1e-4, `token ${i} is ${off} away`)
      }
    } finally {
      await session.close()()
    }
  })

test('what is balanced is each token that is read, once: neither padding nor a prompt for every answer to it', async () => {
  const { ids, promptLength, images } = tinyConversation(0)
  const promptIds = ids.slice(0, promptLength)
  const experiences = [2, 4, 3].map((length, i) => ({
    ...{ id: `e${i}`, promptIds, images, advantage: 1 - i },
    ids: Array.from({ length }, (_, t) => 5 + i + t),
    oldLogProbs: Array<number>(length).fill(-3),
  }))
  const sizes = { rows: 2, tokens: promptLength + 20, images: 1, completions: 4, answer: 5 }
  const objective = policyGradient(model, tinyProcessor, { ...sizes, loss: gspo(), learnt: 'all' })
  const [batch] = objective.collate(experiences)
  const { batch: whole } = objective.terms(batch!.sizes)
  const sums = program({ name: 'sums', functions: { sums: fixed(() => ({ outputs: whole!.sums })) } })
  const session = await orThrow(engines[0]!.load(sums, { seed: 3 }))
  const { expertTokens, expertLoad } = await callWith(session, 'sums', batch!.inputs)
  await orThrow(session.close())
  assert.equal(Array.from(expertTokens!.data), [promptLength + 2 + 4 + 3])
  // of each layer: a token goes through two experts
  for (const layer of [0, 1])
    assert.is(
      [0, 1, 2, 3].reduce((n, e) => n + Number(expertLoad!.data[4 * layer + e]), 0),
      2 * (promptLength + 9),
    )
})

test('an episode: rollouts, updates of all parts, and how much each expert is used', async () => {
  const run = seeing(model, 1)
  const events: readonly RunEvent[] = await lastValueFrom(
    run.run(contextIn(join(root, 'rl'), engines[0]!)).pipe(toArray()),
  )
  const steps = events.filter((e) => e.type === 'step')
  assert.is(steps.length, 2)
  for (const s of steps) assert.ok(s.gradientNorm > 0)
  const loads = events.flatMap((e) => (e.type === 'expert-load' ? [e] : []))
  assert.equal(
    loads.map((e) => [e.step, e.load.length, e.load[0]!.length]),
    [
      [1, 2, 4],
      [2, 2, 4],
    ],
  )
})

test('a stage of calibration raises the entropy of what it probed, and hands on all weights', async () => {
  const objective = nextToken(model, tinyProcessor, { rows: 4, tokens: 44 })
  const stage = calibration({
    ...{ name: 'even out', from: 'fresh', to: 'even', objective, batches: 4 },
    source: watched((i) => tinyConversation(i)),
  })
  const start = begin({ name: 'even', seed: 2, model, start: fromScratch, now: 'fresh' })
  const measured = expertEntropy({
    family: 'seen',
    objective,
    source: watched((i) => tinyConversation(i)),
    batches: 4,
  })
  const events: readonly RunEvent[] = await lastValueFrom(
    experiment(pipe(start, next(stage)), measured)
      .run(contextIn(join(root, 'even'), engines[0]!))
      .pipe(toArray()),
  )
  const [before, after] = events.flatMap((e) => (e.type === 'step' ? [e.loss] : []))
  assert.ok(before! > 0 && after! < before!, `${before} and ${after}`)
  const families = events.flatMap((e) => (e.type === 'measured' ? [e] : []))
  assert.equal(
    families.map((e) => e.family),
    ['seen, layer 0', 'seen, layer 1', 'seen'],
  )
  // the same tokens as were probed: the entropy that is measured is the one that calibration told
  assert.ok(Math.abs(1 - families[2]!.value - after!) < 1e-3, `${families[2]!.value}, ${after}`)
  const dense = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 44 })
  const about = { name: 'x', from: 'a', to: 'b', source: watched((i) => tinyConversation(i)) } as const
  assert.throws(
    () => calibration({ ...about, objective: dense }),
    (e: Error) => e instanceof RecipeError && e.message.includes("model 'tiny' has no experts"),
  )
  assert.throws(
    () => expertEntropy({ family: 'f', objective: dense, source: about.source, batches: 1 }),
    (e: Error) => e instanceof RecipeError && e.message.includes("model 'tiny' has no experts"),
  )
})

test.run()
