/**
 * Measures, prints the table, and puts it on top of the results that are kept in RESULTS.md.
 *
 *     node --import tsx bench/record.ts [--python PATH] [--rounds N] [--steps N] [--dry]
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { lastValueFrom, tap } from 'rxjs'
import { benchNano, markdownBench, showBench } from '../src/cli/bench/index.ts'
import { lookOf } from '../src/train/terminal.ts'

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    rounds: { type: 'string' },
    steps: { type: 'string' },
    dry: { type: 'boolean' },
  },
})
const last = await lastValueFrom(
  benchNano({
    ...(values.python === undefined ? {} : { python: values.python }),
    ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
    ...(values.steps === undefined ? {} : { steps: Number(values.steps) }),
  }).pipe(
    tap((e) => {
      if (e.type !== 'finished') process.stderr.write(`${JSON.stringify(e)}\n`)
    }),
  ),
)
if (last.type !== 'finished') throw new Error('the measurement ended without a result')
process.stdout.write(`${showBench(last.result, lookOf(process.stdout, process.env))}\n`)
if (values.dry !== true) {
  const file = new URL('RESULTS.md', import.meta.url)
  const kept = await readFile(file, 'utf8')
  const mark = '<!-- newest first -->\n'
  const [head, rest] = kept.split(mark) as [string, string]
  await writeFile(
    file,
    `${head}${mark}\n## ${last.result.startedAt.slice(0, 10)}\n\n${markdownBench(last.result)}${rest}`,
  )
}
