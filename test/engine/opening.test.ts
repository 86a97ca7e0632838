/**
 * Weights that lie in a file are opened without a second copy: a process of its own opens half a gigabyte of float32, stored
 * in bfloat16, and its peak of memory rises by no more than 1.3 times that.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { streamSafetensors } from '../../src/formats/safetensors.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'

const engines = await hostEngines()
const test = suite(`opening: memory on ${engines.map((e) => e.name).join(' and ')}`)
const root = mkdtempSync(join(tmpdir(), 'sailwright-opening-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const [tensors, rows, columns] = [16, 2048, 4096]
const file = join(root, 'model.safetensors')
const heads = new Map(
  Array.from({ length: tensors }, (_, i) => [`w${i}`, { dtype: 'BF16', shape: [rows, columns] } as const]),
)

const opening = `
import { readFileSync } from 'node:fs'
import { axis, fixed, normal, program, slice, state } from ${JSON.stringify(resolve('src/dsl/index.ts'))}
import { pickEngine } from ${JSON.stringify(resolve('src/engine/index.ts'))}
import { openCheckpoint } from ${JSON.stringify(resolve('src/formats/index.ts'))}
const right = async (task) => { const x = await task(); if (x._tag === 'Left') throw x.left; return x.right }
const memory = (of) => Number(new RegExp(of + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
const [name, file] = process.argv.slice(-2)
const axes = [axis('row', ${rows}), axis('column', ${columns})]
const outputs = Object.fromEntries(Array.from({ length: ${tensors} }, (_, i) =>
  ['y' + i, slice(slice(state('w' + i, axes, normal(1)), 'row', 7, 1), 'column', 9, 1)]))
const { engine } = await right(pickEngine(name))
const values = await right(openCheckpoint(file))
// a library may have given back what loading alone reads of it: what computing reads is there before
const few = state('few', [axis('row', 8), axis('column', 10)], normal(1))
const tiny = { y: slice(slice(few, 'row', 7, 1), 'column', 9, 1) }
const small = await right(engine.load(program({ name: 'small', functions: { look: fixed(() => ({ outputs: tiny })) } })))
await right(small.call('look', {}))
await right(small.close())
const before = memory('VmRSS')
const session = await right(engine.load(program({ name: 'large', functions: { look: fixed(() => ({ outputs })) } }), { values }))
const rise = memory('VmHWM') - before
const y = await right(session.call('look', {}))
console.log(JSON.stringify({ rise, seen: Object.values(y).map((v) => v.data[0]) }))
process.exit(0)`

for (const { name } of engines)
  test(`${name}: the peak is that of the weights, not of two copies`, async () => {
    if (process.platform !== 'linux') return
    const values = new Float32Array(rows * columns)
    const tensor = (key: string) =>
      TE.of({ ...heads.get(key)!, values: values.fill(Number(key.slice(1)) / 4) })
    await orThrow(streamSafetensors(file, heads, tensor))
    const words = ['--import', 'tsx', '--input-type=module', '-e', opening, name, file]
    const { stdout } = await promisify(execFile)(process.execPath, words)
    const { rise, seen } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
      readonly rise: number
      readonly seen: readonly number[]
    }
    assert.equal(
      seen,
      Array.from({ length: tensors }, (_, i) => i / 4),
    )
    const weights = (4 * tensors * rows * columns) / 2 ** 20
    assert.ok(rise > 0.9 * weights && rise < 1.3 * weights, `${rise} MiB for weights of ${weights} MiB`)
    if (process.env.SHOW) process.stdout.write(`${name}: ${rise} of ${weights} MiB\n`)
  })

test.run()
