/**
 * The xla engine's backend: states in arrays on the device, which each call donates and gets back; one program a variant,
 * compiled when it is first called.
 */
import { availableParallelism } from 'node:os'
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { atMost } from '../../async/index.ts'
import { cost, type Program, sizes, topological, type Variant } from '../../dsl/index.ts'
import { rootsOf } from '../../dsl/internal.ts'
import type { Backend, Called, Values } from '../backend.ts'
import { type EngineError, failedAt, messageOf, refusedFunction } from '../error.ts'
import { stateBytes } from '../held-states.ts'
import type { Precision, TensorValue } from '../session.ts'
import type { Chosen } from '../values.ts'
import { filling, uniformOf } from './filling.ts'
import { xlaHome } from './home.ts'
import { keptProgram } from './kept-programs.ts'
import { type Lowered, lower } from './lower.ts'
import type { OpenedClient } from './open-client.ts'
import type { DeviceArray, Executable, Flag, HostArray } from './pjrt/index.ts'
import {
  type Cut,
  cutOf,
  deviceCount,
  holders,
  joined,
  oneDevice,
  partOf,
  partShape,
  type Sharding,
  stateCut,
} from './sharding.ts'
import type { Attention } from './value.ts'

/** How programs are run. */
export interface XlaSettings {
  readonly precision: Precision
  /** Default `auto`. */
  readonly attention?: Attention
  /** XLA's own flags, by name. */
  readonly flags?: Readonly<Record<string, Flag>>
  /** How several devices share the work; default one device. */
  readonly sharding?: Sharding
  /** From so many bytes on states are filled on the device; default {@link muchToFill}. */
  readonly fillFrom?: number
}

/** A program that fills less than this is loaded later than the host fills and uploads. */
const muchToFill = 2 ** 27

/** Up to so many operations a call, trying kernels costs more than it gains: nano's step has 2e10, one of 88 M 1e13. */
const smallCall = 1e12
/** The same of a call that is a loop, whose few products run many times: 64 tokens of nano have 1e10, of 88 M 7e11. */
const smallLoop = 1e11

/** Products by cuBLAS, of which the first kernel is a good one; Triton's first is slow, and the best of many takes long to find. */
const firstKernels = { xla_gpu_autotune_level: 0, xla_gpu_enable_triton_gemm: false }

/** A loop's steps are launched by the GPU itself, with all that a step calls; what does not wait for each other runs at once. */
const loopOnDevice = {
  xla_gpu_command_buffer_scheduling_mode: 'CONCURRENT',
  xla_gpu_enable_command_buffer:
    'FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE',
}

/** How XLA compiles a function for a platform: on a GPU it else times several kernels for every product. */
export const flagsFor = (platform: string, variant: Variant): Readonly<Record<string, Flag>> => {
  if (platform !== 'cuda') return {}
  const roots = rootsOf(variant)
  const loops = topological(roots).some((t) => t.op.op === 'loop')
  return {
    ...(cost(roots).flops < (loops ? smallLoop : smallCall) ? firstKernels : {}),
    ...(loops ? loopOnDevice : {}),
  }
}

/** Compiles with the engine's own flags and those that were given; own ones that the plugin does not know are left out. */
export const withKnownFlags = async <A>(
  own: Readonly<Record<string, Flag>>,
  given: Readonly<Record<string, Flag>>,
  compile: (flags: Readonly<Record<string, Flag>>) => Promise<A>,
): Promise<A> => {
  try {
    return await compile({ ...own, ...given })
  } catch (e) {
    // no such compile option: 'name'; while setting option name, 'value' is not a valid enum value
    const name = /option:? '?(xla_\w+)/i.exec(messageOf(e))?.[1]
    if (name === undefined || !(name in own)) throw e
    const { [name]: _, ...others } = own
    return withKnownFlags(others, given, compile)
  }
}

/** Whether compiling for a platform leaves its device alone: no kernels are tried on it. */
const compilesBeside = (platform: string, flags: Readonly<Record<string, Flag>>): boolean =>
  platform === 'cpu' || flags.xla_gpu_autotune_level === 0

/**
 * How many programs are compiled beside what runs. Each takes two to three cores, and one of the four threads of Node's pool, on
 * which what runs waits for the device.
 */
const compilers = availableParallelism() >= 8 ? 2 : 1

/** A value on the devices: an array on each, a part of it or the whole. */
type Spread = readonly DeviceArray[]

interface Compiled {
  readonly lowered: Lowered
  readonly executable: Executable
}

const closeAll = (arrays: Iterable<DeviceArray>): void => {
  for (const a of arrays) a.close()
}

/** A value that is wanted, of which some arrays are one of each part. */
interface Wanted {
  readonly name: string
  readonly dtype: TensorValue['dtype']
  readonly shape: readonly number[]
  readonly arrays: Spread
  readonly together: (parts: readonly HostArray[]) => HostArray
}

/** The values, once whatever makes them has ended. */
const readAll = (wanted: readonly Wanted[]): Promise<readonly (readonly [string, TensorValue])[]> =>
  Promise.all(
    wanted.map(async ({ name, dtype, shape, arrays, together }) => {
      const data = together(await Promise.all(arrays.map((a) => a.read())))
      return [name, { shape: [...shape], dtype, data: data as TensorValue['data'] }] as const
    }),
  )

/** How many calls may be under way at once: one that computes, and others that wait for it. */
const ahead = 4

/** The backend of one program over a client, which outlives it. */
export const xlaBackend = (
  { client, plugin }: OpenedClient,
  program: Program,
  settings: XlaSettings,
): Backend => {
  const sharding = settings.sharding ?? oneDevice
  const devices = deviceCount(sharding)
  const shared = { sharding, states: program.states }
  const states = new Map<string, Spread>()
  const compiled = new Map<Variant, Compiled>()

  const lowered = (name: string, variant: Variant): Lowered =>
    lower(name, variant, {
      precision: settings.precision,
      platform: client.platform,
      // a library's call is not partitioned: each device would compute the whole batch's
      ...(devices > 1
        ? { attention: 'definition' }
        : settings.attention && { attention: settings.attention }),
      shared,
    })

  /** Compiles a function with the engine's flags for it, or finds it where it is kept. */
  const executableOf = (text: string, own: Readonly<Record<string, Flag>>): Promise<Executable> => {
    const kept = { folder: xlaHome().programs }
    return withKnownFlags(own, settings.flags ?? {}, (flags) =>
      keptProgram(client, plugin.bytes, text, { devices, flags }, kept),
    )
  }

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    const made = lowered(name, variant)
    try {
      const found = {
        lowered: made,
        executable: await executableOf(made.text, flagsFor(client.platform, variant)),
      }
      compiled.set(variant, found)
      return right(found)
    } catch (e) {
      return left(refusedFunction('xla', name, made.blamedIn(messageOf(e)), e))
    }
  }

  const stateOf = (key: string): Spread => {
    const found = states.get(key)
    if (found !== undefined && !found.some((a) => a.closed)) return found
    throw new Error(`state '${key}' was lost when an earlier call failed; write it, or load the program anew`)
  }

  const put = (key: string, spread: Spread): void => {
    closeAll(states.get(key) ?? [])
    states.set(key, spread)
  }

  /** Row-major values on the devices: each has its part. */
  const upload = (
    { data, dtype, shape }: Pick<TensorValue, 'data' | 'dtype' | 'shape'>,
    cut: Cut,
    borrowed = false,
  ): Spread => {
    const own = partShape(sharding, cut, shape)
    return Array.from({ length: devices }, (_, d) =>
      client.upload(partOf(sharding, cut, data, shape, d), dtype, own, d, borrowed),
    )
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
    let results: readonly Spread[]
    try {
      const given: DeviceArray[][] = Array.from({ length: devices }, () => [])
      for (const a of lowered.arguments) {
        const spread =
          a.from === 'state'
            ? stateOf(a.key)
            : // whoever calls leaves them alone until the answer, which waits for one device alone
              upload(inputs.get(a.name)!, cutOf(sharding, variant.inputs.get(a.name)!.axes), devices === 1)
        if (a.from === 'input') fed.push(...spread)
        for (let d = 0; d < devices; d++) given[d]!.push(spread[d]!)
      }
      results = executable.executeOn(given)
    } finally {
      closeAll(fed)
    }
    const count = lowered.outputs.length
    // outputs are whole on every device
    const [outputs, ...copies] = results.map((r) => r.slice(0, count))
    for (const c of copies) closeAll(c)
    lowered.next.forEach((key, i) => {
      put(
        key,
        results.map((r) => r[count + i]!),
      )
    })
    const read = async (): Promise<Called> => {
      try {
        // a function without outputs has ended all the same when the call does
        if (count === 0) await executable.ready(results[0]!.slice(0, 1))
        const named = lowered.outputs.map((n, i): Wanted => {
          const array = outputs![i]!
          return {
            ...{ name: n, dtype: variant.outputs[n]!.dtype, shape: array.shape, arrays: [array] },
            together: ([all]) => all!,
          }
        })
        return right(Object.fromEntries(await readAll(named)))
      } catch (e) {
        return left(failedAt(name, lowered.blamedIn(messageOf(e)), e))
      } finally {
        closeAll(outputs!)
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
      return left(failedAt(name, ready.right.lowered.blamedIn(messageOf(e)), e))
    }
  }

  return {
    name: 'xla',
    program,
    prepare: async (functions) => {
      const inTurn = atMost(compilers)
      const wanted = functions
        .map(([name, variant]) => ({ name, variant, flags: flagsFor(client.platform, variant) }))
        .filter(({ flags }) => compilesBeside(client.platform, flags))
      await Promise.allSettled(
        wanted.map(({ name, variant, flags }) =>
          inTurn(async () => {
            const executable = await executableOf(lowered(name, variant).text, flags)
            executable.close()
          }),
        ),
      )
    },
    empty: [...program.states.keys()],
    groupBytes: 2 ** 26,
    start: started,
    call: async (name, chosen) => {
      const given = await started(name, chosen)
      return isLeft(given) ? given : given.right()
    },
    read: async (specs) =>
      new Map(
        await readAll(
          specs.map((s): Wanted => {
            const [spread, shape, cut] = [stateOf(s.key), sizes(s.axes), stateCut(sharding, s)]
            return {
              ...{ name: s.key, dtype: s.dtype, shape },
              arrays: holders(sharding, cut).map((d) => spread[d]!),
              together: (parts) => joined(sharding, cut, parts, shape),
            }
          }),
        ),
      ),
    fill: async (specs) => {
      const uniform = uniformOf(specs)
      const bytes = uniform.reduce((n, s) => n + stateBytes(s), 0)
      if (bytes < (settings.fillFrom ?? muchToFill)) return []
      const variant = filling(uniform)
      const ready = await compiledOf('fill', variant)
      if (isLeft(ready)) return []
      compiled.delete(variant)
      try {
        const done = await start('fill', ready.right, variant, new Map())()
        if (isLeft(done)) throw done.left.cause ?? done.left
        return uniform.map((s) => s.key)
      } finally {
        ready.right.executable.close()
      }
    },
    write: async (values) => {
      for (const [key, v] of values) {
        const spec = program.states.get(key)!
        const value = { data: v.data, dtype: spec.dtype, shape: sizes(spec.axes) }
        put(key, upload(value, stateCut(sharding, spec)))
      }
    },
    close: async () => {
      await Promise.allSettled(underWay)
      const executables = [...compiled.values()].map((c) => c.executable)
      compiled.clear()
      for (const spread of states.values()) closeAll(spread)
      states.clear()
      for (const e of executables) e.close()
    },
  }
}
