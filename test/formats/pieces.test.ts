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

pieces(
  'a tensor of several pieces has its numbers, in the array that is given where it fits',
  async ({ folder }) => {
    const path = join(folder, 'm.safetensors')
    // numbers that all three dtypes hold; a piece is 2²⁰ bytes
    const numbers = (n: number) => Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 255) - 127)
    const lengths = [0, 1, 2 ** 18, 2 ** 19, 2 ** 19 + 1, 2 ** 20 + 5]
    for (const dtype of ['F32', 'F16', 'BF16'] as const) {
      const all = lengths.map((n): [string, Entry] => [`t${n}`, { dtype, shape: [n], values: numbers(n) }])
      await right(writeSafetensors(path, new Map(all)))
      const file = await right(readSafetensors(path))
      for (const n of lengths) {
        const same = (x: Float32Array) =>
          Buffer.from(x.buffer, x.byteOffset, x.byteLength).equals(Buffer.from(numbers(n).buffer))
        assert.ok(same(await right(file.floats(`t${n}`))), `${dtype} ${n}`)
        const room = new Float32Array(n + 3).subarray(3)
        assert.is(await right(file.floats(`t${n}`, room)), room)
        assert.ok(same(room), `${dtype} ${n}, in the room that is given`)
        const short = new Float32Array(n + 1)
        assert.ok(same(await right(file.floats(`t${n}`, short))), 'a room of another size is left alone')
        assert.ok(short.every((x) => x === 0))
      }
    }
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
