/**
 * One case of `lengths.ts` on an engine, in a process of its own: the built package (`npm run build`), as a user has it, so that
 * nothing that compiles sources is in the process's memory.
 *
 *     node bench/lengths-case.js <engine> <configuration as JSON> <rows> <tokens> <steps> <threads>
 *
 * Says as JSON the seconds to the first step, milliseconds of each further one (wall, processor), the most memory that the
 * process held, and what it held when the program was open and no step had run, in MiB.
 */
import { readFileSync } from 'node:fs'
import { pickEngine } from '../dist/src/engine/index.js'
import { qwen3Model } from '../dist/src/models/index.js'
import { adamWith } from '../dist/src/optim/index.js'
import { ints, learnerProgram, orThrow } from '../dist/src/train/index.js'
import { nextTokenTerms } from '../dist/src/train/next-token.js'
import { update } from '../dist/src/train/update.js'

const [name, json] = process.argv.slice(2)
const [rows, tokens, steps, threads] = process.argv.slice(4).map(Number)
const config = JSON.parse(json)
const mebibytes = (what) =>
  Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024

const { engine } = await orThrow(pickEngine(name))
const began = performance.now()
const model = qwen3Model('text', config)
const sizes = { rows, tokens, images: 0 }
const made = learnerProgram({
  ...{ name: 'step', train: Object.values(model.parts), maxGradientNorm: 1, accumulate: 1 },
  optimizer: adamWith(),
  objective: {
    ...{ name: 'step', config: {}, unit: 'nats', model, batch: 1, buckets: [sizes], collate: () => [] },
    terms: () => nextTokenTerms(model, sizes),
  },
})
const session = await orThrow(engine.load(made.program, { seed: 1, threads }))
const open = mebibytes('VmRSS')
const ids = Int32Array.from({ length: rows * tokens }, (_, i) => (i * 7919) % config.vocabSize)
const places = Int32Array.from({ length: rows * tokens }, (_, i) => i % tokens)
const batch = {
  ...{ sizes, weight: rows * (tokens - 1) },
  inputs: {
    input_ids: ints(ids, rows, tokens),
    position_ids: ints(places, rows, tokens),
    labels: ints(ids, rows, tokens),
  },
}
const step = () => update(session, [batch], 1e-4)
await step()
const first = (performance.now() - began) / 1000
const took = []
for (let i = 0; i < steps; i++) {
  const [at, busy] = [performance.now(), process.cpuUsage()]
  await step()
  const { user, system } = process.cpuUsage(busy)
  took.push([performance.now() - at, (user + system) / 1000])
}
const peak = mebibytes('VmHWM')
await orThrow(session.close())
process.stdout.write(`${JSON.stringify({ first, took, peak, open })}\n`)
