/**
 * The encoder of any resolution against the fixed one: examples/any-resolution.ts with each encoder and several seeds, the same
 * stages over the same images, and what of held-out square, wide and tall images is read without a mistake. A run that was
 * ended goes on in its folder.
 *
 *     npm run build
 *     node --import tsx bench/any-resolution.ts [--encoders fixed,learned,both] [--seeds N] [--scale X] [--out folder]
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'

const { values } = parseArgs({
  options: {
    ...{ encoders: { type: 'string' }, seeds: { type: 'string' } },
    ...{ scale: { type: 'string' }, out: { type: 'string' } },
  },
})
const encoders = (values.encoders ?? 'fixed,learned,both').split(',')
const [seeds, scale, out] = [
  Number(values.seeds ?? 2),
  values.scale ?? '1',
  values.out ?? 'runs/any-resolution',
]
const cwd = fileURLToPath(new URL('..', import.meta.url))

interface Told {
  readonly stages: readonly {
    readonly stage: string
    readonly families: readonly {
      readonly family: string
      readonly correct: number
      readonly total: number
    }[]
  }[]
}

const run = async (encoder: string, seed: number): Promise<Told> => {
  const words = ['bin/sailwright.js', 'run', 'examples/any-resolution.ts', '--engine', 'onnx', '--json']
  const set = ['--set', `encoder=${encoder}`, '--set', `scale=${scale}`, '--seed', String(seed)]
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...words, ...set, '--out', join(out, `${encoder}-${seed}`)],
    { cwd, maxBuffer: 1 << 26 },
  )
  return JSON.parse(stdout)
}

for (let seed = 0; seed < seeds; seed++)
  for (const encoder of encoders) {
    const started = performance.now()
    const { stages } = await run(encoder, seed)
    for (const { stage, families } of stages) {
      const shown = families.map((f) => `${f.family} ${((100 * f.correct) / f.total).toFixed(1)} %`)
      console.log([`${encoder}, seed ${seed}, ${stage}`, ...shown].join(' | '))
    }
    console.log(`${encoder}, seed ${seed}: ${((performance.now() - started) / 1000).toFixed(0)} s`)
  }
