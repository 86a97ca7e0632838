/**
 * Puts a measurement on top of those that are kept in RESULTS.md.
 *
 *     npm run build
 *     node bin/sailwright.js bench --json --python PATH > result.json
 *     node --import tsx bench/record.ts < result.json
 */
import { readFile, writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type BenchResult, markdownBench } from '../src/bench/index.ts'

const result = JSON.parse(await text(process.stdin)) as BenchResult
const file = new URL('RESULTS.md', import.meta.url)
const mark = '<!-- newest first -->\n'
const [head, rest] = (await readFile(file, 'utf8')).split(mark)
if (head === undefined || rest === undefined) throw new Error(`RESULTS.md has no line '${mark.trim()}'`)
const section = `## ${result.startedAt.slice(0, 16).replace('T', ' ')} UTC\n\n${markdownBench(result)}`
await writeFile(file, `${head}${mark}\n${section}${rest}`)
