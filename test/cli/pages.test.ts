/** The commands of pages of docs, run in their order as a reader runs them, and the Python that reads what they write. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandAt } from '../support/in-process.ts'
import { fromPython } from '../support/python.ts'

const test = suite('pages')

/** The blocks of a page in one language. */
const blocks = (page: string, language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((m) => m[1]!)

/** A command in this process: what one has loaded serves the next. */
const ran = (words: readonly string[], cwd: string) => {
  // which engine is faster here is not measured for a page
  const engine = words[0] === 'run' || words[0] === 'chat' ? ['--engine', 'onnx'] : []
  return commandAt(cwd)([...words, ...engine])
}

/** A command that goes on beside what follows it, from the first line that it prints. */
const begun = (words: readonly string[], cwd: string) =>
  new Promise<ChildProcess>((done, fail) => {
    const child = spawn(process.execPath, [resolve('bin/sailwright.js'), ...words, '--engine', 'onnx'], {
      cwd,
    })
    let said = ''
    child.stderr.on('data', (d) => {
      said += d
    })
    child.stdout.once('data', () => done(child))
    child.once('close', () => fail(new Error(said)))
  })

/** Those that are whole: each command finds what it needs in what the ones before it left. */
const pages = ['resuming-forking-exporting.md', 'chat-and-serve.md']

for (const file of pages)
  test(`docs/${file}`, async () => {
    const page = readFileSync(join('docs', file), 'utf8')
    const folder = mkdtempSync(join(tmpdir(), 'sailwright-page-'))
    const beside: ChildProcess[] = []
    try {
      for (const line of blocks(page, 'sh').join('').trim().split('\n')) {
        const [npx, program, ...words] = line.split(' ')
        assert.is(`${npx} ${program}`, 'npx sailwright', line)
        if (words.at(-1) === '&') {
          beside.push(await begun(words.slice(0, -1), folder))
          continue
        }
        const { code, out, err } = await ran(words, folder)
        assert.is(code, 0, `${line}\n${out}${err}`)
      }
      for (const [i, code] of blocks(page, 'js').entries()) {
        if (i === 0) {
          mkdirSync(join(folder, 'node_modules'))
          symlinkSync(resolve('.'), join(folder, 'node_modules/sailwright'))
          symlinkSync(resolve('node_modules/openai'), join(folder, 'node_modules/openai'))
        }
        writeFileSync(join(folder, `${i}.mjs`), code)
        const error = await new Promise((done) => {
          execFile(process.execPath, [`${i}.mjs`], { cwd: folder }, (e, _, err) =>
            done(e === null ? '' : err),
          )
        })
        assert.is(error, '')
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
      for (const child of beside) child.kill('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    }
  })

test.run()
