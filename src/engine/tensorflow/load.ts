/**
 * Finds and loads TensorFlow: the side folder that `sailwright engine install tensorflow` builds, else an installed
 * `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node` whose native library is there. Nothing is loaded on import.
 *
 * @since 0.1.0
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import * as E from 'fp-ts/lib/Either.js'
import { onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { called } from '../../terminal/index.ts'
import { type EngineError, engineError } from '../error.ts'
import { checkOptions } from '../options.ts'
import { markUsed } from '../used.ts'
import { compilerVariables } from './cuda.ts'
import { engineHome } from './home.ts'
import { installed } from './installed.ts'
import { releasePages } from './pages.ts'
import { configVariable, sessionConfig } from './session-config.ts'
import type { Tfjs } from './tfjs.ts'

/** A TensorFlow that has been loaded. */
export interface Tensorflow {
  readonly tf: Tfjs
  /** TensorFlow's own version, `2.21.0`. */
  readonly tensorflow: string
  /** The version of tfjs-node around it. */
  readonly tfjs: string
  /** Whether it computes on a GPU. */
  readonly gpu: boolean
  /** Where it was found: the side folder, or a package's name. */
  readonly from: string
  /** How many threads it computes with, in this process. */
  readonly threads: number
  /**
   * Lets a GPU round float32 to TF32 in products, or not, in this process, and answers whether it may; undefined where the
   * switch is not there.
   */
  readonly tf32?: (on: boolean) => boolean | undefined
}

/** What loading TensorFlow may be told. */
export interface TensorflowOptions {
  /** Threads inside one operation, and as many operations beside one another; default: the number of cores. */
  readonly threads?: number
}

/** What an addon beside the binding adds to it. */
type Additions = Pick<Tensorflow, 'tf32'>

interface Candidate {
  readonly from: string
  /** Resolves the package's main file, or says why not. */
  readonly resolve: () => string
  /** Loads what was compiled beside the package. */
  readonly additions?: () => Additions
}

const here = createRequire(import.meta.url)

const candidates = (): readonly Candidate[] => {
  const home = engineHome()
  const packages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'].flatMap((name): Candidate[] => [
    { from: name, resolve: () => here.resolve(name) },
    {
      from: `${name} of this project`,
      resolve: () => createRequire(join(process.cwd(), 'x.js')).resolve(name),
    },
  ])
  return [
    {
      from: home.root,
      resolve: () => {
        if (!existsSync(home.binding)) throw new Error('nothing is built there')
        return join(home.tfjs, 'dist', 'index.js')
      },
      additions: () => {
        setCompilerVariables(installed(home)?.library)
        return existsSync(home.mute) ? (here(home.mute) as Additions) : {}
      },
    },
    ...packages,
  ]
}

/**
 * TensorFlow's log off (what fails also fails the call, with TensorFlow's message), the GPU's memory taken as needed, oneDNN's
 * products on processors of any maker (TensorFlow itself takes them on some of AVX-512 alone, and without them a step of nano
 * takes a fifth longer), of which the thread that asks for one computes its share, and the session's configuration, unless the
 * user says otherwise. In a worker the environment is a copy: what the library itself asks for there stays as it is.
 */
const quietEnvironment = (): void => {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3'
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true'
  process.env.TF_ENABLE_ONEDNN_OPTS ??= '1'
  process.env.TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD ??= '1'
  process.env[configVariable] ??= Buffer.from(sessionConfig()).toString('hex')
}

/**
 * Sets how many threads TensorFlow makes, and answers their number. It makes them when its library is loaded, and asks
 * the environment alone. In a worker the environment is a copy that no library sees: there it stays as it is.
 */
const setThreads = (wanted: number | undefined): number => {
  const variables = ['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS']
  if (isMainThread)
    for (const v of variables)
      if (wanted !== undefined) process.env[v] = String(wanted)
      else process.env[v] ??= String(availableParallelism())
  return Number(process.env[variables[0]!]) || availableParallelism()
}

/** XLA inside a TensorFlow for CUDA is told where its compiler lies. In a worker the environment is a copy. */
const setCompilerVariables = (library: string | undefined): void => {
  if (isMainThread && library !== undefined)
    Object.assign(process.env, compilerVariables(library, process.env))
}

/** Node 23 took `util.isNullOrUndefined` and `util.isArray` away; tfjs-node 4.22.0 still calls them. */
const restoreUtil = (): void => {
  const util = here('node:util') as Record<string, unknown>
  util.isNullOrUndefined ??= (x: unknown) => x === null || x === undefined
  util.isArray ??= Array.isArray
}

/** Runs `f` while console.log, info and warn say nothing: tfjs advertises itself when it is loaded. */
const silently = <A>(f: () => A): A => {
  const { log, info, warn } = console
  const nothing = (): void => undefined
  Object.assign(console, { log: nothing, info: nothing, warn: nothing })
  try {
    return f()
  } finally {
    Object.assign(console, { log, info, warn })
  }
}

const firstLine = (e: unknown): string => (e instanceof Error ? e.message : String(e)).split('\n')[0]!

const load = (c: Candidate, threads: number): Tensorflow => {
  const main = c.resolve()
  const { tf32 } = c.additions?.() ?? {}
  const tf = silently(() => {
    const loaded = here(main) as Tfjs
    loaded.env().set('PROD', true)
    return loaded
  })
  const backend = tf.backend()
  releasePages(/\/libtensorflow[^/]*$/)
  return {
    tf,
    tensorflow: backend.binding.TF_Version,
    tfjs: tf.version['tfjs-node'],
    gpu: backend.isUsingGpuDevice,
    from: c.from,
    threads,
    ...present({ tf32 }),
  }
}

let loaded: E.Either<EngineError, Tensorflow> | undefined

/** The first answer again, where it has the threads that are wanted. */
const again = (
  first: E.Either<EngineError, Tensorflow>,
  wanted: number | undefined,
): E.Either<EngineError, Tensorflow> =>
  E.isLeft(first) || wanted === undefined || wanted === first.right.threads
    ? first
    : E.left(
        engineError(
          'BadOption',
          `TensorFlow was loaded with ${first.right.threads} threads, which holds for the whole process; it cannot have ${wanted} as well. Load it with ${wanted} first, or in another process`,
        ),
      )

/**
 * Loads TensorFlow, once; a second call gives the first one's answer. Left `NotInstalled` where nothing loads: the
 * message says what was tried, and what to do. Left `BadOption` where it was loaded with another number of threads, or
 * the number is none.
 */
export const loadTensorflow = (options: TensorflowOptions = {}): E.Either<EngineError, Tensorflow> => {
  onlySettings('loadTensorflow', options, ['threads'])
  markUsed()
  const checked = checkOptions('tensorflow', options)
  if (E.isLeft(checked)) return checked
  if (loaded !== undefined) return again(loaded, options.threads)
  quietEnvironment()
  const threads = setThreads(options.threads)
  restoreUtil()
  const tried: string[] = []
  for (const c of candidates()) {
    try {
      loaded = E.right(load(c, threads))
      return again(loaded, options.threads)
    } catch (e) {
      const why = `${c.from}: ${(e as { code?: string }).code === 'MODULE_NOT_FOUND' ? 'not installed' : firstLine(e)}`
      if (!tried.includes(why)) tried.push(why)
    }
  }
  loaded = E.left(
    engineError(
      'NotInstalled',
      `TensorFlow does not load; '${called()} engine install tensorflow' builds it. Tried:\n${tried.map((l) => `  ${l}`).join('\n')}`,
    ),
  )
  return loaded
}
