/**
 * A session as a policy, on every engine: what is drawn depends on seed, task, sample and the prompt alone, is the same on
 * both engines, and its log-probabilities are those of the whole forward graph, which knows no cache.
 */
import { firstValueFrom, lastValueFrom, take, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, collateImages, collateText, promptIds } from '../../src/data/index.ts'
import {
  axis,
  causal,
  crossEntropy,
  evaluate,
  fill,
  input,
  mul,
  type Program,
  program,
  type Tensor,
} from '../../src/dsl/index.ts'
import { type Session, tensorValue } from '../../src/engine/index.ts'
import type { Sampling } from '../../src/generation/index.ts'
import { imageInputs, isCacheKey, logitsOf } from '../../src/models/index.ts'
import {
  type Completion,
  PolicyError,
  policyFunctions,
  type Request,
  sessionPolicy,
} from '../../src/rl/index.ts'
import { orThrow, weightKeys } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { grey, otherModel, otherProcessor } from '../support/other.ts'
import { ruled, type Seen } from '../support/rule-model.ts'
import { thrown } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`rl: a session as a policy on ${engines.map((e) => e.name).join(' and ')}`)

const capacity = 40
const sizes = { rows: 6, prompt: 28, capacity, images: 12 }
const parts = { model: otherModel, processor: otherProcessor, sizes }

/** A prompt with none, one or two images. */
const promptAt = (i: number): Conversation => {
  const count = i % 3
  const request = ['what', 'what and what', 'then what and then'][i % 2]!
  const ids = promptIds(otherProcessor, { request }, count)
  return {
    ...{ id: `prompt/${i}`, ids, lossMask: ids.map(() => false), promptLength: ids.length },
    images: Array.from({ length: count }, (_, k) => grey(40 + 60 * k + i, 7 * i + k)),
  }
}
const requests: readonly Request[] = Array.from({ length: 17 }, (_, i) => ({
  task: `task/${i % 5}`,
  sample: Math.floor(i / 5),
  prompt: promptAt(i % 5),
}))

/** Weights under which the next token depends on much. */
const weightsOf = (p: Program) =>
  new Map(
    [...p.states.values()].flatMap((s) => {
      if (isCacheKey(s.key)) return []
      const shape = s.axes.map((a) => a.size)
      const data = fill(
        { kind: 'uniform', limit: 0.9 },
        shape.reduce((n, x) => n * x, 1),
        11,
        s.key,
      )
      return [
        [s.key, tensorValue('float32', shape, s.key.includes('norm') ? data.map((x) => 1 + x / 3) : data)],
      ]
    }),
  )

const functions = policyFunctions(parts)
const p = program({ name: 'policy', functions })

const sessions: Session[] = []
test.before(async () => {
  for (const engine of engines) {
    const session = await orThrow(engine.load(p))
    await orThrow(session.write(weightsOf(p)))
    sessions.push(session)
  }
})
test.after(async () => {
  for (const s of sessions) await orThrow(s.close())
})

const policyOf = (session: Session, seed = 5, version = () => 0) =>
  sessionPolicy({ session, ...parts, seed, version })

const sampled = async (
  session: Session,
  asked: readonly Request[],
  sampling: Sampling = { maxNewTokens: 12 },
  seed = 5,
): Promise<readonly Completion[]> => {
  const all = await lastValueFrom(policyOf(session, seed).sample(asked, sampling).pipe(toArray()))
  const key = (x: { task: string; sample: number }) => `${x.task} ${x.sample}`
  assert.is(new Set(all.map(key)).size, asked.length)
  return asked.map((r) => all.find((c) => key(c) === key(r))!)
}

const eachEngine = (name: string, body: (session: Session) => Promise<void>): void => {
  for (const [i, engine] of engines.entries()) test(`${engine.name}: ${name}`, () => body(sessions[i]!))
}

test('the case has answers that end and answers that do not, of many lengths, and tokens that differ', async () => {
  const all = await sampled(sessions[0]!, requests)
  assert.is(new Set(all.map((c) => c.stop)).size, 2)
  assert.ok(new Set(all.map((c) => c.ids.length)).size > 3)
  assert.ok(new Set(all.map((c) => c.ids.join())).size > 12)
  assert.equal(new Set(requests.map((r) => r.prompt.images.length)), new Set([0, 1, 2]))
})

const ways: Readonly<Record<string, Sampling>> = {
  temperature: { maxNewTokens: 12, temperature: 1.3 },
  greedy: { maxNewTokens: 12, temperature: 0 },
  filters: { maxNewTokens: 12, topK: 6, topP: 0.9, minP: 0.05 },
  penalty: { maxNewTokens: 12, repetitionPenalty: 1.4 },
}

for (const [name, sampling] of Object.entries(ways))
  test(`by ${name} every engine draws the same tokens`, async () => {
    const all: (readonly Completion[])[] = []
    for (const s of sessions) all.push(await sampled(s, requests, sampling))
    const [first, ...others] = all
    for (const other of others)
      first!.forEach((c, i) => {
        const { logProbs, ...rest } = other[i]!
        assert.equal({ ...c, logProbs: [] }, { ...rest, logProbs: [] })
        c.logProbs.forEach((x, t) => {
          assert.ok(Math.abs(x - logProbs[t]!) < 1e-4)
        })
      })
  })

for (const [name, sampling] of Object.entries(ways))
  eachEngine(`by ${name} an answer is the same whatever else is asked for`, async (session) => {
    const want = await sampled(session, requests, sampling)
    const backwards = await sampled(session, [...requests].reverse(), sampling)
    const tokens = (cs: readonly Completion[]) => cs.map((c) => c.ids)
    assert.equal(tokens([...backwards].reverse()), tokens(want))
    for (const i of [3, 11])
      assert.equal(tokens(await sampled(session, [requests[i]!], sampling)), [want[i]!.ids])
    const some = requests.filter((_, i) => i % 4 === 1)
    assert.equal(tokens(await sampled(session, some, sampling)), tokens(want.filter((_, i) => i % 4 === 1)))
    if (sampling.temperature !== 0)
      assert.not.equal(tokens(await sampled(session, requests, sampling, 6)), tokens(want), 'another seed')
  })

/** −log-probability of each token after the first, by the whole graph in float64. */
const surprises = (c: Completion, prompt: Conversation, temperature: number): readonly number[] => {
  const ids = [...c.promptIds, ...c.ids]
  const [row, token] = [axis('batch', 1), axis('token', ids.length)]
  const images = prompt.images.length
  const logits: Tensor = logitsOf(otherModel, {
    ids: input('input_ids', [row, token], 'int32'),
    positions: input('position_ids', [row, token], 'int32'),
    mask: causal(token),
    token,
    ...(images === 0 ? {} : { images: imageInputs(otherModel, images, row, token) }),
  })
  // one label at a time: the loss of a place is its token's
  const labels = input('labels', [row, token], 'int32')
  const { sum } = crossEntropy(mul(logits, 1 / temperature), labels, 'vocab')
  const any = { ...otherProcessor, tokenizer: { ...otherProcessor.tokenizer, size: otherModel.vocabSize } }
  const one = { ...prompt, ids, lossMask: ids.map(() => false) }
  const at = { rows: 1, tokens: ids.length, images }
  const seen = images === 0 ? {} : collateImages([one], at, any)
  return c.ids.map((id, t) => {
    const place = c.promptIds.length + t - 1
    const inputs = {
      ...collateText([one], at, any),
      ...seen,
      labels: Int32Array.from(ids, (_, i) => (i === place ? id : -100)),
    }
    const [loss] = evaluate([sum], { inputs: inputs as never, states: states64 })
    return loss![0]!
  })
}
const states64 = new Map([...weightsOf(p)].map(([k, v]) => [k, v.data as ArrayLike<number>]))

eachEngine('log-probabilities are those of the whole forward graph at the temperature', async (session) => {
  for (const temperature of [1, 0.7]) {
    const all = await sampled(session, requests, { maxNewTokens: 12, temperature, topK: 9 })
    for (const i of [0, 1, 2, 8, 9, 13]) {
      const c = all[i]!
      const want = surprises(c, requests[i]!.prompt, temperature)
      assert.is(c.logProbs.length, c.ids.length)
      want.forEach((x, t) => {
        assert.ok(Math.abs(x + c.logProbs[t]!) < 2e-4, `${c.logProbs[t]} for ${-x}, answer ${i}, token ${t}`)
      })
    }
  }
})

eachEngine('a completion keeps tokens, prompt, text, stop reason and version', async (session) => {
  let updates = 3
  const policy = policyOf(session, 5, () => updates++)
  assert.equal(policy.version(), 3)
  const all = await lastValueFrom(policy.sample(requests, { maxNewTokens: 12 }).pipe(toArray()))
  assert.ok(new Set(all.map((c) => c.version)).size > 1, 'prompts that are read later have later weights')
  for (const c of all) {
    const { prompt } = requests.find((r) => r.task === c.task && r.sample === c.sample)!
    assert.equal(c.promptIds, prompt.ids)
    const { end, tokenizer } = otherProcessor
    assert.is(c.stop === 'end', c.ids.at(-1) === end)
    assert.is(c.ids.slice(0, -1).includes(end), false)
    assert.ok(c.stop === 'end' || c.ids.length === 12)
    const written = c.stop === 'end' ? c.ids.slice(0, -1) : c.ids
    assert.ok(c.ids.every((id) => id < tokenizer.size && id !== otherProcessor.image!.placeholder))
    assert.is(c.text, written.length === 0 ? '' : tokenizer.decode(written))
    assert.ok(c.version >= 4)
  }
})

test('its cache is in no checkpoint', () => {
  const kept = [...p.states.keys()].filter((k) => !isCacheKey(k))
  assert.ok(kept.length < p.states.size && kept.every((k) => !k.startsWith('cache')))
  assert.equal(weightKeys(p), kept)
})

test('with another generation of other sizes in one program', () => {
  const other = { ...parts, sizes: { ...sizes, rows: 2, capacity: 33, images: 4 } }
  const evaluation = policyFunctions(other)
  assert.throws(
    () => program({ name: 'clash', functions: { ...functions, x: evaluation['policy.extend']! } }),
    /cache/,
  )
  assert.ok(Object.keys(functions).every((f) => f.startsWith('policy.')))
})

// --- what happens beside the model, by a rule ---------------------------------------------------------------------

const vocab = otherModel.vocabSize

test('unsubscribing ends it after the call in progress', async () => {
  const seen: Seen[] = []
  const policy = policyOf(ruled(vocab, (ids) => (ids.length > 30 ? otherProcessor.end : 8), seen))
  await firstValueFrom(policy.sample(requests, { maxNewTokens: 12 }).pipe(take(1)))
  const before = seen.length
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(seen.length <= before + 1, `${seen.length - before} calls more`)
  const none = policy.sample(requests, { maxNewTokens: 12 }).subscribe()
  none.unsubscribe()
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(seen.length <= before + 1)
})

const failing = async (
  asked: readonly Request[],
  sampling: Sampling,
  session: Session,
): Promise<PolicyError> => {
  const e = await thrown(() => lastValueFrom(policyOf(session).sample(asked, sampling).pipe(toArray())))
  assert.instance(e, PolicyError)
  return e as PolicyError
}

test('what cannot be answered is an error of the stream that names its task, before any call', async () => {
  const seen: Seen[] = []
  const session = ruled(vocab, () => 8, seen)
  const long = { ...promptAt(4), ids: Array(29).fill(7), lossMask: Array(29).fill(false), promptLength: 29 }
  const bad: Request = { task: 'bad/task', sample: 0, prompt: long }
  const tooLong = await failing([...requests, bad], { maxNewTokens: 2 }, session)
  assert.equal([tooLong.tag, tooLong.task], ['BadRequest', 'bad/task'])
  assert.match(
    tooLong.message,
    /task bad\/task: its prompt has 29 tokens, and the policy reads 28; raise the policy's prompt/,
  )
  const full = await failing(requests, { maxNewTokens: 40 }, session)
  assert.match(full.message, /leaves \d+ for an answer of maxNewTokens 40; raise sizes.capacity/)
  assert.is(full.tag, 'BadRequest')
  assert.is(seen.length, 0)
  assert.throws(() => policyOf(session).sample(requests, { maxNewTokens: 0 }), /maxNewTokens: it is 0/)
})

test('a session that fails ends the stream, after the answers that there were', async () => {
  const session = ruled(
    vocab,
    (ids) => (ids.length % 2 === 0 ? otherProcessor.end : 8),
    [],
    (n) => (n === 2 ? { _tag: 'OutOfMemory', message: 'no memory' } : undefined),
  )
  const got: Completion[] = []
  const e = await thrown(
    () =>
      new Promise((resolve, reject) => {
        policyOf(session)
          .sample(requests, { maxNewTokens: 12 })
          .subscribe({ next: (c) => got.push(c), error: reject, complete: () => resolve(undefined) })
      }),
  )
  assert.instance(e, PolicyError)
  assert.equal([(e as PolicyError).tag, e.message], ['Failed', 'no memory'])
  assert.ok(got.length > 0 && got.length < requests.length)
})

test.run()
