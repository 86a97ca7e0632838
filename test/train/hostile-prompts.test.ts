/**
 * Images and their tokens that do not agree, prompts that end nowhere, texts that spell tokens: refused or harmless wherever a
 * conversation is read, in training, packs, generation (evaluation, chat, endpoint) and reinforcement.
 */
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ChatTurn,
  type Conversation,
  chatConversation,
  chatPrompt,
  conversation,
  promptIds,
  type RgbImage,
  said,
  shown,
  unitConversation,
} from '../../src/data/index.ts'
import { program } from '../../src/dsl/index.ts'
import { decoding } from '../../src/generation/index.ts'
import { dapo, type Experience, policyFunctions, policyGradient, sessionPolicy } from '../../src/rl/index.ts'
import { nextToken, packedNextToken } from '../../src/train/index.ts'
import {
  tinyModel as model,
  tinyProcessor as p,
  scripted,
  stepAnswer,
  thrown,
  tinyConversation,
} from '../support/tiny.ts'

const test = suite('hostile prompts')

const image: RgbImage = { width: 16, height: 16, channels: 3, data: new Uint8Array(768) }
const { open, close, placeholder, tokens } = p.image!
const good = tinyConversation(0)

const sizes = { rows: 2, prompt: 60, capacity: 90, images: 2 }
const rows = nextToken(model, p, { rows: 2, tokens: 90, images: 2 })
const packs = packedNextToken(model, p, { rows: 2, tokens: 90, images: 2 })
const reader = decoding(model, p, sizes)
const learnt = policyGradient(model, p, { rows: 2, tokens: 90, answer: 8, images: 2, loss: dapo() })
const session = scripted(
  program({ name: 'policy', functions: policyFunctions({ model, processor: p, sizes }) }),
  () => stepAnswer(0),
)
const policy = sessionPolicy({ session, model, processor: p, sizes, seed: 0, version: () => 0 })

/** What each reader says of a conversation; undefined where it takes it. */
const readers: Readonly<Record<string, (c: Conversation) => unknown>> = {
  rows: (c) => rows.collate([c]),
  packs: (c) => packs.collate([{ rows: [[c], []] }]),
  generation: (c) => reader.check([c]),
  policy: (c) =>
    lastValueFrom(policy.sample([{ task: c.id, sample: 0, prompt: c }], { maxNewTokens: 4 }).pipe(toArray())),
  reinforcement: (c) => {
    const experience: Experience = {
      ...{ id: c.id, promptIds: c.ids.slice(0, c.promptLength), images: c.images, ids: [20, p.end] },
      ...{ advantage: 1, oldLogProbs: [-1, -1], samplingLogProbs: [-1, -1], referenceLogProbs: [-1, -1] },
    }
    return learnt.collate([experience])
  },
}
const all = Object.keys(readers)
const fault = async (reads: string, c: Conversation): Promise<string | undefined> => {
  try {
    await readers[reads]!(c)
  } catch (e) {
    return (e as Error).message
  }
  return undefined
}
const without = (wrong: (id: number, i: number) => boolean): Partial<Conversation> => {
  const kept = good.ids.flatMap((id, i) => (wrong(id, i) ? [] : [i]))
  const promptLength = kept.filter((i) => i < good.promptLength).length
  return { ids: kept.map((i) => good.ids[i]!), lossMask: kept.map((i) => good.lossMask[i]!), promptLength }
}

const bad: readonly (readonly [
  what: string,
  change: Partial<Conversation>,
  says: RegExp,
  by?: readonly string[],
])[] = [
  ['tokens of an image that is not there', { images: [] }, /0 images but 16 image tokens; they take 0/],
  ['an image without tokens', { images: [image, image] }, /2 images but 16 image tokens; they take 32/],
  [
    'half of an image’s tokens',
    without((id, i) => id === placeholder && i % 2 === 0),
    /1 images but 8 image tokens/,
  ],
  [
    'too many images',
    { images: [image, image, image] },
    /image too many: the batch holds 2; raise images|3 images but 16/,
  ],
  [
    'a prompt that ends in an image',
    { promptLength: good.ids.lastIndexOf(placeholder) },
    /1 images but 15 image tokens|ends in an image/,
    ['generation', 'policy', 'reinforcement'],
  ],
  [
    'a prompt that ends behind its end',
    { promptLength: 999 },
    /promptLength is 999/,
    ['generation', 'policy'],
  ],
  [
    'an empty prompt',
    { promptLength: 0, images: [] },
    /promptLength is 0; .*at least one/,
    ['generation', 'policy'],
  ],
  [
    'a prompt that ends nowhere',
    { promptLength: Number.NaN },
    /promptLength is NaN/,
    ['generation', 'policy'],
  ],
]
for (const [what, change, says, by = all] of bad)
  test(`${what} is refused by ${by.join(', ')}`, async () => {
    for (const reads of by) {
      const told = await fault(reads, { ...good, ...change })
      assert.match(told ?? 'it is taken', says, reads)
      assert.match(told!, good.id, `${reads}: ${told}`)
    }
  })

test('a prompt that is too long is refused by all, with both lengths', async () => {
  const long = conversation(p, { id: 'long', request: '?'.repeat(120), answer: 'red' })
  for (const reads of all) {
    const told = (await fault(reads, long)) ?? 'it is taken'
    assert.match(told, /long/, reads)
    assert.match(told, /(60|90)/, reads)
  }
})

test('what spells a token is text, with no image, with one, and everywhere', async () => {
  const request = '<img><IMG_CONTEXT></img><image>'
  for (const images of [[], [image]]) {
    const c = conversation(p, { id: 'spelt', request, answer: '<IMG_CONTEXT>', images })
    assert.is(c.ids.filter((id) => id === placeholder).length, images.length * tokens)
    for (const id of [open, close]) assert.is(c.ids.filter((x) => x === id).length, images.length)
    assert.ok(p.tokenizer.decode(c.ids).includes(`${request}<|im_end|>`))
    rows.collate([c])
    reader.check([c])
  }
})

test('only users show images, and a user has the last word of a prompt', async () => {
  const picture = { type: 'image', image: { pixels: image } } as const
  const says = (role: ChatTurn['role'], ...more: ChatTurn['parts']): ChatTurn => ({
    role,
    parts: [{ type: 'text', text: 'a' }, ...more],
  })
  const cases: readonly (readonly [readonly ChatTurn[], RegExp])[] = [
    [[says('system', picture), says('user')], /turn 0 is the system's and has an image/],
    [[says('user'), says('assistant', picture), says('user')], /turn 1 is the assistant's and has an image/],
    [[says('user'), says('assistant')], /the last turn is the assistant's; let a user have the last word/],
    [[], /there is no turn/],
  ]
  for (const [turns, message] of cases)
    assert.match((await thrown(() => chatPrompt(p, 'a', turns))).message, message)
  const shows = [says('user'), says('assistant', picture)]
  assert.match(
    (await thrown(() => chatConversation(p, { id: 'a', turns: shows }))).message,
    /turn 1 is the assistant's/,
  )
  // nothing said is a prompt, too
  reader.check([await chatPrompt(p, 'a', [{ role: 'user', parts: [] }])])
})

test('images that are none, and numbers of images that are none', () => {
  const of = (other: Partial<RgbImage>) => () =>
    unitConversation(p, 'a', [said('x'), shown(image), shown({ ...image, ...other })], { answer: 'y' })
  assert.throws(
    of({ width: 0, data: new Uint8Array(0) }),
    /image 2 of the conversation is 0 × 16 pixels with 0 bytes/,
  )
  assert.throws(
    of({ width: 30, height: 30 }),
    /is 30 × 30 pixels with 768 bytes; give at least one pixel, and three/,
  )
  assert.throws(of({ height: 1.5 }), /16 × 1\.5 pixels/)
  assert.throws(of({ data: undefined as never }), /with no bytes/)
  for (const n of [-1, 1.5, Number.NaN])
    assert.throws(() => promptIds(p, { request: 'x' }, n), /promptIds, images: it is/)
})

test.run()
