/** Pages of TensorFlow's library that its loading alone needed are out of the process, and come back where they are read. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fileMappings } from '../../src/engine/tensorflow/pages.ts'
import { presentEngines } from '../support/engines.ts'
import { loader, moduleAt } from '../support/program.ts'

const pages = suite('tensorflow: pages of its library')
const library = /\/libtensorflow[^/]*$/

pages('what was never written and cannot be is found, with the bytes that are in memory', () => {
  const mapping = (range: string, allowed: string, file: string, resident: number, copies: number): string =>
    `${range} ${allowed} 00000000 fe:00 1234                     ${file}
Size:             200000 kB
Rss:      ${resident} kB
Private_Dirty:         0 kB
Anonymous:      ${copies} kB
VmFlags: rd ex mr mw me
`
  const smaps = [
    mapping('7f0000000000-7f0000200000', 'r--p', '/a b/libtensorflow_cc.so.2', 120, 0),
    mapping('7f0000200000-7f0000300000', 'r-xp', '/a b/libtensorflow_cc.so.2', 8, 0),
    // what relocation wrote before it was closed
    mapping('7f0000300000-7f0000301000', 'r--p', '/a b/libtensorflow_cc.so.2', 4, 4),
    mapping('7f0000301000-7f0000302000', 'rw-p', '/a b/libtensorflow_cc.so.2', 4, 0),
    mapping('7f0000400000-7f0000500000', 'r--p', '/a b/libother.so', 16, 0),
    mapping('7f0000500000-7f0000600000', 'rw-p', '', 16, 16),
  ].join('')
  assert.equal(fileMappings(library, smaps), [
    { begin: 0x7f0000000000n, end: 0x7f0000200000n, resident: 120 * 1024 },
    { begin: 0x7f0000200000n, end: 0x7f0000300000n, resident: 8 * 1024 },
  ])
})

const [engine] = (await presentEngines()).filter((e) => e.name === 'tensorflow')
if (process.platform === 'linux' && engine !== undefined)
  pages(
    'a process that loaded the library holds less than a tenth of what loading reads, and computes',
    () => {
      const at = (path: string): string => JSON.stringify(moduleAt(path))
      const script = `
      const { tensorflowEngine } = await import(${at('src/engine/tensorflow/index.ts')})
      const { fileMappings, releasePages } = await import(${at('src/engine/tensorflow/pages.ts')})
      const { axis, contract, fixed, input, program } = await import(${at('src/dsl/index.ts')})
      const held = () => fileMappings(${library}).reduce((n, m) => n + m.resident, 0)
      const { right: engine } = await tensorflowEngine()()
      const loaded = held()
      const [a, b] = [axis('a', 2), axis('b', 2)]
      const x = input('x', [a, b]), y = input('y', [b])
      const p = program({ name: 'p', functions: { f: fixed(() => ({ outputs: { z: contract(x, y, 'b') } })) } })
      const { right: session } = await engine.load(p)()
      const given = {
        x: { shape: [2, 2], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4) },
        y: { shape: [2], dtype: 'float32', data: Float32Array.of(5, 6) },
      }
      const call = async () => [...(await session.call('f', given)()).right.z.data]
      const first = await call()
      const ran = held()
      releasePages(${library})
      const released = held()
      process.stdout.write(JSON.stringify({ loaded, ran, released, first, then: await call() }))`
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [...loader, '--input-type=module', '-e', script],
        { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
      )
      const told = JSON.parse(stdout === '' ? JSON.stringify({ stderr }) : stdout)
      const mebibyte = 2 ** 20
      // what loading reads was 250 MiB, what a call reads afterwards 30
      assert.ok(told.loaded < 25 * mebibyte, `after loading ${JSON.stringify(told)}`)
      assert.ok(told.ran > told.loaded && told.released < told.ran / 2, JSON.stringify(told))
      assert.equal(
        [told.first, told.then],
        [
          [17, 39],
          [17, 39],
        ],
      )
    },
  )
else console.log('skipped: pages of the library, which need Linux and tensorflow')

pages.run()
