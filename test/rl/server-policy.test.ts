import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { firstValueFrom, lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Conversation,
  conversation,
  numbered,
  type PromptUnit,
  played,
  pngDataUrl,
  processor,
  type RgbImage,
  said,
  shown,
  unitConversation,
} from '../../src/data/index.ts'
import { type Completion, PolicyError, type Request, serverPolicy } from '../../src/rl/index.ts'
import { nanoModel, nanoProcessor, nanoTokenizer } from '../../src/tasks/index.ts'
import { until } from '../support/until.ts'

type Handler = (body: Record<string, unknown>, res: ServerResponse, req: IncomingMessage) => void

const servers: Server[] = []
/** A server that speaks OpenAI's protocol as far as a handler does; what it was asked is kept. */
const serving = async (handler: Handler) => {
  const asked: { readonly url: string; readonly body: Record<string, unknown> }[] = []
  const server = createServer((req, res) => {
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>
      asked.push({ url: req.url!, body })
      handler(body, res, req)
    })
  })
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return { baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked }
}
const json = (
  res: ServerResponse,
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void => {
  res.writeHead(status, { 'content-type': 'application/json', ...headers })
  res.end(JSON.stringify(value))
}

const p = nanoProcessor()
const request = (task: string, sample = 0, images = 0): Request => ({
  ...{ task, sample },
  prompt: conversation(p, {
    ...{ id: task, request: `question ${task}`, answer: '' },
    images: Array.from({ length: images }, () => ({
      ...{ width: 112, height: 112, channels: 3 as const },
      data: new Uint8Array(112 * 112 * 3).fill(200),
    })),
  }),
})
const tokens = (ids: readonly number[], more: object = {}) => ({
  choices: [
    {
      ...{ finish_reason: 'stop', text: '', token_ids: ids },
      logprobs: { token_logprobs: ids.map(() => -0.5) },
      ...more,
    },
  ],
})
const yes = [...p.tokenizer.encodeText('yes'), p.end]
const sampling = { maxNewTokens: 8, temperature: 0.7, topK: 5, topP: 0.9, minP: 0.1, repetitionPenalty: 1.1 }
const options = { model: 'm', processor: p, transport: 'tokens' as const, retries: 2, timeoutMs: 5000 }
const all = (
  o: Parameters<typeof serverPolicy>[0],
  requests: readonly Request[],
): Promise<readonly Completion[]> => lastValueFrom(serverPolicy(o).sample(requests, sampling).pipe(toArray()))
const errorOf = async (o: Parameters<typeof serverPolicy>[0], r: Request): Promise<PolicyError> => {
  try {
    await all(o, [r])
  } catch (e) {
    assert.instance(e, PolicyError)
    assert.is((e as PolicyError).task, r.task)
    return e as PolicyError
  }
  return assert.unreachable('it answered') as never
}

const test = suite('rl: a server as a policy')
test.after(() => {
  for (const s of servers) {
    s.closeAllConnections()
    s.close()
  }
})

test('token ids go there and come back, with the settings of sampling and a seed of each request', async () => {
  const { baseURL, asked } = await serving((_, res) => json(res, tokens(yes)))
  const requests = [request('a'), request('a', 1), request('b')]
  const made = await all({ ...options, baseURL, version: () => 7 }, requests)
  for (const [i, c] of made.entries()) {
    const r = requests.find((x) => x.task === c.task && x.sample === c.sample)!
    assert.equal(c, {
      ...{ task: r.task, sample: r.sample, ids: yes, logProbs: yes.map(() => -0.5), text: 'yes' },
      texts: yes.map((id) => p.tokenizer.decode([id])),
      ...{ stop: 'end', version: 7, promptIds: r.prompt.ids.slice(0, r.prompt.promptLength) },
    })
    const { url, body } = asked[i]!
    assert.is(url, '/v1/completions')
    assert.ok(Array.isArray(body.prompt) && body.return_token_ids === true)
    assert.equal(
      [body.max_tokens, body.temperature, body.top_k, body.top_p, body.min_p, body.repetition_penalty],
      [8, 0.7, 5, 0.9, 0.1, 1.1],
    )
  }
  assert.is(new Set(asked.map((a) => a.body.seed)).size, 3)
  // an answer that the conversation has is not asked for
  assert.equal(
    asked.map((a) => String(a.body.prompt)).sort(),
    requests.map(({ prompt }) => String(prompt.ids.slice(0, prompt.promptLength))).sort(),
  )
  const again = await serving((_, res) => json(res, tokens(yes)))
  await all({ ...options, baseURL: again.baseURL }, requests)
  assert.equal(new Set(again.asked.map((a) => a.body.seed)), new Set(asked.map((a) => a.body.seed)))
})

test('seeds are of the run, the task and the sample, and whole numbers of 31 bits', async () => {
  const { baseURL, asked } = await serving((_, res) => json(res, tokens(yes)))
  const requests = ['a', 'b', 'c', 'd'].flatMap((task) => [request(task), request(task, 1)])
  for (const seed of [0, 1, 2]) await all({ ...options, baseURL, seed }, requests)
  const seeds = asked.map((a) => a.body.seed as number)
  assert.is(new Set(seeds).size, 3 * requests.length)
  assert.ok(seeds.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 31))
})

test('what is not said of sampling is sent as what changes nothing', async () => {
  const { baseURL, asked } = await serving((_, res) => json(res, tokens(yes)))
  await lastValueFrom(serverPolicy({ ...options, baseURL }).sample([request('a')], { maxNewTokens: 8 }))
  const { max_tokens, temperature, top_p, top_k, min_p, repetition_penalty } = asked[0]!.body
  assert.equal([max_tokens, temperature, top_p], [8, 1, 1])
  assert.equal([top_k, min_p, repetition_penalty], [undefined, undefined, undefined])
})

test('a prompt has the ids that the server says it read, wherever it says so', async () => {
  for (const [beside, inside] of [
    [{ prompt_token_ids: [7, 8] }, {}],
    [{}, { prompt_token_ids: [7, 8] }],
  ]) {
    const { baseURL } = await serving((_, res) => json(res, { ...tokens(yes, inside), ...beside }))
    const [c] = await all({ ...options, baseURL, transport: 'chat' }, [request('a')])
    assert.equal(c!.promptIds, [7, 8])
  }
})

test('a completion has the version that it was begun with', async () => {
  let version = 3
  const { baseURL } = await serving((_, res) => {
    version++
    json(res, tokens(yes))
  })
  const made = await all({ ...options, baseURL, concurrency: 1, version: () => version }, [
    request('a'),
    request('b'),
  ])
  assert.equal(
    made.map((c) => c.version),
    [3, 3],
  )
})

test('the key that was given goes before the environment’s', async () => {
  const keys: (string | undefined)[] = []
  const { baseURL } = await serving((_, res, req) => {
    keys.push(req.headers.authorization)
    json(res, tokens(yes))
  })
  const { OPENAI_API_KEY: before } = process.env
  process.env.OPENAI_API_KEY = 'theirs'
  try {
    await all({ ...options, baseURL, apiKey: 'mine' }, [request('a')])
    await all({ ...options, baseURL }, [request('a')])
  } finally {
    if (before === undefined) delete process.env.OPENAI_API_KEY
    else process.env.OPENAI_API_KEY = before
  }
  assert.equal(keys, ['Bearer mine', 'Bearer theirs'])
})

test('an answer that was cut off has not ended, and gets no token that ends it', async () => {
  const ids = p.tokenizer.encodeText('yes')
  const byToken = await serving((_, res) => json(res, tokens(ids, { finish_reason: 'length' })))
  const [cut] = await all({ ...options, baseURL: byToken.baseURL }, [request('a')])
  assert.equal([cut!.stop, cut!.ids, cut!.text], ['length', ids, 'yes'])
  const message = { content: 'yes' }
  const byText = await serving((_, res) => json(res, { choices: [{ finish_reason: 'length', message }] }))
  const [said] = await all({ ...options, transport: 'chat', baseURL: byText.baseURL }, [request('a')])
  assert.equal([said!.stop, said!.ids, said!.reencoded], ['length', ids, true])
})

test('a chat carries images as data URLs; a text without ids is encoded and marked', async () => {
  const { baseURL, asked } = await serving((_, res) =>
    json(res, { choices: [{ finish_reason: 'stop', message: { content: 'yes' } }] }),
  )
  const [c] = await all({ ...options, baseURL, transport: 'chat' }, [request('a', 0, 1)])
  const [message] = asked[0]!.body.messages as {
    content: { type: string; text?: string; image_url?: { url: string } }[]
  }[]
  assert.equal(
    message!.content.map((part) => part.type),
    ['image_url', 'text'],
  )
  assert.match(message!.content[0]!.image_url!.url, /^data:image\/png;base64,iVBOR/)
  // the newline between an image and the question is the prompt's
  assert.is(message!.content[1]!.text, '\nquestion a')
  assert.is(c!.reencoded, true)
  assert.equal([c!.ids, c!.text, c!.stop], [yes, 'yes', 'end'])
  // its log-probabilities are of the server's tokens, which need not be those of the text
  const other = await serving((_, res) =>
    json(res, {
      choices: [
        {
          ...{ finish_reason: 'stop', message: { content: 'yes' } },
          logprobs: { content: Array(9).fill({ logprob: -1 }) },
        },
      ],
    }),
  )
  const [e] = await all({ ...options, baseURL: other.baseURL, transport: 'chat' }, [request('a')])
  assert.equal(
    e!.logProbs,
    yes.map(() => Number.NaN),
  )
  // ids that the server gives are taken as they are, even where the text would be encoded otherwise
  const exact = await serving((_, res) => {
    const ids = [...p.tokenizer.encodeText('ye'), ...p.tokenizer.encodeText('s'), p.end]
    json(res, {
      choices: [
        {
          ...{ finish_reason: 'stop', message: { content: 'yes' }, token_ids: ids },
          logprobs: { content: ids.map(() => ({ logprob: -1 })) },
        },
      ],
    })
  })
  const [d] = await all({ ...options, baseURL: exact.baseURL, transport: 'chat' }, [request('a')])
  assert.not(d!.reencoded)
  assert.is.not(d!.ids.length, yes.length)
})

/** An image of one shade. */
const shade = (n: number, width = 112, height = 112): RgbImage => ({
  ...{ width, height, channels: 3 },
  data: new Uint8Array(width * height * 3).fill(n),
})
/** What a server is sent of a prompt as a chat. */
const sent = async (prompt: Conversation, by = p): Promise<Record<string, unknown>> => {
  const { baseURL, asked } = await serving((_, res) =>
    json(res, { choices: [{ finish_reason: 'stop', message: { content: 'yes' } }] }),
  )
  await all({ ...options, processor: by, baseURL, transport: 'chat' }, [{ task: 'a', sample: 0, prompt }])
  return asked[0]!.body
}

test('a chat has the prompt’s turns, each image and frame where its tokens stand', async () => {
  const [a, b, c] = [shade(1), shade(2), shade(3)]
  const urls = new Map(
    await Promise.all([a, b, c].map(async (i) => [await pngDataUrl(i), i.data[0]!] as const)),
  )
  const units = async (...of: readonly PromptUnit[]) => {
    const { messages } = await sent(unitConversation(p, 'a', of, { answer: 'b' }, { system: 'be brief' }))
    const [system, user, ...others] = messages as readonly { role: string; content: unknown }[]
    assert.equal([system, user!.role, others.length], [{ role: 'system', content: 'be brief' }, 'user', 0])
    return typeof user!.content === 'string'
      ? user!.content
      : (user!.content as { text?: string; image_url?: { url: string } }[])
          .map(({ text, image_url: i }) => text ?? `*${urls.get(i!.url)}`)
          .join('|')
  }
  assert.is(await units(said('what is <img> or <|im_end|>?')), 'what is <img> or <|im_end|>?')
  assert.is(await units(said('a '), shown(b), said(' or '), shown(a), said('?')), 'a |*2| or |*1|?')
  assert.is(await units(shown(c), shown(a)), '*3|*1')
  assert.is(await units(...numbered([a, b]), said('which?')), 'Image-1: |*1|\nImage-2: |*2|\nwhich?')
  assert.is(
    await units(said('see '), played([c, a]), said('when?')),
    'see Frame-1: |*3|\nFrame-2: |*1|\nwhen?',
  )
})

test('a chat shows an image that is read in tiles whole, and says whether the prompt thinks', async () => {
  const tiled = processor(nanoTokenizer(), { image: { ...nanoModel.image, tiling: { most: 4 } } })
  const wide = unitConversation(tiled, 'a', [said('a '), shown(shade(9, 300, 100)), said('b')], {
    answer: '',
  })
  assert.is(wide.images.length, 4)
  const { messages, chat_template_kwargs: none } = await sent(wide, tiled)
  const [{ content }] = messages as [{ content: readonly { type: string }[] }]
  assert.equal(
    content.map(({ type }) => type),
    ['text', 'image_url', 'text'],
  )
  assert.is(none, undefined)
  const thinking = processor(nanoTokenizer(), { thought: {} })
  const begun = async (...more: readonly number[]) => {
    const { ids, ...plain } = conversation(thinking, { id: 'a', request: 'b', answer: '' })
    const prompt = [...ids.slice(0, plain.promptLength), ...more]
    return (await sent({ ...plain, ids: prompt, promptLength: prompt.length }, thinking)).chat_template_kwargs
  }
  const { open, close } = thinking.thought!
  assert.is(await begun(), undefined)
  assert.equal(await begun(open), { enable_thinking: true })
  assert.equal(await begun(open, ...thinking.tokenizer.encodeText('\n\n'), close), { enable_thinking: false })
})

test('a prompt that messages cannot say is refused before anything is sent', async () => {
  const { baseURL, asked } = await serving((_, res) => json(res, tokens(yes)))
  const whole = request('a', 0, 1)
  const { prompt } = whole
  const refused = async (other: Partial<Conversation>) => {
    const of = { ...whole, prompt: { ...prompt, ...other } }
    const e = await errorOf({ ...options, baseURL, transport: 'chat' }, of)
    assert.is(e.tag, 'BadRequest')
    return e.message
  }
  const text = p.tokenizer.encodeText
  const open = [p.start, ...text('assistant\n')]
  const asks = (...ids: readonly number[]): Partial<Conversation> => ({
    ids,
    promptLength: ids.length,
    images: [],
  })
  assert.match(await refused({ images: [] }), /the tokens of 1 images, and 0 images/)
  assert.match(await refused({ images: [...prompt.images, ...prompt.images] }), /of 1 images, and 2 images/)
  assert.match(
    await refused(asks(...text('what?'))),
    /not laid out in turns from <\|im_start\|> to <\|im_end\|>/,
  )
  assert.match(await refused(asks(p.start, ...text('user\nwhat?'), p.end)), /not laid out in turns/)
  assert.match(await refused(asks(p.start, ...text('user\nwhat?'))), /not laid out in turns/)
  assert.match(
    await refused(asks(p.start, ...text('user\nwhat?'), p.end, ...text('so'), ...open)),
    /not laid out/,
  )
  assert.match(
    await refused(asks(p.start, ...text('user\nwhat?'), p.end, ...open, ...text('It is'))),
    /begins the answer with "It is"/,
  )
  assert.is(asked.length, 0)
})

test('what passes is tried again: 429 as late as it asks, 500, a cut connection, a time-out', async () => {
  const waits: number[] = []
  let last = 0
  const faults: Handler[] = [
    (_, res) => json(res, { error: { message: 'slow down' } }, 429, { 'retry-after': '1' }),
    (_, res) => json(res, { error: { message: 'oops' } }, 500),
    (_, res) => json(res, tokens(yes)),
  ]
  let n = 0
  const { baseURL } = await serving((body, res, req) => {
    const now = performance.now()
    if (n > 0) waits.push(now - last)
    last = now
    faults[n++]!(body, res, req)
  })
  assert.equal((await all({ ...options, baseURL }, [request('a')]))[0]!.ids, yes)
  assert.ok(waits[0]! > 900, `waited ${waits[0]} ms for a Retry-After of a second`)

  let m = 0
  const cut = await serving((_, res) => (m++ === 0 ? res.destroy() : json(res, tokens(yes))))
  assert.equal((await all({ ...options, baseURL: cut.baseURL }, [request('a')]))[0]!.ids, yes)

  let k = 0
  let first: Parameters<Handler>[1] | undefined
  const late = await serving((_, res) => {
    if (k++ === 0) first = res
    else {
      json(first!, tokens([1, 2, 3]))
      json(res, tokens(yes))
    }
  })
  // the answer that comes after its deadline is nobody's
  const made = await all({ ...options, baseURL: late.baseURL, timeoutMs: 1000 }, [request('a')])
  assert.equal(
    made.map((c) => c.ids),
    [yes],
  )
})

test('what stays is an error that names the task: silence, refusal, no JSON, no protocol, too long, no ids', async () => {
  const dead = await serving((_, res) =>
    json(res, { error: { message: 'down' } }, 503, { 'retry-after-ms': '1' }),
  )
  assert.match(
    (await errorOf({ ...options, baseURL: dead.baseURL, retries: 1 }, request('a'))).message,
    /task a, sample 0: no answer after 2 attempts: .*down/,
  )
  assert.is(dead.asked.length, 2)

  const refuses = await serving((_, res) => json(res, { error: { message: 'no such model m' } }, 404))
  const refused = await errorOf({ ...options, baseURL: refuses.baseURL }, request('a'))
  assert.is(refused.tag, 'BadRequest')
  assert.match(refused.message, /the server refuses it: .*no such model m/)
  assert.is(refuses.asked.length, 1)

  const busy = await serving((_, res) => json(res, { error: { message: 'later' } }, 429))
  const put = await errorOf({ ...options, baseURL: busy.baseURL, retries: 0 }, request('a'))
  assert.equal([put.tag, /no answer after 1 attempts: .*later/.test(put.message)], ['Failed', true])

  for (const [handler, message] of [
    [
      (_, res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": ['),
      /is no JSON/,
    ],
    [(_, res) => json(res, { answers: [] }), /none that the protocol has: .*choices/],
    [(_, res) => json(res, { choices: [] }), /gave no choice/],
    [(_, res) => json(res, tokens(Array(9).fill(1))), /gave 9 tokens, and 8 were asked for at most/],
    [(_, res) => json(res, tokens(yes, { token_ids: null })), /gave no token ids back/],
    [(_, res) => json(res, tokens(yes, { logprobs: null })), /gave no log-probabilities/],
    [
      (_, res) => json(res, tokens(yes, { logprobs: { token_logprobs: [-1] } })),
      /gave 1 log-probabilities for/,
    ],
  ] as readonly (readonly [Handler, RegExp])[]) {
    const { baseURL } = await serving(handler)
    assert.match((await errorOf({ ...options, baseURL, retries: 0 }, request('a'))).message, message)
  }
  assert.match(
    (await errorOf({ ...options, baseURL: dead.baseURL }, request('a', 0, 1))).message,
    /token ids carry none/,
  )
})

test('so many at once and no more; unsubscribing cuts what is under way', async () => {
  let [most, cut] = [0, 0]
  const waiting: Parameters<Handler>[1][] = []
  const { baseURL } = await serving((_, res) => {
    most = Math.max(most, waiting.push(res))
    // a fourth would come meanwhile
    if (waiting.length === 3)
      setTimeout(() => {
        for (const each of waiting.splice(0)) json(each, tokens(yes))
      }, 30)
  })
  const requests = Array.from({ length: 9 }, (_, i) => request(`t${i}`))
  assert.is((await all({ ...options, baseURL, concurrency: 3 }, requests)).length, 9)
  assert.is(most, 3)
  // the first is answered at once, the others never
  const hanging = await serving((_, res) => {
    if (hanging.asked.length === 3) json(res, tokens(yes))
    res.on('close', () => {
      if (!res.writableEnded) cut++
    })
  })
  // it is not their time limit that cuts them
  const some = serverPolicy({ ...options, baseURL: hanging.baseURL, concurrency: 3, timeoutMs: 600_000 })
  await firstValueFrom(some.sample(requests, sampling))
  await until(() => cut >= 2)
  assert.is(cut, 2)
  assert.is(hanging.asked.length, 3)
})

test('settings are refused where they are given', () => {
  for (const [more, message] of [
    [{ baseURL: 'localhost' }, /baseURL: it is 'localhost'/],
    [{ model: '' }, /model: it is empty/],
    [{ transport: 'grpc' }, /transport: it is 'grpc'/],
    [{ concurrency: 0 }, /concurrency: it is 0/],
    [{ timeoutMs: Number.NaN }, /timeoutMs: it is NaN/],
    [{ baseUrl: 'http://y' }, /baseUrl.*baseURL/s],
  ] as const)
    assert.throws(() => serverPolicy({ ...options, baseURL: 'http://x', ...more } as never), message)
})

test.run()
