/**
 * Generation with a cache on every engine against the whole forward graph in float64, token by token, up to the last place
 * of the cache; with two images a prompt, fewer prompts than rows and more.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collateImages, collateText } from '../../src/data/collate.ts'
import type { Conversation } from '../../src/data/conversation.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { axis, causal, elements, fill, input, parametersOf, program } from '../../src/dsl/index.ts'
import type { Session } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { type Generator, generator } from '../../src/generation/generator.ts'
import { imageInputs } from '../../src/models/generate.ts'
import { logitsOf } from '../../src/models/model.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'
import { otherModel, otherProcessor, pairAt } from '../support/other.ts'
import { tinyModel } from '../support/tiny.ts'

const engines = await presentEngines()

const capacity = 27
const prompt = 22
const prompts = [0, 1, 2, 3, 4].map(pairAt)

// --- the whole forward graph ------------------------------------------------------------------------------------

const row = axis('batch', 1)
const token = axis('token', capacity)
const logits = logitsOf(otherModel, {
  ids: input('input_ids', [row, token], 'int32'),
  positions: input('position_ids', [row, token], 'int32'),
  mask: causal(token),
  token,
  images: imageInputs(otherModel, 2, row, token),
})
/** Weights that make the likeliest token depend on much. */
const weights = new Map(
  [...parametersOf(logits)].map(([key, t]) => [
    key,
    fill({ kind: 'uniform', limit: 0.9 }, elements(t.axes), 11, key).map((x) =>
      key.includes('norm') ? 1 + x / 3 : x,
    ),
  ]),
)

/** The likeliest next token after these, and how far it is ahead of the second. */
const nextOf = (c: Conversation, ids: readonly number[]): readonly [id: number, ahead: number] => {
  const one = { ...c, ids, lossMask: ids.map(() => false) }
  const sizes = { rows: 1, tokens: capacity, images: 2 }
  // the embedding table has rows that no word of the tokenizer names, and they may be the likeliest
  const any = { ...otherProcessor, tokenizer: { ...otherProcessor.tokenizer, size: otherModel.vocabSize } }
  const [all] = evaluate([logits], {
    inputs: {
      ...collateText([one], sizes, any),
      ...collateImages([one], sizes, any),
    } as never,
    states: weights,
  })
  const vocab = otherModel.vocabSize
  const scores = [...all!.subarray((ids.length - 1) * vocab, ids.length * vocab)]
  const [first, second] = scores.toSorted((a, b) => b - a) as [number, number]
  return [scores.indexOf(first), first - second]
}

/** Greedy continuation until the cache is full. */
const continued = (c: Conversation): readonly number[] => {
  const ids = c.ids.slice(0, c.promptLength)
  let nearest = Infinity
  while (ids.length < capacity) {
    const [id, ahead] = nextOf(c, ids)
    nearest = Math.min(nearest, ahead)
    ids.push(id)
  }
  assert.ok(nearest > 1e-3, `a tie within float32 would decide: ${nearest}`)
  return ids.slice(c.promptLength)
}

const greedy = suite(`eval: greedy generation on ${engines.map((e) => e.name).join(' and ')}`)
const want = prompts.map(continued)

greedy('the case is one in which the cache is filled, and in which tokens differ', () => {
  assert.ok(want.every((tokens, i) => tokens.length === capacity - prompts[i]!.promptLength))
  assert.ok(new Set(prompts.map((p) => p.promptLength)).size > 1, 'prompts differ in length')
  assert.ok(
    want.some((tokens) => new Set(tokens).size > 2),
    `${want.map(String)}`,
  )
  assert.ok(new Set(want.map(String)).size > 2)
})

for (const engine of engines) {
  const using = async (g: Generator, body: (s: Session) => Promise<void>): Promise<void> => {
    const p = program({ name: 'generation', functions: g.functions })
    const session = await orThrow(engine.load(p))
    const begun = [...weights].map(
      ([key, data]) =>
        [
          key,
          tensorValue(
            'float32',
            p.states.get(key)!.axes.map((a) => a.size),
            data,
          ),
        ] as const,
    )
    await orThrow(session.write(new Map(begun)))
    await body(session)
    await orThrow(session.close())
  }
  /** No token ends an answer. */
  const endless = { ...otherProcessor, end: -1 }

  for (const rows of [2, 7])
    greedy(`${engine.name}: five prompts, ${rows} at once, to the last place of the cache`, () =>
      using(generator(otherModel, endless, { rows, prompt, capacity, images: 2 * rows }), async (s) => {
        const g = generator(otherModel, endless, { rows, prompt, capacity, images: 2 * rows })
        assert.equal(await g.generate(s, prompts), want)
        // what an earlier answer left in the cache is not seen
        assert.equal(await g.generate(s, [...prompts].reverse()), [...want].reverse())
      }),
    )

  greedy(`${engine.name}: an answer ends at its end token, the others go on`, async () => {
    for (const end of [...new Set(want.flat())].slice(0, 2)) {
      const g = generator(otherModel, { ...otherProcessor, end }, { rows: 5, prompt, capacity, images: 10 })
      const cut = want.map((tokens) => (tokens.includes(end) ? tokens.slice(0, tokens.indexOf(end)) : tokens))
      await using(g, async (s) => assert.equal(await g.generate(s, prompts), cut, `end ${end}`))
    }
  })
}

greedy('a prompt that fills the cache has no answer; one that does not fit is named', async () => {
  const [engine] = engines
  const long = prompts[0]!.promptLength
  const g = generator(otherModel, otherProcessor, { rows: 1, prompt: long, capacity: long, images: 2 })
  const s = await orThrow(engine!.load(program({ name: 'full', functions: g.functions })))
  assert.equal(await g.generate(s, [prompts[0]!]), [[]])
  const message = await g.generate(s, [{ ...prompts[0]!, promptLength: long + 1, id: 'too/long' }]).then(
    () => 'nothing',
    (e: Error) => e.message,
  )
  assert.match(message, /too\/long has \d+ tokens/)
  await orThrow(s.close())
})

greedy('a processor of another model, and sizes that cannot be, are refused', () => {
  const sizes = { rows: 1, prompt, capacity }
  assert.throws(() => generator(tinyModel, otherProcessor, sizes), /does not fit model 'tiny'.*image\.size/)
  for (const [change, what] of [
    [{ rows: 0 }, /rows is 0; give a whole number from 1/],
    [{ prompt: 1.5 }, /prompt is 1\.5/],
    [{ capacity: prompt - 1 }, /capacity 21 is less than prompt 22/],
    [{ images: -1 }, /images is -1/],
  ] as const)
    assert.throws(
      () =>
        program({
          name: 'p',
          functions: generator(otherModel, otherProcessor, { ...sizes, ...change }).functions,
        }),
      what,
    )
})

greedy.run()
