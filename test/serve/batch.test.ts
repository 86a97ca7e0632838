/** The rows that answers share: how an answer ends, what a call that fails takes with it, and who gets a row that is free. */
import { firstValueFrom, lastValueFrom, take, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Conversation } from '../../src/data/index.ts'
import type { Session } from '../../src/engine/index.ts'
import { LogitsError, type Sampling, settled, uniforms } from '../../src/generation/index.ts'
import { batching, type Job } from '../../src/serve/batch.ts'
import { type Rule, ruled, type Seen } from '../support/rule-model.ts'
import { saying, sizes } from '../support/serving.ts'
import { tinyProcessor as p, tinyModel } from '../support/tiny.ts'

const test = suite('batch')

const { encodeText } = p.tokenizer
const ids = [p.start, ...encodeText('user\n?'), p.end, p.start, ...encodeText('assistant\n')]
const prompt: Conversation = {
  ...{ id: 'a', ids, lossMask: ids.map(() => false), promptLength: ids.length, images: [] },
}
const job = (sampling: Sampling, top = 0): Job => ({
  ...{ prompt, sampling: settled({ temperature: 0, ...sampling }), uniforms: uniforms(1, 'a', 0) },
  ...(top === 0 ? {} : { top }),
})
const opened = (session: Session, rows: number = sizes.rows) =>
  batching(tinyModel, p, { ...sizes, rows }).open(session)
const over = (rule: Rule, rows?: number, fail?: Parameters<typeof ruled>[3], seen: Seen[] = []) =>
  opened(ruled(tinyModel.vocabSize, rule, seen, fail), rows)
const told = async (answer: ReturnType<ReturnType<typeof opened>['answer']>) =>
  lastValueFrom(answer.pipe(toArray()))
const yes = [...encodeText('yes it is'), p.end]

test('an answer ends with its end, also where that is the last token it may have, or with its length', async () => {
  const ask = async (maxNewTokens: number) => {
    const tokens = await told(over(saying('yes it is')).answer(job({ maxNewTokens })))
    return [tokens.map((t) => t.id), tokens.map((t) => t.last)]
  }
  const lasts = (n: number, last: string) => [...Array(n - 1).fill(undefined), last]
  assert.equal(await ask(60), [yes, lasts(yes.length, 'end')])
  assert.equal(await ask(yes.length), [yes, lasts(yes.length, 'end')])
  assert.equal(await ask(yes.length - 1), [yes.slice(0, -1), lasts(yes.length - 1, 'length')])
})

test('a short prompt is read in the small size; less likely are the tokens of prompt and answer so far', async () => {
  const seen: Seen[] = []
  await told(
    over(saying('yes it is'), 2, undefined, seen).answer(job({ maxNewTokens: 60, repetitionPenalty: 1.1 })),
  )
  const [read, first] = seen
  assert.is(read!.inputs.input_ids!.length, sizes.context / 4)
  assert.is(first!.call, 'extendFiltered')
  const marked = first!.inputs.seen!.flatMap((x, i) => (x ? [i] : []))
  assert.equal(
    marked,
    [...new Set([...ids, yes[0]!])].sort((x, y) => x - y),
  )
})

test('prompt and answer together are no longer than the context', async () => {
  const tokens = await told(over(() => 20).answer(job({ maxNewTokens: 10_000 })))
  assert.is(tokens.length, sizes.context - ids.length)
  assert.is(tokens.at(-1)!.last, 'length')
})

test('a call that fails is the error of all that work and wait, and none of those that come after', async () => {
  const batch = over(saying('yes it is'), 2, (n) =>
    n === 2 ? { _tag: 'Failed', message: 'no luck' } : undefined,
  )
  const errors = await Promise.all(
    [1, 2, 3, 4].map(() =>
      told(batch.answer(job({ maxNewTokens: 60 }))).then(
        () => 'answered',
        (e: Error) => e.message,
      ),
    ),
  )
  assert.equal(errors, Array(4).fill('no luck'))
  assert.equal(batch.busy(), { rows: 0, waiting: 0 })
  assert.equal(
    (await told(batch.answer(job({ maxNewTokens: 60 })))).map((t) => t.id),
    yes,
  )
})

test('a row whose answer nobody waits for takes the next prompt', async () => {
  const batch = over(() => 20, 1)
  const left = firstValueFrom(batch.answer(job({ maxNewTokens: 80 })))
  const next = told(batch.answer(job({ maxNewTokens: 3 })).pipe(take(5)))
  assert.is((await left).id, 20)
  assert.is((await next).length, 3)
})

test('logits that are no numbers are the error of their answer alone', async () => {
  const plain = ruled(tinyModel.vocabSize, saying('yes it is'))
  let broken = true
  const session: Session = {
    ...plain,
    call: (name, inputs) => async () => {
      const out = await plain.call(name, inputs)()
      if (!broken || name !== 'extend' || out._tag === 'Left') return out
      broken = false
      const { log_probs, ...rest } = out.right
      const data = Float32Array.from(log_probs!.data as Float32Array)
      // the first row's second token
      data[sizes.rows] = Number.NaN
      return { ...out, right: { ...rest, log_probs: { ...log_probs!, data } } }
    },
  }
  const batch = opened(session)
  const [first, second] = await Promise.allSettled(
    [1, 2].map(() => told(batch.answer(job({ maxNewTokens: 60 })))),
  )
  assert.instance(first!.status === 'rejected' && first!.reason, LogitsError)
  assert.equal(second!.status === 'fulfilled' && second!.value.map((t) => t.id), yes)
})

test('the likeliest tokens are told at the temperature that is drawn with', async () => {
  const tokens = await told(over(saying('yes')).answer(job({ maxNewTokens: 4, temperature: 3 }, 2)))
  // the rule's logit is 9 where all others are 0
  const wanted = 3 - Math.log(Math.exp(3) + tinyModel.vocabSize - 1)
  for (const { id, logProb, top } of tokens) {
    assert.is(top.length, 2)
    assert.ok(Math.abs(top[0]!.logProb - wanted) < 1e-5, `${top[0]!.logProb}`)
    const same = top.find((t) => t.id === id)
    if (same !== undefined) assert.ok(Math.abs(same.logProb - logProb) < 1e-5)
  }
})

test.run()
