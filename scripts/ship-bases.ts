/**
 * Makes the bases that ship with the package from checkpoints of examples/pretrain-bases.ts: half precision, without the
 * probes, with a manifest of checksums and of the commands that made them.
 *
 *     node --import tsx scripts/ship-bases.ts <checkpoint folder of vision-base> <checkpoint folder of language-recall>
 *         [--seed 0] [--engine tensorflow]
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { elements } from '../src/dsl/index.ts'
import { sailVl2Parts as parts } from '../src/models/index.ts'
import type { BasesManifest } from '../src/tasks/bases.ts'
import { assetPath } from '../src/tasks/nano.ts'
import { orThrow } from '../src/train/task.ts'
import { loadWeights, saveWeights } from '../src/train/weights.ts'

const { values: args, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '0' }, engine: { type: 'string', default: 'tensorflow' } },
})
const [vision, language] = positionals
if (vision === undefined || language === undefined)
  throw new Error('two checkpoint folders are needed: vision, language')

const folder = join(assetPath('nano/tokenizer.json'), '..', 'bases')
const files: BasesManifest['files'][number][] = []
for (const [part, from] of [
  ['vision', vision],
  ['language', language],
] as const) {
  const all = await orThrow(loadWeights(join(from, 'model.safetensors')))
  const weights = new Map([...all].filter(([key]) => parts[part].has(key)))
  const file = `${part}.safetensors`
  await orThrow(saveWeights(join(folder, file), weights, { format: 'pt' }, 'F16'))
  files.push({
    file,
    sha256: createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex'),
    parameters: [...weights.values()].reduce(
      (n, v) => n + elements(v.shape.map((size) => ({ name: '', size }))),
      0,
    ),
    command: `sailwright run examples/pretrain-bases.ts --engine ${args.engine} --seed ${args.seed} --set part=${part}`,
    seed: Number(args.seed),
  })
}
writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify({ files }, null, 2)}\n`)
process.stdout.write(`${files.map((f) => `${f.file} ${f.parameters} parameters ${f.sha256}`).join('\n')}\n`)
