/** Safetensors files in small pieces: what a file of many gigabytes goes through. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Entries,
  type Entry,
  encode,
  readSafetensors,
  SafetensorsError,
  writeSafetensors,
} from '../../src/formats/safetensors.ts'

const pieces = suite<{ folder: string }>('safetensors in pieces')
pieces.before.each((x) => {
  x.folder = mkdtempSync(join(tmpdir(), 'safetensors-pieces-'))
})
pieces.after.each((x) => rmSync(x.folder, { recursive: true }))

const right = async <A>(task: TaskEither<SafetensorsError, A>): Promise<A> => {
  const result = await task()
  if (isLeft(result)) throw result.left
  return result.right
}

/** Tensors none of whose parts repeat. */
const floats = Float32Array.from({ length: 57 }, (_, i) => Math.sin(i + 1))
const ints = Int32Array.from({ length: 23 }, (_, i) => 7 * i - 40)
const entries: Entries = new Map<string, Entry>([
  ['floats', { dtype: 'F32', shape: [57], values: floats }],
  ['ints', { dtype: 'I64', shape: [23], values: ints }],
])
const whole = (): Buffer => {
  const bytes = encode(entries, { note: 'small' })
  if (isLeft(bytes)) throw bytes.left
  return Buffer.from(bytes.right)
}

// 1: every byte by itself; 5 divides nothing; 64 cuts the header too; 1000 holds all of it
for (const pieceBytes of [1, 5, 64, 1000])
  pieces(
    `at most ${pieceBytes} bytes at a time give the same file and the same values`,
    async ({ folder }) => {
      const path = join(folder, 'm.safetensors')
      await right(writeSafetensors(path, entries, { note: 'small' }, { pieceBytes }))
      assert.ok(readFileSync(path).equals(whole()))
      const file = await right(readSafetensors(path, { pieceBytes }))
      assert.equal(file.keys, ['ints', 'floats'])
      assert.equal(await right(file.floats('floats')), floats)
      assert.equal(await right(file.ints('ints')), ints)
    },
  )

pieces('a size that is none is refused, and no file is made', async ({ folder }) => {
  const path = join(folder, 'm.safetensors')
  await right(writeSafetensors(path, entries))
  for (const pieceBytes of [0, -1, 2.5, Number.NaN]) {
    for (const task of [
      readSafetensors(path, { pieceBytes }),
      writeSafetensors(join(folder, 'new'), entries, {}, { pieceBytes }),
    ]) {
      const result = await (task as TaskEither<SafetensorsError, unknown>)()
      assert.ok(isLeft(result) && result.left instanceof SafetensorsError)
      assert.match(result.left.message, /pieceBytes is .*give a whole number from 1 up/)
    }
  }
  assert.equal(readdirSync(folder), ['m.safetensors'])
})

pieces('no file stays open', async ({ folder }) => {
  if (process.platform !== 'linux') return
  const path = join(folder, 'm.safetensors')
  const open = (): number => readdirSync('/proc/self/fd').length
  await right(writeSafetensors(path, entries))
  const before = open()
  for (let i = 0; i < 8; i++) {
    await right(writeSafetensors(path, entries))
    const file = await right(readSafetensors(path))
    await right(file.floats('floats'))
    assert.ok(isLeft(await file.ints('none')()))
  }
  // what else was open may have been closed meanwhile
  assert.ok(open() <= before)
})

pieces.run()
