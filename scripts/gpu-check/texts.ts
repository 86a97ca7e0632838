/**
 * Writes programs as StableHLO, as the engine compiles them for CUDA in bfloat16, and the flags that it compiles them with:
 * `<name>.mlir`, `<name>.flags.json`. It needs no GPU.
 *
 *     node --import tsx scripts/gpu-check/texts.ts folder
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { large } from '../../bench/models.ts'
import { casesOf } from '../../bench/step-cases.ts'
import { processor } from '../../src/data/index.ts'
import { clampProgram, optimiseProgram, type Program, program } from '../../src/dsl/index.ts'
import { lower } from '../../src/engine/xla/lower.ts'
import { flagsFor } from '../../src/engine/xla/session.ts'
import { decoding } from '../../src/generation/index.ts'
import { nano, type Qwen3Config, qwen3Model } from '../../src/models/index.ts'
import { nanoTokenizer } from '../../src/tasks/index.ts'

const [folder = '.'] = process.argv.slice(2)

/** The largest variant of a function. */
const write = (name: string, p: Program, f: string): void => {
  const { functions } = clampProgram(optimiseProgram(p))
  const variant = functions.get(f)!.at(-1)!
  const { text } = lower(f, variant, { precision: 'bfloat16', platform: 'cuda' })
  writeFileSync(join(folder, `${name}.mlir`), text)
  writeFileSync(join(folder, `${name}.flags.json`), JSON.stringify(flagsFor('cuda', variant)))
}

for (const c of casesOf(false).filter(({ name }) => name !== '0.6b'))
  write(`${c.name}-step`, c.program(), 'step')
const models: Readonly<Record<string, Qwen3Config>> = { nano: nano.language, '88m': large }
for (const [name, config] of Object.entries(models)) {
  const sizes = { rows: 64, prompt: 40, capacity: 104 }
  const { functions } = decoding(qwen3Model(name, config), processor(nanoTokenizer()), sizes)
  const p = program({ name, functions })
  write(`${name}-loop`, p, 'extendLoop')
  write(`${name}-prefill`, p, 'prefill')
}
