/**
 * Writes rendered samples as raw arrays that numpy reads with `np.fromfile`:
 *
 *     node --import tsx scripts/dump.ts --split bases --n 20000 --out DIR [--from 0] [--seed nano]
 *         [--weights read=1,count=1,chart=1,arithmetic=1] [--levels 1,3]
 *     node --import tsx scripts/dump.ts --dense --n 20000 --out DIR       (images full of labels, no texts)
 *     node --import tsx scripts/dump.ts --texts --n 20000 --out DIR       (texts.jsonl alone)
 *
 * `images.u8` uint8 [n, 112, 112, 3]; `patches.u8` uint8 [n, 64] (class ids of classes.json);
 * `centres.u8` uint8 [n, 64] (ids of centres.json); `values.i8` int8 [n, 64] (bar values, -1 for none); `samples.jsonl`, one sample a line with its texts and the token
 * ids of both conversations; `classes.json`; `meta.json`.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sampleConversation as conversation, textConversation } from '../src/tasks/conversations.ts'
import { denseWeights, type Labelled, labelledAt } from '../src/tasks/dense.ts'
import { type Mixture, sampleAt } from '../src/tasks/mixture.ts'
import { centreClasses, patchClasses } from '../src/tasks/patches.ts'
import type { Level, Split } from '../src/tasks/sample.ts'
import { textAt } from '../src/tasks/text.ts'

const { values: args } = parseArgs({
  options: {
    split: { type: 'string', default: 'train' },
    n: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    out: { type: 'string' },
    seed: { type: 'string', default: 'nano' },
    weights: { type: 'string', default: 'read=1,count=1,chart=1,arithmetic=1' },
    levels: { type: 'string', default: '1,3' },
    dense: { type: 'boolean', default: false },
    texts: { type: 'boolean', default: false },
  },
})
if (args.out === undefined) throw new Error('say where to write: --out DIR')
const [low, high] = args.levels.split(',').map(Number) as [Level, Level]
const mixture: Mixture = {
  seed: args.seed,
  split: args.split as Split,
  weights: Object.fromEntries(
    args.weights.split(',').map((w) => [w.split('=')[0]!, Number(w.split('=')[1])]),
  ),
  levels: [low, high],
}
const n = Number(args.n)
mkdirSync(args.out, { recursive: true })
const open = (name: string) => openSync(join(args.out!, name), 'w')
const started = performance.now()
let longest = 0
const write = (file: number, { image, patches }: Pick<Labelled, 'image' | 'patches'>): void => {
  writeSync(file, image.data)
  writeSync(labels.patches, patches.classes)
  writeSync(labels.centres, patches.centres)
  writeSync(labels.values, patches.values)
}
const labels = args.texts
  ? { patches: -1, centres: -1, values: -1 }
  : { patches: open('patches.u8'), centres: open('centres.u8'), values: open('values.i8') }
const images = args.texts ? -1 : open('images.u8')
const rows = args.dense ? -1 : open(args.texts ? 'texts.jsonl' : 'samples.jsonl')
for (let k = 0; k < n; k++) {
  const i = Number(args.from) + k
  if (args.dense) {
    write(images, labelledAt({ seed: args.seed, weights: denseWeights }, i))
  } else if (args.texts) {
    const text = textAt(args.seed, i)
    const c = textConversation(`text/${args.seed}/${i}`, text)
    longest = Math.max(longest, c.ids.length)
    writeSync(rows, `${JSON.stringify({ ...text, ids: c.ids, prompt_length: c.promptLength })}\n`)
  } else {
    const s = sampleAt(mixture, i)
    write(images, s)
    const { id, family, level, caption, question, answer, final } = s
    const spoken = conversation(s, 'caption')
    const asked = conversation(s, 'answer')
    longest = Math.max(longest, spoken.ids.length, asked.ids.length)
    const row = { id, family, level, caption, question, answer, final }
    const tokens = {
      caption_ids: spoken.ids,
      caption_prompt: spoken.promptLength,
      answer_ids: asked.ids,
      answer_prompt: asked.promptLength,
    }
    writeSync(rows, `${JSON.stringify({ ...row, ...tokens })}\n`)
  }
}
for (const file of [images, rows, ...Object.values(labels)]) if (file >= 0) closeSync(file)
writeFileSync(join(args.out, 'classes.json'), JSON.stringify(patchClasses))
writeFileSync(join(args.out, 'centres.json'), JSON.stringify(centreClasses))
writeFileSync(join(args.out, 'meta.json'), JSON.stringify({ mixture, n, from: Number(args.from), longest }))
const seconds = (performance.now() - started) / 1000
process.stdout.write(
  `${n} samples in ${seconds.toFixed(1)} s (${(n / seconds).toFixed(0)}/s); longest ${longest} tokens\n`,
)
