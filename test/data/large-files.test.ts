/** Files larger than the heap that they are read with: each is read to its end, and what is held does not grow with it. */
import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { fileWriter, parquetWriteRows } from 'hyparquet-writer'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loader, moduleAt } from '../support/program.ts'

const large = suite('data: large files')
const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sailwright-large-'))
large.after(() => rmSync(folder, { recursive: true, force: true }))

const text = (i: number): string => `${i}:`.padEnd(10_000, String.fromCharCode(97 + (i % 26)))
const chat = (i: number) => ({
  messages: [
    { role: 'user', content: text(i) },
    { role: 'assistant', content: 'yes' },
  ],
})

/** Each kind of file with so many chats of 10 kB. */
const writers: Readonly<Record<string, (file: string, rows: number) => void>> = {
  jsonl: (file, rows) => {
    const out = openSync(file, 'w')
    for (let i = 0; i < rows; i++) writeSync(out, `${JSON.stringify(chat(i))}\n`)
    closeSync(out)
  },
  parquet: (file, rows) => {
    const each = function* () {
      for (let i = 0; i < rows; i++) yield chat(i)
    }
    parquetWriteRows({
      ...{ writer: fileWriter(file), rows: each(), rowGroupSize: 200, codec: 'UNCOMPRESSED' },
      ...{ columns: [{ name: 'messages' }], dictionarySize: 1 },
    })
  },
  tar: (file, rows) => {
    const out = openSync(file, 'w')
    for (let i = 0; i < rows; i++) {
      const bytes = Buffer.from(JSON.stringify(chat(i)))
      const header = Buffer.alloc(512)
      header.write(`${i}.json`, 0)
      header.write(bytes.length.toString(8).padStart(11, '0'), 124)
      header.write('        0ustar', 148)
      const sum = header.reduce((a, b) => a + b, 0)
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
      writeSync(out, Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]))
    }
    writeSync(out, Buffer.alloc(1024))
    closeSync(out)
  },
}

/** Reads every chat of a file, shuffled, in a heap of 64 MB: rows, letters, and the most memory that the process had. */
const readAll = async (
  file: string,
): Promise<readonly [rows: number, letters: number, megabytes: number]> => {
  const script = `import(${JSON.stringify(moduleAt('src/data/index.ts'))}).then(async (d) => {
    const source = d.shuffled(d.rowsOf(${JSON.stringify(file)}), { seed: 1, buffer: 100 })
    let [rows, letters] = [0, 0]
    for await (const { example } of source.open()) {
      rows++
      letters += d.chatOf(example).turns[0].parts[0].text.length
    }
    const { heap_size_limit } = require('node:v8').getHeapStatistics()
    if (heap_size_limit > 100e6) throw new Error('the heap is larger than was asked for: ' + heap_size_limit)
    process.stdout.write([rows, letters, process.resourceUsage().maxRSS / 1024].join(' '))
  })`
  const words = ['--max-old-space-size=64', '--max-semi-space-size=4', ...loader, '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: root })
  return stdout.split(' ').map(Number) as [number, number, number]
}

for (const [kind, write] of Object.entries(writers))
  large(
    `${kind}: larger than the heap, read to its end, in the memory that a tenth of it takes`,
    async () => {
      const [rows, tenth] = [16_000, 1600]
      const [whole, part] = [join(folder, `whole.${kind}`), join(folder, `part.${kind}`)]
      write(whole, rows)
      write(part, tenth)
      assert.ok(statSync(whole).size > 150e6, `${statSync(whole).size} bytes`)
      const [small, all] = [await readAll(part), await readAll(whole)]
      assert.equal(
        [small.slice(0, 2), all.slice(0, 2)],
        [
          [tenth, tenth * 10_000],
          [rows, rows * 10_000],
        ],
      )
      // 144 MB more are read; what is collected late differs by some
      assert.ok(all[2] - small[2] < 50, `${all[2]} MB, and ${small[2]} MB for a tenth`)
      rmSync(whole)
    },
  )

large.run()
