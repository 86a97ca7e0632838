/**
 * Finds and loads ONNX Runtime's binding: the one that is packed with Sailwright, else an installed `onnxruntime-node`.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import * as E from 'fp-ts/lib/Either.js'
import type * as Ort from 'onnxruntime-common'
import { present } from '../../settings/internal.ts'
import { type EngineError, engineError } from '../error.ts'
import { setOfProcess } from '../foreign.ts'
import { markUsed } from '../used.ts'

/** ONNX Runtime, loaded. */
export interface OnnxRuntime {
  readonly ort: typeof Ort
  readonly version: string
  /** Where it was found: `sailwright`, or a package's name. */
  readonly from: string
  /** The library's file, where it lies as it does in the package. */
  readonly library?: string
}

const here = createRequire(import.meta.url)

/** Where the binding may be, best first; each gives the folder or module to load, or throws. */
const places: readonly (readonly [from: string, resolve: () => string])[] = [
  ['sailwright', () => join(dirname(here.resolve('sailwright/package.json')), 'vendor', 'onnxruntime-node')],
  ['onnxruntime-node', () => here.resolve('onnxruntime-node')],
  [
    'onnxruntime-node of this project',
    () => createRequire(join(process.cwd(), 'x.js')).resolve('onnxruntime-node'),
  ],
]

/** The runtime's library beside its binding. */
const libraryOf = (resolved: string): string | undefined => {
  const folder = dirname(resolved.endsWith('.js') ? dirname(resolved) : join(resolved, 'x'))
  const bin = join(folder, 'bin', 'napi-v6', process.platform, process.arch)
  const file = existsSync(bin)
    ? readdirSync(bin).find((f) => /^(lib)?onnxruntime\.(so|dylib|dll|\d)/.test(f))
    : undefined
  return file === undefined ? undefined : join(bin, file)
}

/** Whether Linux's C library is glibc, as Node tells it; another is musl, such as Alpine's. */
const cLibrary = (): 'glibc' | 'musl' | undefined => {
  if (process.platform !== 'linux') return undefined
  const { header } = process.report.getReport() as { readonly header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}

/** What to do where the runtime does not load. */
const remedy = (library: 'glibc' | 'musl' | undefined): string =>
  library === 'musl'
    ? 'It is built for glibc, and this Linux has musl, as Alpine does: take one with glibc, such as the image node:22-slim.'
    : "In a clone 'npm ci' fetches it; where Sailwright brings none for this platform, 'npm install onnxruntime-node' does."

let loaded: E.Either<EngineError, OnnxRuntime> | undefined

/** Switches the runtime's telemetry off, unless the environment says something of it. */
const withoutTelemetry = (): void => {
  process.env.ORT_DISABLE_TELEMETRY ??= '1'
  if (isMainThread) return
  try {
    setOfProcess('ORT_DISABLE_TELEMETRY', process.env.ORT_DISABLE_TELEMETRY)
  } catch {
    // npm has no addon for this platform: what loads the engine in the main thread first has switched it off
  }
}

/**
 * Loads ONNX Runtime, once; a second call gives the first one's answer. Left `NotInstalled`: the message says what was tried.
 *
 * The runtime's telemetry, which is on unless told otherwise (it sends what sessions are made of to Microsoft and leaves files
 * in the home and the temporary folder), is off unless the environment has `ORT_DISABLE_TELEMETRY` already.
 */
export const loadOnnxRuntime = (): E.Either<EngineError, OnnxRuntime> => {
  markUsed()
  if (loaded !== undefined) return loaded
  withoutTelemetry()
  const tried: string[] = []
  for (const [from, resolve] of places) {
    try {
      const resolved = resolve()
      const ort = here(resolved) as typeof Ort
      const library = libraryOf(resolved)
      loaded = E.right({
        ...{ ort, version: ort.env.versions.node ?? ort.env.versions.common, from },
        ...present({ library }),
      })
      return loaded
    } catch (e) {
      const missing = (e as { code?: string }).code === 'MODULE_NOT_FOUND'
      const message = (e instanceof Error ? e.message : String(e)).split('\n')[0]!
      tried.push(
        `  ${from}: ${missing ? `nothing for ${process.platform} ${process.arch} is there` : message}`,
      )
    }
  }
  loaded = E.left(
    engineError(
      'NotInstalled',
      `ONNX Runtime does not load on ${process.platform} ${process.arch}. ${remedy(cLibrary())} Tried:\n${tried.join('\n')}`,
    ),
  )
  return loaded
}
