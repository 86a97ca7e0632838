import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { conversation, textConversation } from '../src/data/collate.ts'
import { steps } from '../src/data/families/arithmetic.ts'
import { describeAt, render, sampleAt, taskOf } from '../src/data/mixture.ts'
import { patchClasses, shapeColours, shapeKinds } from '../src/data/patches.ts'
import { families, type Scene } from '../src/data/sample.ts'
import { captionRequest, gridOf, textAt } from '../src/data/text.ts'
import { assetPath, maxSampleLength, maxTextLength, nanoTokenizer, promptOf } from '../src/data/tokens.ts'
import { expandImages, renderChat } from '../src/models/chat-template.ts'

const tokenizer = nanoTokenizer()
const even = { read: 1, count: 1, chart: 1, arithmetic: 1 }

test('tokenizer: any text comes back as it was', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.string())
  fc.assert(
    fc.property(text, (s) => {
      const clean = Buffer.from(s, 'utf8').toString('utf8')
      return tokenizer.decode(tokenizer.encode(clean)) === clean
    }),
    { numRuns: 300 },
  )
})

test('tokenizer: digits, capitals and signs are one token each, wherever they stand', () => {
  for (const c of '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-=?,:.') {
    assert.is(tokenizer.encode(c).length, 1, c)
    assert.is(tokenizer.encode(c + c + c).length, 3, c)
  }
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9A-Z]{1,12}$/), (s) => tokenizer.encode(s).length === s.length),
  )
})

test('tokenizer: special tokens are one id each, and are left out on request', () => {
  const specials = [
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<img>',
    '</img>',
    '<IMG_CONTEXT>',
    '<think>',
    '</think>',
  ]
  assert.equal(
    specials.map((s) => tokenizer.encode(s)),
    specials.map((s) => [tokenizer.id(s)]),
  )
  assert.is(new Set(specials.map((s) => tokenizer.id(s))).size, specials.length)
  const ids = tokenizer.encode('<|im_start|>K7QM<|im_end|>')
  assert.is(tokenizer.decode(ids, { skipSpecial: true }), 'K7QM')
  assert.throws(() => tokenizer.id('<nothing>'), /no token '<nothing>'/)
  assert.ok(tokenizer.size >= 384 && tokenizer.size <= 512)
})

test('tokenizer: every word of the tasks is one token', () => {
  const words = new Set<string>()
  for (let i = 0; i < 400; i++) {
    const d = describeAt({ seed: 'words', split: 'train', weights: even, levels: [1, 3] }, i)
    for (const text of [d.caption, d.question, d.answer, captionRequest])
      for (const [word] of text.matchAll(/ ?\b[a-z]+/g)) words.add(word)
  }
  assert.ok(words.size > 50)
  for (const word of words) assert.is(tokenizer.encode(word).length, 1, `'${word}'`)
})

test('chat template: the file’s Jinja text and promptOf write the same prompt', () => {
  const config = JSON.parse(readFileSync(assetPath('nano/tokenizer_config.json'), 'utf8'))
  const content = [{ type: 'image' }, { type: 'text', text: 'What does it say?' }] as const
  const chat = renderChat(config.chat_template, [{ role: 'user', content }], { addGenerationPrompt: true })
  assert.ok(E.isRight(chat))
  assert.equal(expandImages(chat.right.text, [1], 16), E.right(promptOf('What does it say?', 1)))
  const whole = renderChat(config.chat_template, [
    { role: 'user', content: 'Q' },
    { role: 'assistant', content: 'A' },
  ])
  assert.ok(E.isRight(whole))
  assert.is(whole.right.text, '<|im_start|>user\nQ<|im_end|><|im_start|>assistant\nA<|im_end|>')
  assert.equal(
    whole.right.assistant.map(([from, to]) => whole.right.text.slice(from, to)),
    ['A<|im_end|>'],
  )
})

test('conversations: the layout, and what is learnt', () => {
  const s = sampleAt({ seed: 1, split: 'train', weights: { read: 1 }, levels: [3, 3] }, 0)
  const c = conversation(s, 'answer')
  assert.is(
    tokenizer.decode(c.ids),
    `<|im_start|>user\n<img>${'<IMG_CONTEXT>'.repeat(16)}</img>\n${s.question}<|im_end|><|im_start|>assistant\n${s.answer}<|im_end|>`,
  )
  assert.is(tokenizer.decode(c.ids.filter((_, t) => c.learnt[t])), `${s.answer}<|im_end|>`)
  assert.is(c.learnt.indexOf(true), c.promptLength)
  const described = conversation(s, 'caption')
  assert.is(tokenizer.decode(described.ids.slice(described.promptLength)), `${s.caption}<|im_end|>`)
  assert.ok(tokenizer.decode(described.ids).includes(captionRequest))
})

const allShapes: Scene = {
  family: 'count',
  ground: [255, 255, 255],
  asked: { kind: 'triangle', colour: 'green' },
  shapes: shapeColours.flatMap((colour, row) =>
    shapeKinds.map((kind, column) => ({
      ...{ kind, colour, rgb: [0, 0, 0] as const, size: 14 },
      x: 14 + 28 * column,
      y: 14 + 28 * row,
    })),
  ),
}

test('conversations: the longest ones fit', () => {
  let [samples, texts] = [0, 0]
  for (const family of families)
    for (let i = 0; i < 120; i++) {
      const s = render(
        describeAt({ seed: 'long', split: 'train', weights: { [family]: 1 }, levels: [3, 3] }, i),
      )
      for (const kind of ['caption', 'answer'] as const)
        samples = Math.max(samples, conversation(s, kind).ids.length)
      const prompt = `<img>${gridOf(s.scene)}</img>\n${captionRequest}`
      texts = Math.max(texts, textConversation(s.id, { prompt, answer: s.caption }).ids.length)
    }
  // nine shapes that are all different have the longest caption there can be
  const caption = taskOf(allShapes).caption(allShapes)
  const prompt = `<img>${gridOf(allShapes)}</img>\n${captionRequest}`
  texts = Math.max(texts, textConversation('all', { prompt, answer: caption }).ids.length)
  samples = Math.max(samples, tokenizer.encode(`${promptOf(captionRequest, 1)}${caption}<|im_end|>`).length)
  assert.ok(samples <= maxSampleLength && samples > maxSampleLength - 20, `longest sample ${samples}`)
  assert.ok(texts <= maxTextLength && texts > maxTextLength - 20, `longest text ${texts}`)
})

test('texts: pure in (seed, i), scenes in words agree with the answers', () => {
  let [counts, sums, charts] = [0, 0, 0]
  for (let i = 0; i < 600; i++) {
    const { prompt, answer } = textAt('words', i)
    assert.equal(textAt('words', i), { prompt, answer })
    const asked = /How many (red |green |blue )?(circle|square|triangle|shape)s are there/.exec(prompt)
    if (asked !== null) {
      const [, colour = '(red|green|blue) ', kind] = asked
      const shown = prompt.slice(0, prompt.indexOf('</img>'))
      const wanted = new RegExp(` ${colour}${kind === 'shape' ? '(circle|square|triangle)' : kind}`, 'g')
      assert.is(String([...shown.matchAll(wanted)].length), answer.split(', so ').at(-1), prompt)
      counts++
    }
    const alone = /^(\d\d)([+-])(\d\d)$/.exec(prompt)
    if (alone !== null) {
      assert.is(answer, steps(Number(alone[1]), alone[2] as '+' | '-', Number(alone[3])).text)
      sums++
    }
    const bar = /value of bar (\w)\?$/.exec(prompt)
    if (bar !== null) {
      assert.ok(
        new RegExp(` ${bar[1]}=${answer.split(', so ').at(-1)}[ \n<]`).test(prompt),
        `${prompt} → ${answer}`,
      )
      charts++
    }
    if (prompt.startsWith('<img>'))
      assert.is(prompt.slice(5, prompt.indexOf('</img>')).split('\n').length, 4, prompt)
  }
  assert.ok(counts > 20 && sums > 150 && charts > 15, `${counts} ${sums} ${charts}`)
})

test('classes: 55 for what covers a patch, names unlike each other', () => {
  assert.is(patchClasses.length, 55)
  assert.is(new Set(patchClasses).size, 55)
  assert.is(patchClasses[0], 'background')
})

test.run()
