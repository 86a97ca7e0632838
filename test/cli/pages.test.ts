/** The commands of pages of docs, run in their order as a reader runs them, and the Python that reads what they write. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromPython } from '../support/python.ts'

const test = suite('pages')

/** The blocks of a page in one language. */
const blocks = (page: string, language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((m) => m[1]!)

const ran = (words: readonly string[], cwd: string) =>
  new Promise<{ code: number; said: string }>((done) => {
    // which engine is faster here is not measured for a page
    const engine = words[0] === 'run' ? ['--engine', 'onnx'] : []
    const all = [resolve('bin/sailwright.js'), ...words, ...engine]
    execFile(process.execPath, all, { cwd }, (e, out, err) =>
      done({ code: e === null ? 0 : Number(e.code ?? -1), said: out + err }),
    )
  })

/** Those that are whole: each command finds what it needs in what the ones before it left. */
const pages = ['resuming-forking-exporting.md']

for (const file of pages)
  test(`docs/${file}`, async () => {
    const page = readFileSync(join('docs', file), 'utf8')
    const folder = mkdtempSync(join(tmpdir(), 'sailwright-page-'))
    try {
      for (const line of blocks(page, 'sh').join('').trim().split('\n')) {
        const [program, ...words] = line.split(' ')
        assert.is(program, 'sailwright', line)
        const { code, said } = await ran(words, folder)
        assert.is(code, 0, `${line}\n${said}`)
      }
      for (const code of blocks(page, 'python')) {
        const named = [...code.matchAll(/^(?:from (\w+) import|import ([\w, ]+)$)/gm)]
        const modules = named.flatMap(([, from, list]) => from ?? list!.split(', '))
        assert.ok(modules.length > 0, code)
        const script = `import json, os\nos.chdir(${JSON.stringify(folder)})\n${code}\nprint(json.dumps('done'))`
        const got = await fromPython(modules, script)
        assert.ok(got === undefined || got === 'done')
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

test.run()
