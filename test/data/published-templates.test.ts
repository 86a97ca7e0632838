/**
 * Published chat templates against transformers: the text that `apply_chat_template` renders, its ids, and which of them
 * `return_assistant_tokens_mask` marks.
 */
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ChatTurn } from '../../src/data/index.ts'
import { chatIds, processor, textTokenizer } from '../../src/data/index.ts'
import { type Message, renderChat, tokenizer } from '../../src/formats/index.ts'
import { fixtureJson } from '../support/fixtures.ts'
import { thrown } from '../support/tiny.ts'

const published = suite('data: published chat templates')

interface Case {
  readonly template: string
  readonly chat: string
  readonly options: { readonly add_generation_prompt?: boolean; readonly enable_thinking?: boolean }
  readonly rendered: string
  readonly ids?: readonly number[]
  readonly learnt?: readonly (readonly [number, number])[]
}
const fixture: {
  readonly special: readonly string[]
  readonly templates: Readonly<Record<string, string>>
  readonly chats: Readonly<Record<string, readonly { role: ChatTurn['role']; content: string }[]>>
  readonly cases: readonly Case[]
} = fixtureJson('text/published-templates.json')

const json = fixtureJson('text/tokenizers/byte-bpe.json')
const behind = 1 + Math.max(...json.added_tokens.map(({ id }: { id: number }) => id))
const added = fixture.special.map((content, i) => ({ content, id: behind + i, special: true }))
const made = tokenizer({ ...json, added_tokens: [...json.added_tokens, ...added] })
if (E.isLeft(made)) throw made.left
const tok = made.right
const special = [...tok.special.keys()]

const variablesOf = ({ options }: Case) => ({
  ...{ bos_token: '<|endoftext|>', eos_token: '<|im_end|>' },
  ...(options.enable_thinking === undefined ? {} : { enable_thinking: options.enable_thinking }),
})

/** What closes a turn. */
const endOf = (name: string): string =>
  name.startsWith('deepseek')
    ? '<｜end▁of▁sentence｜>'
    : name.startsWith('phi')
      ? '<|end|>'
      : name === 'glm4moe'
        ? '<|endoftext|>'
        : '<|im_end|>'

const idsOf = (c: Case) => {
  const jinja = fixture.templates[c.template]!
  const template = { jinja, special, encode: tok.encode, variables: variablesOf(c) }
  const p = processor(textTokenizer(tok), { chat: { end: endOf(c.template) }, template })
  const turns = fixture.chats[c.chat]!.map(({ role, content }): ChatTurn => {
    return { role, parts: [{ type: 'text', text: content }] }
  })
  return chatIds(p, { id: c.chat, turns })
}

assert.is(fixture.cases.length, 100)
for (const name of Object.keys(fixture.templates))
  published(`${name}: the text that transformers renders`, () => {
    const cases = fixture.cases.filter((c) => c.template === name)
    assert.ok(cases.length >= 9)
    for (const c of cases) {
      const addGenerationPrompt = c.options.add_generation_prompt ?? false
      const options = { variables: variablesOf(c), addGenerationPrompt, special }
      const text = renderChat(fixture.templates[name]!, fixture.chats[c.chat] as readonly Message[], options)
      assert.is(E.isRight(text) ? text.right.text : text.left.message, c.rendered, `${name}, ${c.chat}`)
    }
  })

published('the ids of whole chats are those of apply_chat_template', () => {
  const cases = fixture.cases.filter((c) => c.ids !== undefined && c.template !== 'glm4moe')
  assert.is(cases.length, 72)
  for (const c of cases) assert.equal(idsOf(c).ids, c.ids, `${c.template}, ${c.chat}`)
})

/**
 * What trl's own forms of the templates, with generation tags, mark beyond what is learnt here: the newline behind the
 * token that closes a turn, which no model has to write any more, and the words that open the turn, which stand in the
 * prompt.
 */
const beyond: Readonly<Record<string, readonly string[]>> = {
  qwen2_5: ['\n'],
  qwen3: ['\n'],
  qwen3_instruct_2507: ['\n'],
  qwen3_vl: ['\n'],
  qwen2_5_vl: ['\n'],
  deepseekv3: ['<｜Assistant｜>'],
  deepseek_r1_distill: ['<｜Assistant｜>'],
  phi3: ['\n', '\n<|im_end|>'],
  phi3_5: ['\n', '\n<|im_end|>'],
}

published('what is learnt is what transformers’ assistant masks mark, but for openings and newlines', () => {
  const cases = fixture.cases.filter((c) => c.learnt !== undefined)
  assert.ok(cases.length >= 60)
  for (const c of cases) {
    const { ids, lossMask } = idsOf(c)
    const theirs = ids.map((_, i) => c.learnt!.some(([from, to]) => from <= i && i < to))
    const runs: string[] = []
    for (let i = 0; i < ids.length; i++) {
      assert.ok(theirs[i] || !lossMask[i], `${c.template}, ${c.chat}: token ${i} is learnt here alone`)
      if (theirs[i] === lossMask[i]) continue
      const from = i
      while (i + 1 < ids.length && theirs[i + 1] && !lossMask[i + 1]) i++
      runs.push(tok.decode(ids.slice(from, i + 1)))
    }
    for (const run of runs)
      assert.ok(beyond[c.template]!.includes(run), `${c.template}, ${c.chat}: ${JSON.stringify(run)}`)
    const answers = fixture.chats[c.chat]!.filter(({ role }) => role === 'assistant').length
    const begins = lossMask.filter((learn, i) => learn && !lossMask[i - 1]).length
    assert.is(begins, answers, 'every answer is learnt')
  }
})

published('GLM’s template closes no last answer: refused, with what to do', async () => {
  for (const c of fixture.cases.filter(({ template, ids }) => template === 'glm4moe' && ids !== undefined))
    assert.match((await thrown(() => idsOf(c))).message, /mark what is learnt by 'generation' tags/)
})

published('the words that open a turn and the token that closes it may differ from turn to turn', () => {
  const jinja = `{%- for m in messages -%}{{ '<|' + m.role + '|>' }}{{ m.content }}{{ '<|end|>' if not loop.last else '<|im_end|>' }}{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|><think>{%- endif -%}`
  const template = { jinja, special, encode: tok.encode, variables: {} }
  const p = processor(textTokenizer(tok), { template })
  const say = (role: ChatTurn['role'], text: string): ChatTurn => ({ role, parts: [{ type: 'text', text }] })
  const turns = [say('user', 'a'), say('assistant', 'b'), say('user', 'c'), say('assistant', '<think>d')]
  const { ids, lossMask } = chatIds(p, { id: 'x', turns })
  const shown = ids.map(
    (id, i) => `${lossMask[i] !== (lossMask[i - 1] ?? false) ? '|' : ''}${tok.decode([id])}`,
  )
  assert.is(
    shown.join(''),
    '<|user|>a<|end|><|assistant|>|b<|end|>|<|user|>c<|end|><|assistant|><think>|d<|im_end|>',
  )
  // the last turn ends as a generation does
  const wrong = processor(textTokenizer(tok), { chat: { end: '<|end|>' }, template })
  assert.throws(() => chatIds(wrong, { id: 'x', turns }), /does not close an answer with <\|end\|>/)
})

published.run()
