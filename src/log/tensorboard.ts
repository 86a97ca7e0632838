/**
 * TensorBoard's event files: records of the protobuf message `tensorflow.Event`, each between a length and checksums
 * (TFRecord: little-endian length, its masked CRC32C, the bytes, their masked CRC32C).
 *
 * @since 0.1.0
 */
import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import type { Scalars } from './scalars.ts'
import { type Sink, sinkOf } from './sink.ts'

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c >>> 0
})

/** CRC-32C (Castagnoli; RFC 3720, B.4). */
export const crc32c = (bytes: Uint8Array): number => {
  let c = 0xffffffff
  for (const b of bytes) c = table[(c ^ b) & 255]! ^ (c >>> 8)
  return ~c >>> 0
}

/** As records store it: turned right by 15 bits, and a constant added, so that a checksum of checksums is a good one. */
const masked = (bytes: Uint8Array): number => {
  const c = crc32c(bytes)
  return (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0
}

/** Bytes as a record. */
export const record = (bytes: Uint8Array): Uint8Array => {
  const out = Buffer.alloc(bytes.length + 16)
  out.writeBigUInt64LE(BigInt(bytes.length), 0)
  out.writeUInt32LE(masked(out.subarray(0, 8)), 8)
  out.set(bytes, 12)
  out.writeUInt32LE(masked(bytes), 12 + bytes.length)
  return out
}

/** `Event { wall_time = 1; step = 2; file_version = 3; summary = 5 { value = 1 { tag = 1; simple_value = 2 } } }`. */
const event = (wallTime: number, step: number, rest: (w: protobuf.Writer) => void): Uint8Array => {
  const w = protobuf.Writer.create()
  w.uint32(9).double(wallTime)
  w.uint32(16).int64(step)
  rest(w)
  return record(w.finish())
}

const summary = (startedAt: number, s: Scalars): Uint8Array =>
  event(startedAt + s.seconds, s.step, (w) => {
    w.uint32(42).fork()
    for (const [tag, value] of Object.entries(s.values))
      w.uint32(10).fork().uint32(10).string(tag).uint32(21).float(value).ldelim()
    w.ldelim()
  })

const prefix = 'events.out.tfevents.'

/**
 * Writes the run's numbers for TensorBoard, into the folder `tensorboard` of the run: `tensorboard --logdir runs`. A run that
 * is gone on with has one file all the same: the next start begins it anew.
 *
 * @category sinks
 */
export const tensorBoard: Sink = sinkOf({
  name: 'tensorboard',
  begin: ({ pathOf, startedAt }, all) => {
    const folder = pathOf('tensorboard')
    mkdirSync(folder, { recursive: true })
    const before = readdirSync(folder).filter((f) => f.startsWith(prefix))
    // a name of its own: whoever reads the file before does not find other bytes in it
    const serial = (n: number): string =>
      `${prefix}${Math.floor(startedAt)}.${hostname()}.${process.pid}.${n}`
    let n = before.length
    while (before.includes(serial(n))) n++
    const name = serial(n)
    const path = join(folder, name)
    const version = event(startedAt, 0, (w) => w.uint32(26).string('brain.Event:2'))
    // SessionLog { status = 1: START }: what a reader has seen of the file before is void
    const start = event(startedAt, all[0]?.step ?? 0, (w) => w.uint32(58).fork().uint32(8).int32(1).ldelim())
    writeFileSync(path, Buffer.concat([version, start, ...all.map((s) => summary(startedAt, s))]))
    for (const f of before) rmSync(join(folder, f), { force: true })
    return { append: (s) => appendFileSync(path, summary(startedAt, s)), close: () => undefined }
  },
})
