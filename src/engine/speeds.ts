/**
 * How fast each engine was on this machine, remembered between runs: a file in the user's cache folder. Where it cannot be
 * read or written nothing is remembered, and nothing fails.
 *
 * @since 0.1.0
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { kindOf, SettingsError } from '../settings/index.ts'
import type { Engine } from './session.ts'

/** One measurement of what computes here, in training steps of the same model. */
const Speeds = t.readonly(
  t.intersection([
    t.type({
      /** When, ISO 8601. */
      measuredAt: t.string,
      /** By {@link speedName}. */
      samplesPerSecond: t.readonly(t.record(t.string, t.number)),
    }),
    t.partial({
      /** The GPU that WebGPU was measured on, and its driver. */
      gpu: t.string,
      /** Those whose losses were not the processor's: they are never taken for their speed. */
      differ: t.readonlyArray(t.string),
    }),
  ]),
)
export type Speeds = t.TypeOf<typeof Speeds>

/** What is measured: `onnx`, `onnx on webgpu`. @throws SettingsError where it is no engine */
export const speedName = (engine: Pick<Engine, 'name' | 'device'>): string => {
  if (typeof engine?.name !== 'string')
    throw new SettingsError('speedName', 'engine', `it is ${kindOf(engine)}; give an engine`)
  const { name, device } = engine
  return device === undefined ? name : `${name} on ${device}`
}

const File = t.record(t.string, Speeds)

/** The environment, as far as it says where the cache is. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `$XDG_CACHE_HOME/sailwright/engine-speeds.json`, or the same in `~/.cache`. @throws where there is no home */
const speedsFile = (env: Environment): string =>
  join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'sailwright', 'engine-speeds.json')

const own = createRequire(import.meta.url)

/** What a measurement holds for: processor, cores, the versions of the engines that compute there and this package's. */
const keyOf = (engines: readonly Engine[]): string =>
  [
    `sailwright ${(own('sailwright/package.json') as { version: string }).version}`,
    ...engines.map((e) => e.version).sort(),
    `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? process.arch}`,
  ].join(', ')

const read = (file: string): t.TypeOf<typeof File> => {
  try {
    const found = File.decode(JSON.parse(readFileSync(file, 'utf8')))
    return E.isRight(found) ? found.right : {}
  } catch {
    return {}
  }
}

/** What is remembered of these engines, if they were measured on this machine. */
export const rememberedSpeeds = (engines: readonly Engine[], env: Environment): Speeds | undefined => {
  try {
    return read(speedsFile(env))[keyOf(engines)]
  } catch {
    return undefined
  }
}

/** Remembers a measurement. Says whether it could. */
export const rememberSpeeds = (engines: readonly Engine[], speeds: Speeds, env: Environment): boolean => {
  try {
    const file = speedsFile(env)
    const half = `${file}.${process.pid}.tmp`
    mkdirSync(dirname(file), { recursive: true })
    try {
      writeFileSync(half, `${JSON.stringify({ ...read(file), [keyOf(engines)]: speeds }, null, 2)}\n`)
      renameSync(half, file)
    } finally {
      rmSync(half, { force: true })
    }
    return true
  } catch {
    return false
  }
}
