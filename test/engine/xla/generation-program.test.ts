/** What XLA makes of the loop that generates: what one token costs beside its products. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { clampProgram, fixed, optimiseProgram, program } from '../../../src/dsl/index.ts'
import { lower } from '../../../src/engine/xla/lower.ts'
import { openClient } from '../../../src/engine/xla/open-client.ts'
import { extendLoop, type Qwen3Config, qwen3Model } from '../../../src/models/index.ts'
import { orThrow } from '../../../src/train/task.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'

const dumped = mkdtempSync(join(tmpdir(), 'sailwright-hlo-'))
const plugin = await cpuPlugin()
const test = suite('xla: the program of generation')

const config: Qwen3Config = {
  ...{ vocabSize: 96, hiddenSize: 48, intermediateSize: 80, layers: 2, heads: 4, kvHeads: 2, headDim: 8 },
  ...{ ropeTheta: 1e4, epsilon: 1e-6, tied: true },
}
const sizes = { rows: 5, prompt: 8, capacity: 24 }
const variant = (filtered: boolean) => {
  const f = fixed(() => extendLoop(qwen3Model('small', config), sizes, 16, { filtered }))
  const p = clampProgram(optimiseProgram(program({ name: 'small', functions: { f } })))
  return p.functions.get('f')![0]!
}

/** The largest body of a loop in a module's text. */
const bodyOf = (text: string): string => {
  const named = new Map(
    [...text.matchAll(/^%?([\w.-]+) \(.*\) -> .* \{\n([\s\S]*?)^\}/gm)].map((m) => [m[1]!, m[2]!]),
  )
  const bodies = [...text.matchAll(/body=%?([\w.-]+)/g)].map((m) => named.get(m[1]!)!)
  return bodies.reduce((a, b) => (a.length > b.length ? a : b))
}

if (plugin !== undefined) {
  test('a token copies no cache, converts no weight, and has a product for what shares an input', async () => {
    const { client } = await orThrow(openClient({ plugin }))
    for (const platform of ['cuda', 'cpu'])
      for (const filtered of [false, true]) {
        const name = `${platform}${filtered ? 'Filtered' : ''}`
        const { text } = lower(name, variant(filtered), { precision: 'bfloat16', platform })
        const flags = { xla_dump_to: dumped, xla_dump_hlo_as_text: true }
        const executable = await client.compile(text, { flags })
        executable.close()
        const file = readdirSync(dumped).find((f) => f.endsWith(`.${name}.cpu_after_optimizations.txt`))!
        const body = bodyOf(readFileSync(join(dumped, file), 'utf8'))
        const lines = body.split('\n')
        const results = (op: string): readonly string[] =>
          lines.flatMap((l) => new RegExp(`= (\\S+) ${op}\\(`).exec(l)?.[1] ?? [])
        // a loop's own numbers may be copied
        assert.equal(
          results('copy').filter((shape) => !/^\w+\[\]/.test(shape)),
          [],
          name,
        )
        assert.not.match(body, /(f32|bf16)\[(80|160|128),48\]\S* fusion\(/, name)
        // joined projections, scores, mixture, output, joined gates, the way back; the head; two sums of a draw
        assert.is(results('dot').length, 6 * config.layers + 3, name)
      }
    await client.close()
  })
}

test.after(() => rmSync(dumped, { recursive: true, force: true }))
test.run()
