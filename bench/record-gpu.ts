/**
 * Puts what `scripts/gpu-check` brought back from a machine with a GPU on top of what is kept in RESULTS.md.
 *
 *     node --import tsx bench/record-gpu.ts gpu-check.json [more.json …]
 *
 * Several files are of one machine and one day, and become one section.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { AcceleratorResult } from './accelerator-result.ts'
import { showAccelerator } from './accelerator-result.ts'

interface Part {
  readonly name: string
  readonly code: number | string
  readonly seconds: number
  readonly told: string
}

interface Check {
  readonly machine: Readonly<Record<string, string>>
  readonly parts: readonly Part[]
  readonly measured: { readonly steps?: AcceleratorResult }
}

const checks = await Promise.all(
  process.argv.slice(2).map(async (file) => JSON.parse(await readFile(file, 'utf8')) as Check),
)
const [first] = checks
if (first === undefined) throw new Error('name the files that the check wrote, gpu-check.json')

/** What one part said, under its name and how it ended. */
const told = (p: Part): string =>
  `${p.name}, ${p.code === 0 ? '' : `ended with ${p.code}, `}${p.seconds.toFixed(0)} s:\n\n\`\`\`text\n${p.told.trim()}\n\`\`\``

const kept = /^(generation|recipe|webgpu)/
const { gpu, versions, node, at } = first.machine
const text = [
  `## ${at!.slice(0, 10)}, on a GPU: ${gpu}`,
  `\`npm run gpu-check\` here, \`bash .gpu/run\` there. Node ${node}; ${versions!.replace(/;$/, '.')} Card, its driver and its memory stand above. Each line is a process of its own; one computes at a time. The same weights, batches and AdamW; the difference of losses is the largest of the first six steps, relative to the first line of a case. "In a row" is without waiting for each step's loss, inputs are copied to the device each step from Node, and lie there before in PyTorch. Peak is what the library's allocator had in use, held what the driver says. "First step" is from the model as a value; "again" is a second process, which finds the kept program. PyTorch: \`F.scaled_dot_product_attention\`, fused AdamW, autocast in bfloat16.`,
  ...checks.flatMap((c) => (c.measured.steps === undefined ? [] : [showAccelerator(c.measured.steps)])),
  ...checks.flatMap((c) => c.parts.filter((p) => kept.test(p.name) && p.code === 0).map(told)),
].join('\n\n')

const file = new URL('RESULTS.md', import.meta.url)
const mark = '<!-- newest first -->\n'
const [head, rest] = (await readFile(file, 'utf8')).split(mark)
if (head === undefined || rest === undefined) throw new Error(`RESULTS.md has no line '${mark.trim()}'`)
await writeFile(file, `${head}${mark}\n${text}\n${rest}`)
