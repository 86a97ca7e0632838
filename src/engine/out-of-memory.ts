/** Failures for want of memory: how the libraries say them, and what a person needs to know instead. */
import { freemem, totalmem } from 'node:os'
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { elementBytes, elements, type Program, showAxes, type Variant } from '../dsl/index.ts'
import { type EngineError, engineError, messageOf } from './error.ts'
import type { Engine, LoadOptions, TensorValue } from './session.ts'

/** What the library asked for in vain. */
export interface Shortage {
  /** Bytes, where the library says so. */
  readonly asked: number | undefined
  /** The device that has no more, where it is not the processor's memory: `GPU:0`. */
  readonly device: string | undefined
}

const unit: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }
const bytesOfType: Readonly<Record<string, number>> = { double: 8, int64: 8, half: 2, bfloat16: 2, bool: 1 }

/** Reads an error as a shortage of memory; undefined where it is none. */
export const shortageOf = (cause: unknown): Shortage | undefined => {
  const message = messageOf(cause)
  const lacking =
    /failed to allocate memory|bad[_ ]alloc(?:ation)?\b|\bOOM\b|out of memory|resource[_ ]?exhausted|array buffer allocation failed|cannot allocate memory/i
  if (!lacking.test(message)) return undefined
  const device = /device:(GPU:\d+)/i.exec(message)?.[1]
  const size = /(?:requested buffer of size|allocat(?:e|ing)) ([\d.]+) ?([KMGT]iB)?/i.exec(message)
  if (size !== null) return { asked: Math.round(Number(size[1]) * (unit[size[2] ?? ''] ?? 1)), device }
  const shape = /shape\s*\[([\d,\s]*)\](?: and type (\w+))?/i.exec(message)
  if (shape === null) return { asked: undefined, device }
  const elements = shape[1]!.split(',').reduce((n, s) => n * Number(s), 1)
  return { asked: elements * (bytesOfType[shape[2] ?? ''] ?? 4), device }
}

const gib = (bytes: number): string =>
  bytes >= 2 ** 29 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** The size by which a call's work grows: the axis called `batch`, else the first axis of the largest input. */
const batchOf = (variant: Variant): { readonly name: string; readonly size: number } | undefined => {
  const all = [...variant.inputs.values()].filter((t) => t.axes.length > 0)
  const batch = all.flatMap((t) => t.axes).find((a) => a.name === 'batch')
  if (batch !== undefined) return batch
  const elements = (i: number): number => all[i]!.axes.reduce((n, a) => n * a.size, 1)
  const largest = all.reduce((best, _, i) => (elements(i) > elements(best) ? i : best), 0)
  return all[largest]?.axes[0]
}

const advice = (shortage: Shortage, free: number, variant: Variant | undefined): string => {
  const batch = variant === undefined ? undefined : batchOf(variant)
  if (batch === undefined) return 'Close what else needs memory, or use a smaller model'
  if (batch.size <= 1)
    return 'Its batch is 1 already: make the other sizes smaller, or use a smaller model or more memory'
  // where more is free than was asked for, a limit stands below the machine's memory, and half is the honest guess
  const { asked, device } = shortage
  const share = asked === undefined || device !== undefined || asked <= free ? 0.5 : free / asked
  const fits = Math.max(1, Math.min(batch.size - 1, Math.floor(batch.size * share)))
  return `Use a smaller batch: in proportion, '${batch.name}' of ${fits} in place of ${batch.size}`
}

/**
 * `OutOfMemory`, where the cause is a shortage: what was asked of the session, with which inputs, how much memory that
 * wanted, how much there is, and what would fit.
 */
export const outOfMemory = (
  what: string,
  cause: unknown,
  call?: { readonly variant: Variant; readonly inputs: ReadonlyMap<string, TensorValue> },
  free: number = freemem(),
): EngineError | undefined => {
  const shortage = shortageOf(cause)
  if (shortage === undefined) return undefined
  const { asked, device } = shortage
  const inputs = [...(call?.inputs ?? [])].map(([n, v]) => `${n} [${v.shape.join(', ')}]`).join(', ')
  return engineError(
    'OutOfMemory',
    [
      `${what} found no memory${inputs === '' ? '' : `; its inputs: ${inputs}`}.`,
      `${asked === undefined ? 'How much was asked for is not said' : `${gib(asked)} were asked for`}${device === undefined ? '' : ` on ${device}`}; of this machine's ${gib(totalmem())}, ${gib(free)} are free.`,
      `${advice(shortage, free, call?.variant)}. (${messageOf(cause).split('\n')[0]})`,
    ].join(' '),
    cause,
  )
}

/** Bytes that there are for an engine's states: of its devices where they say so, else of the machine; undefined where nobody says. */
export const memoryFor = (e: Pick<Engine, 'accelerated' | 'devices' | 'memory'>): number | undefined => {
  if (e.accelerated !== true) return Math.min(totalmem(), process.constrainedMemory?.() || totalmem())
  const limit = e.memory?.()?.limit
  return limit === undefined ? undefined : limit * (e.devices ?? 1)
}

/**
 * Fails with `OutOfMemory` where a program's states are more than there is memory, before anything is compiled or drawn: what
 * they are is said, and which is the largest.
 */
export const fits = (
  program: Program,
  { weights }: Pick<LoadOptions, 'weights'>,
  memory: number | undefined,
): Either<EngineError, void> => {
  const states = [...program.states.values()]
  const bytesOf = (s: (typeof states)[number]): number => elements(s.axes) * elementBytes(s.dtype)
  const all = states.reduce((n, s) => n + bytesOf(s), 0)
  // what is stored in 16 bits takes half
  if (memory === undefined || (weights === 'stored' ? all / 2 : all) <= memory) return right(undefined)
  const largest = states.reduce((a, b) => (bytesOf(b) > bytesOf(a) ? b : a))
  return left(
    engineError(
      'OutOfMemory',
      `loading program '${program.name}': its states take ${gib(all)}, and there are ${gib(memory)}; the largest is '${largest.key}' (${showAxes(largest.axes)}) with ${gib(bytesOf(largest))}. Make the sizes smaller that it has, or use more memory`,
    ),
  )
}
