/**
 * The xla engine's backend: states in arrays on the device, which each call donates and gets back; one program a variant,
 * compiled when it is first called.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { cost, type Program, type StateSpec, sizes, type Variant } from '../../dsl/index.ts'
import type { Backend, Called, Values } from '../backend.ts'
import { type EngineError, engineError, messageOf, refused, showNode } from '../error.ts'
import type { Precision, TensorValue } from '../session.ts'
import type { Chosen } from '../values.ts'
import { xlaHome } from './home.ts'
import { keptProgram } from './kept-programs.ts'
import { type Lowered, lower } from './lower.ts'
import type { OpenedClient } from './open-client.ts'
import type { DeviceArray, Executable, Flag } from './pjrt/index.ts'
import type { Attention } from './value.ts'

/** How programs are run. */
export interface XlaSettings {
  readonly precision: Precision
  /** Default `auto`. */
  readonly attention?: Attention
  /** XLA's own flags, by name. */
  readonly flags?: Readonly<Record<string, Flag>>
}

/** Up to so many operations a call, trying kernels costs more than it gains: nano's step has 2e10, one of 88 M 1e13. */
const smallCall = 1e12

/** On a GPU XLA times several kernels for every product, for half a minute; a small call takes the first. */
export const kernelTrials = (platform: string, variant: Variant): Readonly<Record<string, Flag>> =>
  platform === 'cuda' && cost([...Object.values(variant.outputs), ...variant.next.values()]).flops < smallCall
    ? { xla_gpu_autotune_level: 0 }
    : {}

interface Compiled {
  readonly lowered: Lowered
  readonly executable: Executable
}

const failed = (name: string, lowered: Lowered, e: unknown): EngineError => {
  const t = lowered.blamedIn(messageOf(e))
  const at = t === undefined ? '' : ` at ${showNode(t)}`
  const line = t?.site.line ?? ''
  return {
    ...engineError(
      'Failed',
      `function '${name}' failed${at}: ${messageOf(e)}${line === '' ? '' : `\n  built at ${line}`}`,
      e,
    ),
    ...(line === '' ? {} : { where: line }),
  }
}

const closeAll = (arrays: Iterable<DeviceArray>): void => {
  for (const a of arrays) a.close()
}

/** The values of arrays of one shape and dtype each, once whatever makes them has ended. */
const readAll = (
  wanted: readonly (readonly [name: string, dtype: TensorValue['dtype'], array: DeviceArray])[],
): Promise<readonly (readonly [string, TensorValue])[]> =>
  Promise.all(
    wanted.map(
      async ([name, dtype, array]) =>
        [
          name,
          { shape: [...array.shape], dtype, data: (await array.read()) as TensorValue['data'] },
        ] as const,
    ),
  )

/** How many calls may be under way at once: one that computes, and others that wait for it. */
const ahead = 4

/** The backend of one program over a client, which outlives it. */
export const xlaBackend = (
  { client, plugin }: OpenedClient,
  program: Program,
  settings: XlaSettings,
): Backend => {
  const states = new Map<string, DeviceArray>()
  const compiled = new Map<Variant, Compiled>()

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    const lowered = lower(name, variant, { ...settings, platform: client.platform })
    try {
      const options = { flags: { ...kernelTrials(client.platform, variant), ...settings.flags } }
      const kept = { folder: xlaHome().programs }
      const executable = await keptProgram(client, plugin.bytes, lowered.text, options, kept)
      const made = { lowered, executable }
      compiled.set(variant, made)
      return right(made)
    } catch (e) {
      const t = lowered.blamedIn(messageOf(e))
      return left(
        t === undefined
          ? engineError('Refused', `xla refuses function '${name}': ${messageOf(e)}`, e)
          : refused('xla', t, messageOf(e), e),
      )
    }
  }

  const stateOf = (key: string): DeviceArray => {
    const found = states.get(key)
    if (found !== undefined && !found.closed) return found
    throw new Error(`state '${key}' was lost when an earlier call failed; write it, or load the program anew`)
  }

  const put = (key: string, array: DeviceArray): void => {
    states.get(key)?.close()
    states.set(key, array)
  }

  /** What was started and has not been read yet. */
  const underWay = new Set<Promise<unknown>>()

  /** Starts a program; the answer waits for its outputs. */
  const start = (
    name: string,
    { lowered, executable }: Compiled,
    variant: Variant,
    inputs: Values,
  ): (() => Promise<Called>) => {
    const fed: DeviceArray[] = []
    let results: readonly DeviceArray[]
    try {
      const given = lowered.arguments.map((a) => {
        if (a.from === 'state') return stateOf(a.key)
        const v = inputs.get(a.name)!
        const array = client.upload(v.data, v.dtype, v.shape)
        fed.push(array)
        return array
      })
      results = executable.execute(given)
    } finally {
      closeAll(fed)
    }
    const outputs = results.slice(0, lowered.outputs.length)
    lowered.next.forEach((key, i) => {
      put(key, results[lowered.outputs.length + i]!)
    })
    const read = async (): Promise<Called> => {
      try {
        // a function without outputs has ended all the same when the call does
        if (outputs.length === 0) await executable.ready(results.slice(0, 1))
        const named = lowered.outputs.map((n, i) => [n, variant.outputs[n]!.dtype, outputs[i]!] as const)
        return right(Object.fromEntries(await readAll(named)))
      } catch (e) {
        return left(failed(name, lowered, e))
      } finally {
        closeAll(outputs)
      }
    }
    const reading = read()
    underWay.add(reading)
    reading.finally(() => underWay.delete(reading))
    return () => reading
  }

  const started = async (
    name: string,
    { variant, inputs }: Chosen,
  ): Promise<Either<EngineError, () => Promise<Called>>> => {
    const ready = await compiledOf(name, variant)
    if (isLeft(ready)) return ready
    // inputs of calls that wait take memory of the device
    while (underWay.size >= ahead) await Promise.race(underWay)
    try {
      return right(start(name, ready.right, variant, inputs))
    } catch (e) {
      return left(failed(name, ready.right.lowered, e))
    }
  }

  return {
    name: 'xla',
    program,
    empty: [...program.states.keys()],
    groupBytes: 2 ** 26,
    start: started,
    call: async (name, chosen) => {
      const given = await started(name, chosen)
      return isLeft(given) ? given : given.right()
    },
    read: async (specs) =>
      new Map(await readAll(specs.map((s: StateSpec) => [s.key, s.dtype, stateOf(s.key)]))),
    write: async (values) => {
      for (const [key, v] of values) {
        const spec = program.states.get(key)!
        put(key, client.upload(v.data, spec.dtype, sizes(spec.axes)))
      }
    },
    close: async () => {
      await Promise.allSettled(underWay)
      const executables = [...compiled.values()].map((c) => c.executable)
      compiled.clear()
      closeAll(states.values())
      states.clear()
      for (const e of executables) e.close()
    },
  }
}
