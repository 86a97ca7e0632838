import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { atMost } from '../../src/async/at-most.ts'
import { loader, moduleAt } from '../support/program.ts'

const test = suite('so many at a time')

test('no more run than may, all run, in order, and one that fails holds nobody up', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ turns: fc.nat(3), fails: fc.boolean() }), { maxLength: 12 }),
      async (limit, tasks) => {
        const inTurn = atMost(limit)
        const begun: number[] = []
        let running = 0
        const ends = await Promise.allSettled(
          tasks.map(({ turns, fails }, i) =>
            inTurn(async () => {
              begun.push(i)
              running++
              assert.ok(running <= limit)
              for (let t = 0; t < turns; t++) await setImmediate()
              running--
              if (fails) throw new Error('told to')
              return i
            }),
          ),
        )
        assert.equal(begun, [...tasks.keys()])
        assert.equal(
          ends.map((e) => e.status === 'rejected'),
          tasks.map((t) => t.fails),
        )
      },
    ),
    { numRuns: 50 },
  )
})

test('a checkpoint of more tensors than a process may have files open is read all at once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-tensors-'))
  const program = `
    import { readSafetensors, writeSafetensors } from ${JSON.stringify(moduleAt('src/formats/safetensors.ts'))}
    const path = ${JSON.stringify(join(folder, 'many.safetensors'))}
    const tensors = Array.from({ length: 1600 }, (_, i) => ['t' + i, { dtype: 'F32', shape: [1], values: Float32Array.of(i) }])
    const written = await writeSafetensors(path, new Map(tensors))()
    if (written._tag === 'Left') throw written.left
    const file = (await readSafetensors(path)()).right
    const all = await Promise.all(tensors.map(([key]) => file.floats(key)()))
    const wrong = all.filter((x, i) => x._tag === 'Left' || x.right[0] !== i)
    console.log(JSON.stringify(wrong.map((x) => x.left?.message).slice(0, 3)))`
  const { status, stdout, stderr } = spawnSync(
    'bash',
    [
      '-c',
      `ulimit -n 64; exec "$0" ${loader.join(' ')} --input-type=module -e "$1"`,
      process.execPath,
      program,
    ],
    { encoding: 'utf8' },
  )
  rmSync(folder, { recursive: true })
  assert.is(status, 0, stderr)
  assert.equal(JSON.parse(stdout), [])
})

test.run()
