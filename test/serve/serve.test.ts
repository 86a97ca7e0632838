/** OpenAI's protocol over a model, as the `openai` client and a server's policy see it. */
import { createServer } from 'node:net'
import * as E from 'fp-ts/lib/Either.js'
import { APIError } from 'openai'
import { lastValueFrom, toArray } from 'rxjs'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type RgbImage, readImage } from '../../src/data/index.ts'
import { program } from '../../src/dsl/index.ts'
import {
  answerJudge,
  type Completion,
  judgeModel,
  policyFunctions,
  type Request,
  serverPolicy,
  sessionPolicy,
  type Task,
} from '../../src/rl/index.ts'
import { batching, serve } from '../../src/serve/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import {
  answerIn,
  closeServers,
  type Served,
  saying,
  servedModel,
  servedRule,
  sizes,
} from '../support/serving.ts'
import { tinyProcessor as p, tinyConversation, tinyModel } from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()
const test = suite(`serve: on ${engines.map((e) => e.name).join(' and ')}`)
test.after(closeServers)

const say = (content: string) => [{ role: 'user' as const, content }]
const dataUrl = async ({ width, height, channels, data }: RgbImage): Promise<string> => {
  const png = await sharp(data, { raw: { width, height, channels } }).png().toBuffer()
  return `data:image/png;base64,${png.toString('base64')}`
}
/** What the client is told of a request that fails. */
const refusal = async (request: Promise<unknown>): Promise<APIError> => {
  try {
    await request
  } catch (e) {
    assert.instance(e, APIError)
    return e as APIError
  }
  return assert.unreachable('it was answered') as never
}
const posted = async ({ serving }: Served, path: string, body: unknown, type = 'application/json') => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const res = await fetch(`${serving.baseURL}${path}`, {
    ...{ method: 'POST', headers: { 'content-type': type }, body: text },
  })
  return {
    status: res.status,
    body: (await res.json()) as { error: { message: string; param: string | null } },
  }
}
const requestAt = (i: number): Request => {
  const c = tinyConversation(i)
  return { ...{ task: c.id, sample: 0, prompt: c, question: '?'.repeat(1 + (i % 3)) } }
}

test('models are listed, one is described, an unknown one is 404', async () => {
  const { client } = await servedRule(saying('yes'))
  const all = await client.models.list()
  assert.equal(
    all.data.map((m) => m.id),
    ['tiny'],
  )
  assert.is((await client.models.retrieve('tiny')).object, 'model')
  const of404 = [
    client.models.retrieve('other'),
    client.chat.completions.create({ model: 'other', messages: say('?') }),
    client.completions.create({ model: 'other', prompt: 'a' }),
  ]
  for (const request of of404) {
    const e = await refusal(request)
    assert.equal([e.status, e.code, e.param], [404, 'model_not_found', 'model'])
    assert.match(e.message, 'there is no model "other" here; there is \'tiny\'')
  }
})

test('a chat is answered: text, reason, tokens used; token ids and log-probabilities where asked', async () => {
  const { client } = await servedRule(saying('yes it is'))
  const ids = [...p.tokenizer.encodeText('yes it is'), p.end]
  const plain = await client.chat.completions.create({ model: 'tiny', messages: say('?'), temperature: 0 })
  const [choice] = plain.choices
  assert.equal(
    [choice!.message.content, choice!.finish_reason, choice!.logprobs],
    ['yes it is', 'stop', null],
  )
  assert.not('token_ids' in choice!)
  const full = (await client.chat.completions.create({
    ...{
      model: 'tiny',
      messages: say('?'),
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
      return_token_ids: true,
    },
  } as never)) as typeof plain & { prompt_token_ids: number[]; choices: { token_ids: number[] }[] }
  assert.equal(full.choices[0]!.token_ids, ids)
  assert.equal(full.prompt_token_ids, [
    p.start,
    ...p.tokenizer.encodeText('user\n?'),
    p.end,
    p.start,
    ...p.tokenizer.encodeText('assistant\n'),
  ])
  assert.is(full.usage!.prompt_tokens, full.prompt_token_ids.length)
  assert.is(full.usage!.completion_tokens, ids.length)
  const logged = full.choices[0]!.logprobs!.content!
  // the rule's logit is 9 where all others are 0
  const wanted = 9 - Math.log(Math.exp(9) + tinyModel.vocabSize - 1)
  for (const [i, { token, logprob, top_logprobs: top }] of logged.entries()) {
    assert.is(token, p.tokenizer.decode([ids[i]!]))
    assert.ok(Math.abs(logprob - wanted) < 1e-5)
    assert.is(top.length, 2)
    assert.is(top[0]!.token, token)
    assert.ok(Math.abs(top[0]!.logprob - wanted) < 1e-5 && top[1]!.logprob < top[0]!.logprob)
  }
})

test('a stream is the same answer, the first token when its prompt is read, four with each call after it', async () => {
  const waiting: (() => void)[] = []
  const gate = (): Promise<void> => new Promise((done) => waiting.push(done))
  const { client, calls } = await servedRule(saying('yes it is so'), {}, { gate })
  const go = async (): Promise<void> => {
    await until(() => waiting.length > 0)
    waiting.shift()!()
  }
  const asked = client.chat.completions.create({
    ...{ model: 'tiny', messages: say('?'), temperature: 0, stream: true },
    stream_options: { include_usage: true },
  })
  await go()
  const got: string[] = []
  const ends: (string | null)[] = []
  let used = 0
  for await (const chunk of await asked) {
    used = chunk.usage?.completion_tokens ?? used
    const [choice] = chunk.choices
    if (choice === undefined) continue
    got.push(choice.delta.content ?? '')
    ends.push(choice.finish_reason)
    // each piece is here before the next call is let through
    assert.is(calls.length, 1 + Math.ceil((got.length - 1) / 4))
    if (choice.finish_reason === null && got.length % 4 === 1) await go()
  }
  assert.equal(got.join(''), 'yes it is so')
  assert.is(got.length, p.tokenizer.encodeText('yes it is so').length + 1)
  assert.equal(ends, [...got.slice(1).map(() => null), 'stop'])
  assert.is(used, got.length)
})

test('it stops at a text, which is not told, and where it may not be longer', async () => {
  const { client, serving } = await servedRule(saying('one two three four'))
  const ask = async (more: object) => {
    const { choices } = await client.chat.completions.create({
      ...{ model: 'tiny', messages: say('?'), temperature: 0, ...more },
    })
    return [choices[0]!.message.content, choices[0]!.finish_reason]
  }
  assert.equal(await ask({ stop: ' three' }), ['one two', 'stop'])
  assert.equal(await ask({ stop: ['nothing', 'wo t'] }), ['one t', 'stop'])
  await until(() => serving.busy().rows === 0)
  const two = p.tokenizer.decode(p.tokenizer.encodeText('one two three four').slice(0, 3))
  assert.equal(await ask({ max_tokens: 3 }), [two, 'length'])
  assert.equal(await ask({ max_completion_tokens: 3 }), [two, 'length'])
  const first = p.tokenizer.encodeText('one two three four')[1]!
  assert.equal(await ask({ stop_token_ids: [first] }), [
    p.tokenizer.decode(p.tokenizer.encodeText('one two three four').slice(0, 1)),
    'stop',
  ])
})

test('special tokens have no text until that is asked for; those of a thought always have theirs, and ids all', async () => {
  const id = (token: string): number => p.tokenizer.idOf(token)!
  const text = (words: string) => p.tokenizer.encodeText(words)
  const said = [
    id('<img>'),
    id('<think>'),
    ...text('so'),
    id('</think>'),
    ...text('yes'),
    id('<|endoftext|>'),
  ]
  const ids = [...said, p.end]
  const { client } = await servedRule((row) => ids[answerIn(row).length] ?? p.end)
  const about = { model: 'tiny', temperature: 0, max_tokens: 20, return_token_ids: true }
  const prompt = [p.start, ...text('assistant\n')]
  for (const [more, shown] of [
    [{}, '<think>so</think>yes'],
    [{ skip_special_tokens: true }, '<think>so</think>yes'],
    [{ skip_special_tokens: false }, '<img><think>so</think>yes<|endoftext|>'],
  ] as const) {
    const chat = await client.chat.completions.create({ ...about, ...more, messages: say('?') })
    const completion = await client.completions.create({ ...about, ...more, prompt })
    assert.equal([chat.choices[0]!.message.content, completion.choices[0]!.text], [shown, shown])
    for (const reply of [chat, completion])
      assert.equal((reply.choices[0] as unknown as { token_ids: number[] }).token_ids, ids)
    let streamed = ''
    const stream = await client.chat.completions.create({
      ...{ ...about, ...more, messages: say('?'), stream: true },
    })
    for await (const { choices } of stream) streamed += choices[0]!.delta.content ?? ''
    assert.is(streamed, shown)
  }
})

test('requests share the rows: together they take as many steps as the longest', async () => {
  const long = saying('a b c d e f g h')
  const tokens = p.tokenizer.encodeText('a b c d e f g h').length + 1
  const { client, calls, serving } = await servedRule(long, { rows: 4 })
  const ask = () => client.chat.completions.create({ model: 'tiny', messages: say('?'), temperature: 0 })
  const answers = await Promise.all(Array.from({ length: 4 }, ask))
  assert.ok(answers.every((a) => a.choices[0]!.message.content === 'a b c d e f g h'))
  const steps = (): number => calls.filter((c) => c.call === 'extend').length
  const alone = Math.ceil((tokens - 1) / 4)
  assert.is(calls.filter((c) => c.call === 'prefill').length, 4)
  // one after the other they would take four times as many; the first may begin before the last has come
  assert.ok(steps() >= alone && steps() <= 2 * alone, `${steps()} calls of ${alone}`)
  await Promise.all(Array.from({ length: 9 }, ask))
  assert.equal(serving.busy(), { rows: 0, waiting: 0 })
})

test('each request has its own settings and seed beside others in the batch', async () => {
  const [engine] = engines
  const { client } = await servedModel(engine!)
  const ask = async (seed: number, more: object = {}) =>
    (
      (await client.completions.create({
        ...{ model: 'tiny', prompt: [20, 21, 22], max_tokens: 12, seed, return_token_ids: true, ...more },
      } as never)) as unknown as { choices: { token_ids: number[] }[] }
    ).choices.map((c) => c.token_ids)
  const alone = [await ask(1), await ask(2), await ask(1, { top_k: 3, temperature: 0.7, min_p: 0.01 })]
  const together = await Promise.all([
    ask(1),
    ask(2),
    ask(1, { top_k: 3, temperature: 0.7, min_p: 0.01 }),
    ask(9, { top_p: 0.5, repetition_penalty: 1.2 }),
  ])
  assert.equal(together.slice(0, 3), alone)
  assert.not.equal(alone[0], alone[1])
  const [several] = [await ask(1, { n: 3 })]
  assert.equal(several![0], alone[0]![0])
  assert.is(new Set(several.map(String)).size, 3)
})

test('what is drawn inside the graph, four tokens a call, is what a host draws that tells the likeliest', async () => {
  const { client } = await servedModel(engines[0]!)
  const ways = [
    { temperature: 0.7, top_k: 5 },
    { temperature: 1.5, min_p: 0.3 },
    { top_p: 0.4, repetition_penalty: 1.3 },
    { temperature: 0, repetition_penalty: 1.7 },
    { temperature: 1.2 },
  ]
  /** Answers in each way, side by side. */
  const said = (more: object) =>
    Promise.all(
      ways.map(async (way, i) => {
        const { choices } = (await client.completions.create({
          ...{ model: 'tiny', prompt: [20, 21, 22 + i], max_tokens: 14, seed: i, return_token_ids: true },
          ...{ ...way, ...more },
        } as never)) as unknown as {
          choices: { token_ids: number[]; logprobs: { token_logprobs: number[] } }[]
        }
        return choices[0]!
      }),
    )
  const [graph, host] = [await said({ logprobs: 0 }), await said({ logprobs: 2 })]
  for (const [i, { token_ids, logprobs }] of graph.entries()) {
    assert.equal(token_ids, host[i]!.token_ids, `${i}`)
    for (const [k, x] of logprobs.token_logprobs.entries())
      assert.ok(Math.abs(x - host[i]!.logprobs.token_logprobs[k]!) < 1e-4, `${i} ${k}`)
  }
})

test('a connection that is cut gives its row back, in a stream and before any answer', async () => {
  for (const stream of [true, false]) {
    const endless = () => 20
    const { client, serving } = await servedRule(endless, { rows: 1 })
    const cut = new AbortController()
    const asked = client.chat.completions.create(
      { model: 'tiny', messages: say('?'), stream, max_tokens: 60 } as never,
      { signal: cut.signal },
    ) as unknown as Promise<AsyncIterable<unknown>>
    if (stream) for await (const _ of await asked) break
    else {
      asked.catch(() => undefined)
      await until(() => serving.busy().rows === 1)
    }
    cut.abort()
    await until(() => serving.busy().rows === 0)
  }
})

test('one that waits for a row and is cut is never begun', async () => {
  let free = (): void => undefined
  const held = new Promise<void>((done) => {
    free = done
  })
  const { client, serving, calls } = await servedRule(saying('yes'), { rows: 1 }, { gate: () => held })
  const ask = (signal?: AbortSignal) =>
    client.chat.completions.create({ model: 'tiny', messages: say('?'), temperature: 0 }, { signal })
  const first = ask()
  await until(() => serving.busy().rows === 1)
  const cut = new AbortController()
  const second = ask(cut.signal).catch(() => 'cut')
  await until(() => serving.busy().waiting === 1)
  cut.abort()
  assert.is(await second, 'cut')
  await until(() => serving.busy().waiting === 0)
  free()
  assert.is((await first).choices[0]!.message.content, 'yes')
  assert.is(calls.filter((c) => c.call === 'prefill').length, 1)
})

test('a bad body is 400, with what is wrong and where', async () => {
  const served = await servedRule(saying('yes'))
  const messages = say('?')
  const image = (url: unknown) => [{ role: 'user', content: [{ type: 'image_url', image_url: url }] }]
  const cases: readonly (readonly [path: string, body: object, param: string, says: RegExp])[] = [
    ['/chat/completions', { messages }, 'model', /model is missing; give a text/],
    ['/chat/completions', { model: 'tiny' }, 'messages', /messages is missing; give a list of messages/],
    ['/chat/completions', { model: 'tiny', messages: 'hi' }, 'messages', /messages is "hi"; give a list/],
    ['/chat/completions', { model: 'tiny', messages: [] }, 'messages', /empty/],
    [
      '/chat/completions',
      { model: 'tiny', messages: [3] },
      'messages[0]',
      /messages\[0\].* is 3; give a message/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: [{ role: 'tool', content: 'x' }] },
      'messages[0].role',
      /messages\[0\]\.role is "tool"; give "system" or "developer" or "user" or "assistant"/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: [{ role: 'user', content: 3 }] },
      'messages[0].content',
      /content is 3; give a text or a list of parts/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: [{ role: 'user', content: [{ type: 'sound' }] }] },
      'messages[0].content[0]',
      /content\[0\] is \{"type":"sound"\}; give a part of type text, image_url or video_url/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: image(3) },
      'messages[0].content[0].image_url',
      /is 3; give a data URL/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: image({ url: 'https://example.org/a.png' }) },
      'messages[0].content[0].image_url',
      /no data URL in base64.*nothing is fetched/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: image({ url: 'data:image/png;base64,aGk=' }) },
      'messages[0].content[0].image_url',
      /cannot be read/,
    ],
    ...(
      [
        [3, /is 3; give a data URL/],
        [
          { url: 'https://example.org/a.mp4' },
          /no data URL in base64 \(data:video\/mp4;.*nothing is fetched/,
        ],
        [
          { url: 'file:///etc/passwd' },
          /no data URL in base64.*nothing is fetched from the net or from files/,
        ],
        ['data:video/jpeg;base64,aGk=,aGk=', /cannot be read/],
        ['data:image/gif;base64,aG=k', /its padding is not at the end/],
      ] as const
    ).map(
      ([url, says]) =>
        [
          '/chat/completions',
          { model: 'tiny', messages: [{ role: 'user', content: [{ type: 'video_url', video_url: url }] }] },
          'messages[0].content[0].video_url',
          says,
        ] as const,
    ),
    [
      '/chat/completions',
      {
        model: 'tiny',
        messages: [
          { role: 'system', content: [{ type: 'video_url', video_url: 'data:video/mp4;base64,aGk=' }] },
          ...messages,
        ],
      },
      'messages[0].content',
      /has a video, and only a user's may/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: image('data:image/png;base64,aGk=,aGk=') },
      'messages[0].content[0].image_url',
      /has 2 images; give each a part of its own/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages: [...messages, { role: 'assistant', content: 'a' }] },
      'messages',
      /ends with a turn of the assistant/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages, temperature: 'hot' },
      'temperature',
      /a number from 0 to 100/,
    ],
    [
      '/chat/completions',
      { model: 'tiny', messages, max_tokens: 0.5 },
      'max_tokens',
      /a whole number from 1 on/,
    ],
    ['/chat/completions', { model: 'tiny', messages, top_p: 0 }, 'top_p', /leaves no token/],
    ['/chat/completions', { model: 'tiny', messages, stop: [''] }, 'stop', /empty text/],
    [
      '/chat/completions',
      { model: 'tiny', messages, skip_special_tokens: 'no' },
      'skip_special_tokens',
      /true or false/,
    ],
    ['/chat/completions', { model: 'tiny', messages, stop: 3 }, 'stop', /a text or a list of texts/],
    ['/chat/completions', { model: 'tiny', messages, top_logprobs: 3 }, 'top_logprobs', /without logprobs/],
    [
      '/chat/completions',
      { model: 'tiny', messages, presence_penalty: 1 },
      'presence_penalty',
      /not offered/,
    ],
    ['/chat/completions', { model: 'tiny', messages, tools: [{}] }, 'tools', /not offered/],
    [
      '/chat/completions',
      {
        model: 'tiny',
        messages: [...messages, { role: 'assistant', content: 'a', tool_calls: [{ id: '1' }] }, ...messages],
      },
      `messages[${messages.length}].tool_calls`,
      /not offered/,
    ],
    ['/chat/completions', { model: 'tiny', messages, temprature: 1 }, 'temprature', /not offered/],
    // names that every record has
    ['/chat/completions', { model: 'tiny', messages, constructor: 1 }, 'constructor', /not offered/],
    ['/completions', { model: 'tiny', prompt: 'a', toString: 0 }, 'toString', /not offered/],
    ['/completions', { model: 'tiny' }, 'prompt', /prompt is missing/],
    ['/completions', { model: 'tiny', prompt: [] }, 'prompt', /empty/],
    [
      '/completions',
      { model: 'tiny', prompt: [1, -1] },
      'prompt[1]',
      /a whole number from 0 on|a list of token ids/,
    ],
    ['/completions', { model: 'tiny', prompt: [1, 9e6] }, 'prompt', /has the id 9000000/],
    ['/completions', { model: 'tiny', prompt: [p.image!.placeholder] }, 'prompt', /image/],
    [
      '/completions',
      { model: 'tiny', prompt: 'a', logprobs: true },
      'logprobs',
      /a whole number from 0 to 20/,
    ],
  ]
  for (const [path, body, param, says] of cases) {
    const got = await posted(served, path, body)
    const told = `${JSON.stringify(body)} → ${JSON.stringify(got)}`
    assert.is(got.status, 400, told)
    assert.match(got.body.error.message, says, told)
    assert.is(got.body.error.param, param, told)
  }
  const torn = await posted(served, '/chat/completions', '{"model": ')
  assert.equal([torn.status, /no JSON/.test(torn.body.error.message)], [400, true])
  const deep = await posted(
    served,
    '/chat/completions',
    `{"messages":${'['.repeat(9000)}${']'.repeat(9000)}}`,
  )
  assert.equal(
    [deep.status, deep.body.error.message],
    [400, 'the body nests more than 64 deep; give it flatter'],
  )
  const list = await posted(served, '/chat/completions', [1])
  assert.equal([list.status, /give an object/.test(list.body.error.message)], [400, true])
  assert.is((await posted(served, '/chat/completions', '{}', 'text/plain')).status, 415)
  assert.is((await posted(served, '/embeddings', {})).status, 404)
  assert.is((await fetch(`${served.serving.baseURL}/completions`)).status, 405)
  assert.equal(served.faults, [])
  // what asks for nothing is let pass
  const ok = await served.client.chat.completions.create({
    ...{
      model: 'tiny',
      messages,
      frequency_penalty: 0,
      logit_bias: {},
      user: 'me',
      n: 1,
      stop: null,
      temperature: 0,
    },
  })
  assert.is(ok.choices[0]!.message.content, 'yes')
})

test('a prompt that is too long is 400 with its length, and so is an answer that has no room', async () => {
  const { client } = await servedRule(saying('yes'))
  const long = await refusal(
    client.chat.completions.create({ model: 'tiny', messages: say('?'.repeat(300)) }),
  )
  assert.equal([long.status, long.code, long.param], [400, 'context_length_exceeded', 'messages'])
  assert.match(long.message, /messages has \d+ tokens, and prompt and answer together may have 96/)
  const most = await refusal(client.completions.create({ model: 'tiny', prompt: [1, 2], max_tokens: 95 }))
  assert.equal([most.status, most.code], [400, 'context_length_exceeded'])
  assert.match(
    most.message,
    'prompt has 2 tokens, and max_tokens asks for 95 more; together they may have 96',
  )
  const whole = await client.completions.create({
    model: 'tiny',
    prompt: [1, 2],
    max_tokens: 94,
    temperature: 0,
  })
  assert.ok(whole.choices[0]!.text.length >= 0)
})

test('a body that is too large is 413', async () => {
  const session = (await servedRule(saying('yes'))).session
  const serving = await orThrow(
    serve({
      ...{ name: 'tiny', processor: p, session, port: 0, mostBytes: 1000 },
      batching: batching(tinyModel, p, sizes),
    }),
  )
  const got = await posted({ serving } as Served, '/completions', { model: 'tiny', prompt: 'a'.repeat(2000) })
  assert.equal([got.status, got.body.error.message], [413, 'the body has more than 1000 bytes; send less'])
  await serving.close()
})

test('what fails inside is 500 for those who wait, and the next is answered', async () => {
  const fail = (n: number) => (n === 1 ? ({ _tag: 'Failed', message: 'out of luck' } as const) : undefined)
  const { client, faults } = await servedRule(saying('yes it is'), {}, { fail })
  const ask = () => client.chat.completions.create({ model: 'tiny', messages: say('?'), temperature: 0 })
  const e = await refusal(ask())
  assert.is(e.status, 500)
  assert.match(e.message, /out of luck/)
  assert.is(faults.length, 1)
  assert.is((await ask()).choices[0]!.message.content, 'yes it is')
})

test('a port that is in use is said, and a host that is none', async () => {
  const other = createServer()
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  const { port } = other.address() as { port: number }
  const { session } = await servedRule(saying('yes'))
  const o = { name: 'tiny', processor: p, session, batching: batching(tinyModel, p, sizes) }
  const taken = await serve({ ...o, port })()
  assert.ok(E.isLeft(taken))
  assert.equal(
    [taken.left.tag, taken.left.message],
    [
      'PortInUse',
      `port ${port} of 127.0.0.1 is in use by another program; choose another port, or 0 for any that is free`,
    ],
  )
  other.close()
  const nowhere = await serve({ ...o, port: 0, host: '192.0.2.1' })()
  assert.is(E.isLeft(nowhere) && nowhere.left.tag, 'BadAddress')
})

for (const engine of engines)
  test(`${engine.name}: a server's policy draws what a session's does, tokens and log-probabilities`, async () => {
    const { serving, session: own } = await servedModel(engine)
    const policySizes = { rows: 4, prompt: 40, capacity: 96, images: 4 }
    const parts = { model: tinyModel, processor: p, sizes: policySizes }
    const session = await orThrow(
      engine.load(program({ name: 'policy', functions: policyFunctions(parts) }), { seed: 3 }),
    )
    assert.ok(own.program.states.size > 0)
    const here = sessionPolicy({ ...parts, session, seed: 1, version: () => 0 })
    const there = (transport: 'tokens' | 'chat') =>
      serverPolicy({ baseURL: serving.baseURL, model: 'tiny', processor: p, transport, seed: 1, retries: 0 })
    const drawn = (
      policy: typeof here,
      requests: readonly Request[],
      temperature: number,
      repetitionPenalty = 1,
    ) => {
      const sampling = { maxNewTokens: 8, temperature, repetitionPenalty }
      return lastValueFrom(policy.sample(requests, sampling).pipe(toArray()))
    }
    const byTask = (all: Awaited<ReturnType<typeof drawn>>) =>
      [...all].sort((a, b) => (a.task < b.task ? -1 : 1))
    const compared = (a: Awaited<ReturnType<typeof drawn>>, b: Awaited<ReturnType<typeof drawn>>): void => {
      assert.is(a.length, b.length)
      for (const [i, c] of byTask(a).entries()) {
        const d = byTask(b)[i]!
        assert.equal(
          [d.task, d.ids, d.promptIds, d.stop, d.text],
          [c.task, c.ids, c.promptIds, c.stop, c.text],
        )
        for (const [k, x] of c.logProbs.entries()) assert.ok(Math.abs(x - d.logProbs[k]!) < 1e-4)
        assert.not('reencoded' in d)
      }
    }
    // with images, as a chat; token ids carry none
    const seen = Array.from({ length: 7 }, (_, i) => requestAt(i))
    compared(await drawn(here, seen, 0), await drawn(there('chat'), seen, 0))
    const texts = seen.map((r, i): Request => {
      const ids = [p.start, ...p.tokenizer.encodeText(`user\n${'?'.repeat(i)}`), p.end]
      const prompt = {
        ...r.prompt,
        ids,
        lossMask: ids.map(() => false),
        promptLength: ids.length,
        images: [],
      }
      return { ...r, prompt }
    })
    compared(await drawn(here, texts, 0), await drawn(there('tokens'), texts, 0))
    compared(await drawn(here, texts, 0, 1.7), await drawn(there('tokens'), texts, 0, 1.7))
    const once = await drawn(there('tokens'), texts, 1)
    compared(once, await drawn(there('tokens'), texts, 1))
    await orThrow(session.close())
  })

test('images of any size are read as the model reads them, and stand where they were put', async () => {
  const { client } = await servedRule(saying('yes'))
  const big: RgbImage = { width: 40, height: 30, channels: 3, data: new Uint8Array(3600).fill(90) }
  const url = await dataUrl(big)
  const answer = (await client.chat.completions.create({
    model: 'tiny',
    temperature: 0,
    return_token_ids: true,
    messages: [
      { role: 'system', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url } },
          { type: 'text', text: 'what' },
          { type: 'image_url', image_url: { url } },
          { type: 'text', text: ' else' },
        ],
      },
    ],
  } as never)) as unknown as { prompt_token_ids: number[] }
  const { encodeText } = p.tokenizer
  const image = [p.image!.open, ...Array<number>(p.image!.tokens).fill(p.image!.placeholder), p.image!.close]
  assert.equal(answer.prompt_token_ids, [
    ...[p.start, ...encodeText('system\nbe brief'), p.end],
    ...[
      p.start,
      ...encodeText('user\n'),
      ...image,
      ...encodeText('\nwhat'),
      ...image,
      // what begins with white space of its own gets no newline
      ...encodeText(' else'),
      p.end,
    ],
    ...[p.start, ...encodeText('assistant\n')],
  ])
  assert.is((await readImage({ bytes: Buffer.from(url.split(',')[1]!, 'base64'), name: 'x' }, 16)).width, 16)
})

test('a video is its frames: an animation, or frames one behind the other; more than there is room for are refused', async () => {
  const { client } = await servedRule(saying('yes'), { context: 224, images: 4 })
  const still = (red: number) =>
    sharp({ create: { width: 20, height: 30, channels: 3, background: { r: red, g: 0, b: 0 } } }).png()
  const frames = await Promise.all([0, 120, 250].map((red) => still(red).toBuffer()))
  const gif = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer()
  const { encodeText } = p.tokenizer
  const one = [p.image!.open, ...Array<number>(p.image!.tokens).fill(p.image!.placeholder), p.image!.close]
  const framesOf = (n: number) =>
    Array.from({ length: n }, (_, i) => [
      ...encodeText(`Frame-${i + 1}: `),
      ...one,
      ...encodeText('\n'),
    ]).flat()
  const ask = async (url: string) =>
    (
      (await client.chat.completions.create({
        ...{ model: 'tiny', temperature: 0, return_token_ids: true },
        messages: [
          {
            role: 'user',
            content: [
              { type: 'video_url', video_url: { url } },
              { type: 'text', text: 'when?' },
            ],
          },
        ],
      } as never)) as unknown as { prompt_token_ids: number[] }
    ).prompt_token_ids
  const base64 = frames.map((f) => f.toString('base64'))
  const wanted = (n: number) => [
    ...[p.start, ...encodeText('user\n'), ...framesOf(n), ...encodeText('when?'), p.end],
    ...[p.start, ...encodeText('assistant\n')],
  ]
  assert.equal(await ask(`data:image/gif;base64,${gif.toString('base64')}`), wanted(3))
  assert.equal(await ask(`data:video/png;base64,${base64.join(',')}`), wanted(3))
  assert.equal(await ask(`data:video/jpeg;base64,${base64[0]}`), wanted(1))
  const many = [...base64, ...base64].join(',')
  const e = await refusal(ask(`data:video/jpeg;base64,${many}`))
  assert.equal([e.status, e.param], [400, 'messages'])
  assert.match(e.message, /has 6 images \(each tile and each frame is one\), and may have 4/)
})

test('what is served judges another run: its verdict becomes a reward', async () => {
  const { serving } = await servedRule(saying('{"correct": 1}'), { context: 2048 })
  const model = judgeModel({ baseURL: serving.baseURL, model: 'tiny', maxTokens: 64, retries: 0 })
  const c = tinyConversation(1)
  const task: Task = { id: 'a', family: 'f', prompt: c, question: 'which colour', columns: {} }
  const completion: Completion = {
    ...{ task: 'a', sample: 0, promptIds: [], ids: [1], logProbs: [0], text: 'red' },
    ...{ stop: 'end', version: 0 },
  }
  const got = await answerJudge({ model }).score({ task, completion })()
  assert.is(got._tag, 'Scored', JSON.stringify(got))
  assert.is(got._tag === 'Scored' && got.value, 1)
})

test('the rule of these tests sees the answer alone', () => {
  assert.equal(answerIn([p.start, ...p.tokenizer.encodeText('assistant\n'), 7, 8]), [7, 8])
})

test.run()
