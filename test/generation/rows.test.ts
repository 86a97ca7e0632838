/** Which rows of the cache work on what: a rule takes the place of the model, so that every call is known. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Conversation } from '../../src/data/index.ts'
import { type DecodingSizes, decoding, generator, settled, uniforms } from '../../src/generation/index.ts'
import { prefill } from '../../src/models/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { type Rule, ruled, type Seen } from '../support/rule-model.ts'
import { scripted, thrown, tiny, tinyConversation, tinyModel, tinyProcessor } from '../support/tiny.ts'

const test = suite('generation: rows')
const vocab = tiny.language.vocabSize
const end = 9

const three = [0, 1, 2].map((i) => tinyConversation(i))
const lengths = three.map((c) => c.promptLength)
const roomy: DecodingSizes = { rows: 3, prompt: 32, capacity: 40 }
const ending = { ...tinyProcessor, end }

/** Answers a prompt of so many tokens with these; the last one again where there are no more. */
const saying =
  (answers: ReadonlyMap<number, readonly number[]>): Rule =>
  (ids) => {
    for (const [length, tokens] of answers)
      if (ids.length >= length && three.some((c) => c.promptLength === length && same(c, ids)))
        return tokens[Math.min(ids.length - length, tokens.length - 1)]!
    return 0
  }
const same = (c: Conversation, ids: readonly number[]): boolean =>
  c.ids.slice(0, c.promptLength).every((id, i) => id === ids[i])

const answering = (...answers: readonly (readonly number[])[]): Rule =>
  // the longest first: a prompt is no other's beginning
  saying(new Map(answers.map((a, i) => [lengths[i]!, a])))

test('the case has prompts of different length, none the beginning of another', () => {
  assert.is(new Set(lengths).size, 3)
  for (const a of three) for (const b of three) assert.is(same(a, b.ids), a === b)
})

test('each answer to its end token, which is not part of it', async () => {
  const seen: Seen[] = []
  const session = ruled(vocab, answering([5, 6, end], [end], [1, 2, 3, 4, end]), seen)
  const g = generator(tinyModel, ending, roomy)
  assert.equal(await g.generate(session, three), [[5, 6], [], [1, 2, 3, 4]])
  assert.equal(
    seen.map((s) => s.call),
    ['prefill', 'extend', 'extend'],
  )
  assert.equal(
    seen[1]!.inputs.position,
    lengths.map((n) => n - 1),
    'the first token follows the prompt’s last one',
  )
  assert.equal(
    seen[1]!.inputs.input_ids,
    three.map((c) => c.ids[c.promptLength - 1]),
  )
})

test('a prompt is what comes before the answer: the answer’s own tokens are not read', async () => {
  const seen: Seen[] = []
  const g = generator(tinyModel, ending, { ...roomy, rows: 1 })
  await g.generate(
    ruled(vocab, () => end, seen),
    [three[0]!],
  )
  const prompt = three[0]!.ids.slice(0, lengths[0])
  assert.equal(seen[0]!.inputs.input_ids, [...prompt, ...Array(32 - prompt.length).fill(tinyProcessor.pad)])
})

test('prompt and answer together never exceed the cache', async () => {
  const capacity = Math.max(...lengths)
  const seen: Seen[] = []
  const g = generator(tinyModel, ending, { rows: 3, prompt: capacity, capacity })
  const got = await g.generate(
    ruled(vocab, () => 1, seen),
    three,
  )
  assert.equal(
    got.map((a) => a.length),
    lengths.map((n) => capacity - n),
  )
  assert.ok(seen.slice(1).every((s) => s.inputs.position!.every((p) => p < capacity)))
})

test('whatever the rows, prompts and lengths: every answer is its own, and no call is made for nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 0, max: 7 })), { maxLength: 14 }),
      async (rows, wanted) => {
        const seen: Seen[] = []
        // the answer's first token is said by the prompt's length, and each other token by the one before
        const rule: Rule = (ids) => {
          const length = lengths.find((n, i) => ids.length >= n && same(three[i]!, ids))!
          return 20 + ids.length - length
        }
        const prompts = wanted.map(([i]) => three[i]!)
        const d = decoding(tinyModel, tinyProcessor, { ...roomy, rows })
        const got = new Map<number, readonly number[]>()
        let calls = 0
        const all = d.answers(
          ruled(vocab, rule, seen),
          prompts.map((prompt) => ({ prompt, uniforms: uniforms(0, 'a', 0) })),
          { sampling: settled({ maxNewTokens: 8, temperature: 0 }), stopped: () => ++calls > 1000 },
        )
        for await (const { index, ids } of all) {
          assert.not.ok(got.has(index))
          got.set(index, ids)
        }
        assert.is(got.size, prompts.length)
        for (const [i, ids] of got) {
          const most = Math.min(8, roomy.capacity - prompts[i]!.promptLength)
          assert.equal(
            ids,
            Array.from({ length: most }, (_, t) => 20 + t),
          )
        }
        if (prompts.length === 0) assert.is(seen.length, 0)
      },
    ),
    { numRuns: 40 },
  )
})

test('rows that have ended take the prompts that wait: long answers do not hold short ones up', async () => {
  const seen: Seen[] = []
  // prompt 0 has an answer of 24 tokens, the others of two
  const rule: Rule = (ids) =>
    same(three[0]!, ids) ? 5 : ids.length > (three.find((c) => same(c, ids))?.promptLength ?? 0) ? end : 6
  const d = decoding(tinyModel, ending, { ...roomy, rows: 2, capacity: 64 })
  const prompts = [0, 1, 2, 1, 2, 1].map((i) => three[i]!)
  const order: number[] = []
  const asked = prompts.map((prompt) => ({ prompt, uniforms: uniforms(0, 'a', 0) }))
  const sampling = settled({ maxNewTokens: 24, temperature: 0 })
  for await (const a of d.answers(ruled(vocab, rule, seen), asked, { sampling })) order.push(a.index)
  assert.equal(order, [1, 2, 3, 4, 5, 0])
  assert.is(seen.filter((s) => s.call === 'extend').length, 6, 'as many as the long answer alone takes')
})

test('a prompt that ends in an image is refused by its name, before anything runs', async () => {
  const image = tinyProcessor.image!.placeholder
  const ids = [...three[1]!.ids.slice(0, 4), image]
  const odd = { ...three[1]!, id: 'odd', ids, lossMask: ids.map(() => false), promptLength: 5 }
  const d = decoding(tinyModel, tinyProcessor, roomy)
  const { message } = await thrown(() => d.check([three[0]!, odd]))
  assert.match(message, /conversation 'odd': its prompt ends in an image; an answer follows text/)
})

test('answers to one prompt share what is read of it, and each is its own', async () => {
  const seen: Seen[] = []
  const rows = 32
  const d = decoding(tinyModel, ending, { rows, prompt: 32, capacity: 40 })
  // sixteen answers to each of three prompts: two prompts fill the rows, the third comes into what they leave
  const prompts = [0, 1, 2].flatMap((i) => Array.from({ length: 16 }, () => three[i]!))
  const rule = answering([5, 6, end], [4, end], [1, 2, 3, end])
  const got: (readonly number[])[] = []
  const asked = prompts.map((prompt) => ({ prompt, uniforms: uniforms(0, 'a', 0) }))
  const sampling = settled({ maxNewTokens: 8, temperature: 0 })
  for await (const a of d.answers(ruled(vocab, rule, seen), asked, { sampling })) got[a.index] = a.ids
  assert.equal(
    got,
    [
      [5, 6, end],
      [4, end],
      [1, 2, 3, end],
    ].flatMap((ids) => Array.from({ length: 16 }, () => ids)),
  )
  const readings = seen.filter((s) => s.call === 'prefill').map((s) => s.inputs)
  assert.equal(
    readings.map((r) => new Set(r.source!.filter((from) => from >= 0)).size),
    [2, 1],
    'each prompt is read once',
  )
  assert.equal(
    readings.map((r) => r.input_ids!.length / 32),
    [2, 2],
    'by a call for a sixteenth of the rows',
  )
})

test('an iteration that is ended makes no further call, and the next one has the session', async () => {
  const seen: Seen[] = []
  const session = ruled(vocab, answering([end], [1, end], [2, 2, 2, end]), seen)
  const d = decoding(tinyModel, ending, roomy)
  const asked = three.map((prompt) => ({ prompt, uniforms: uniforms(0, 'a', 0) }))
  const sampling = settled({ maxNewTokens: 8, temperature: 0 })
  const first = d.answers(session, asked, { sampling })
  const second = d.answers(session, asked, { sampling })
  assert.is((await first.next()).value!.index, 0)
  const before = seen.length
  const waiting = second.next()
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(seen.length, before, 'the second waits for the cache')
  await first.return(undefined)
  assert.is((await waiting).value!.index, 0)
  await second.return(undefined)
})

test('stop tokens end an answer as the end of a turn does', async () => {
  const d = decoding(tinyModel, ending, roomy)
  const session = ruled(vocab, answering([5, 6, 7, end], [6], [7, 5, end]))
  const asked = three.map((prompt) => ({ prompt, uniforms: uniforms(0, 'a', 0) }))
  const sampling = settled({ maxNewTokens: 4, temperature: 0, stopIds: [6, 8] })
  const got = []
  for await (const { index, ids, ended } of d.answers(session, asked, { sampling })) got[index] = [ids, ended]
  assert.equal(got, [
    [[5, 6], true],
    [[6], true],
    [[7, 5, end], true],
  ])
})

test('sizes that are none, a prompt that is too long, an error of the engine', async () => {
  for (const [sizes, says] of [
    [{ ...roomy, capacity: 30 }, /capacity 30 is less than prompt 32/],
    [{ ...roomy, rows: 0 }, /rows is 0; give a whole number from 1/],
    [{ ...roomy, prompt: 1.5 }, /prompt is 1.5/],
    [{ ...roomy, prompts: 0 }, /prompts is 0/],
  ] as const)
    assert.match((await thrown(() => prefill(tinyModel, sizes))).message, says)
  const seen: Seen[] = []
  const short = generator(tinyModel, ending, { ...roomy, prompt: 28 })
  assert.match(
    (
      await thrown(() =>
        short.generate(
          ruled(vocab, () => 1, seen),
          three,
        ),
      )
    ).message,
    /sample tiny\/2 has 29 tokens and a row holds 28/,
  )
  assert.is(seen.length, 0, 'it is said before anything runs')
  const session = scripted({ name: '', states: new Map(), functions: new Map() }, () => ({
    _tag: 'Failed',
    message: 'no memory',
  }))
  const g = generator(tinyModel, ending, roomy)
  assert.is((await thrown(() => g.generate(session, three))).message, 'no memory')
  assert.equal(await g.generate(session, []), [])
  await orThrow(session.close())
})

test.run()
