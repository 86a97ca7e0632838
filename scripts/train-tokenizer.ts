/**
 * Learns the nano tokenizer: a byte-level BPE over the captions, questions and answers of the rendered tasks, written in
 * Hugging Face's format.
 *
 *     node --import tsx scripts/train-tokenizer.ts [--n 6000] [--size 512] [--out assets/nano]
 *
 * Digits, capitals and punctuation are always tokens of their own. The same arguments give the same files.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeSample } from '../src/tasks/mixture.ts'
import { families, type Level } from '../src/tasks/sample.ts'
import { captionRequest } from '../src/tasks/text.ts'

const { values: args } = parseArgs({
  options: {
    n: { type: 'string', default: '6000' },
    size: { type: 'string', default: '512' },
    out: { type: 'string', default: 'assets/nano' },
  },
})

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
/** The words that no rendered task says, but the chat layout and the thinking stages do. */
const extra = [
  'user',
  'assistant',
  'system',
  'boxed',
  'answer',
  'think',
  'the',
  'is',
  'and',
  'not',
  'yes',
  'no',
]
const pattern = '[A-Z0-9]| ?[a-z]+| ?[^\\sA-Za-z0-9]|\\s'

/** Bytes as the printable characters that GPT-2's byte-level vocabulary writes them with. */
const byteCharacters = (): string[] => {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255)
  let next = 256
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++))
}
const letters = byteCharacters()
const spell = (word: string): string[] => [...Buffer.from(word, 'utf8')].map((b) => letters[b]!)

const counts = new Map<string, number>()
const read = (text: string, times = 1): void => {
  for (const [word] of text.matchAll(new RegExp(pattern, 'gu')))
    counts.set(word, (counts.get(word) ?? 0) + times)
}
for (let i = 0; i < Number(args.n); i++) {
  const d = describeSample(
    families[i % 4]!,
    ((Math.floor(i / 4) % 3) + 1) as Level,
    'bases',
    `tokenizer/${i}`,
  )
  for (const text of [d.caption, d.question, d.answer]) read(text)
}
read(captionRequest, 1000)
for (const word of extra) {
  read(word, 50)
  read(` ${word}`, 50)
}

const words = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([word, n]) => ({ parts: spell(word), n }))
const merges: [string, string][] = []
while (specials.length + 256 + merges.length < Number(args.size)) {
  const pairs = new Map<string, number>()
  for (const { parts, n } of words)
    for (let i = 0; i + 1 < parts.length; i++) {
      const pair = `${parts[i]} ${parts[i + 1]}`
      pairs.set(pair, (pairs.get(pair) ?? 0) + n)
    }
  const [best] = [...pairs].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  if (best === undefined) break
  const [left, right] = best[0].split(' ') as [string, string]
  merges.push([left, right])
  for (const word of words)
    for (let i = 0; i + 1 < word.parts.length; i++)
      if (word.parts[i] === left && word.parts[i + 1] === right) word.parts.splice(i, 2, left + right)
}

const vocab = [...specials, ...letters, ...merges.map(([a, b]) => a + b)]
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: specials.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
      byteLevel,
    ],
  },
  post_processor: null,
  decoder: byteLevel,
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
    merges,
  },
}
const template =
  "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\\n' -}}" +
  "{%- if message['role'] == 'assistant' -%}{%- generation -%}{{- message['content'] + '<|im_end|>' -}}" +
  "{%- endgeneration -%}{%- else -%}{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}" +
  "{%- for part in message['content'] -%}{%- if part['type'] == 'image' -%}{{- '<image>\\n' -}}" +
  "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}{%- endfor -%}{%- endif -%}" +
  "{{- '<|im_end|>' -}}{%- endif -%}{%- endfor -%}" +
  "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
const config = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  model_max_length: 512,
  add_bos_token: false,
  add_prefix_space: false,
  clean_up_tokenization_spaces: false,
  bos_token: null,
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  unk_token: null,
  additional_special_tokens: specials.slice(1, 6),
  added_tokens_decoder: Object.fromEntries(
    tokenizer.added_tokens.map(({ id, ...rest }) => [String(id), rest]),
  ),
  chat_template: template,
}

mkdirSync(args.out, { recursive: true })
writeFileSync(join(args.out, 'tokenizer.json'), `${JSON.stringify(tokenizer, null, 1)}\n`)
writeFileSync(join(args.out, 'tokenizer_config.json'), `${JSON.stringify(config, null, 1)}\n`)
const whole = words.filter(({ parts }) => parts.length === 1).length
process.stdout.write(
  `${vocab.length} tokens, ${merges.length} merges; ${whole} of ${words.length} words are one token\n`,
)
