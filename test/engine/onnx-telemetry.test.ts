/** ONNX Runtime tells nobody what it runs: its telemetry leaves files behind where it is on. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loader, moduleAt } from '../support/program.ts'

const test = suite('onnx: telemetry')

/** Where a session is: in the main thread, in a thread of the engine, or in one of the user's own. */
const places = ['', ' in a thread', ' in a thread of its own'] as const

for (const place of places)
  test(`a process that ran a session${place} has left no file`, () => {
    const [, threaded, own] = places.map((p) => p === place)
    const folder = mkdtempSync(join(tmpdir(), 'sailwright-telemetry-'))
    const at = (path: string): string => JSON.stringify(moduleAt(path))
    const script = `
      const { inWorker, onnxEngine, tensorValue } = await import(${at('src/engine/index.ts')})
      const { axis, fixed, input, mul, program } = await import(${at('src/dsl/index.ts')})
      const f = fixed(() => ({ outputs: { y: mul(input('x', [axis('n', 2)]), 2) } }))
      const { right: engine } = await onnxEngine()()
      const session = (await (${threaded} ? inWorker(engine) : engine).load(program({ name: 'p', functions: { f } }))()).right
      const { y } = (await session.call('f', { x: tensorValue('float32', [2], [1, 2]) })()).right
      await session.close()()
      process.stdout.write(String(y.data))`
    const file = join(folder, 'tsx-it.mjs')
    const typed = loader.includes('tsx')
      ? `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}\nregister()\n`
      : ''
    writeFileSync(file, `${typed}${script}`)
    const begun = own
      ? `new (await import('node:worker_threads')).Worker(${JSON.stringify(file)}, { execArgv: [] })`
      : script
    // each of these would switch it off, or lead elsewhere
    const { ORT_DISABLE_TELEMETRY, CI, XDG_CACHE_HOME, XDG_DATA_HOME, ...env } = process.env
    try {
      const out = execFileSync(process.execPath, [...loader, '--input-type=module', '-e', begun], {
        env: { ...env, HOME: folder, TMPDIR: folder },
        encoding: 'utf8',
      })
      assert.is(out, '2,4')
      // what loads TypeScript has a folder there
      assert.equal(
        readdirSync(folder).filter((f) => !f.startsWith('tsx-')),
        [],
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

test.run()
