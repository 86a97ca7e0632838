/** Which engine runs: the one that was asked for, or the best that loads. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { kindOf, onlySettings, SettingsError, shownValue } from '../settings/index.ts'
import { called, didYouMean } from '../terminal/index.ts'
import { type EngineError, engineError } from './error.ts'
import { graphicsHere } from './onnx/graphics.ts'
import { onnxEngine } from './onnx/index.ts'
import type { Engine, EngineName } from './session.ts'
import { type Environment, rememberedSpeeds, type Speeds, speedName } from './speeds.ts'
import { tensorflowEngine } from './tensorflow/index.ts'
import { xlaEngine } from './xla/index.ts'

/** An engine, and why it was taken. */
export interface Picked {
  readonly engine: Engine
  readonly why: string
}

/** One engine, loaded or not. */
export interface Candidate {
  readonly name: EngineName
  readonly loaded: E.Either<EngineError, Engine>
}

/** How engines are loaded, and what a GPU is called here. */
export interface Loaders extends Readonly<Record<EngineName, () => TaskEither<EngineError, Engine>>> {
  /** onnx on a GPU. */
  readonly webgpu: () => TaskEither<EngineError, Engine>
  /** The GPU that WebGPU has here, and its driver. */
  readonly graphics: () => string
}

/** As they are loaded here. */
export const real: Loaders = {
  tensorflow: () => tensorflowEngine(),
  onnx: () => onnxEngine(),
  xla: () => xlaEngine(),
  webgpu: () => onnxEngine({ device: 'webgpu' }),
  graphics: () => graphicsHere(),
}

const tried = async (name: EngineName, loaders: Loaders = real): Promise<Candidate> => ({
  name,
  loaded: await loaders[name]()(),
})

/** Tries to load every engine. */
export const candidates = async (): Promise<readonly Candidate[]> => [
  await tried('tensorflow'),
  await tried('onnx'),
  await tried('xla'),
]

/**
 * The fastest of some engines by a measurement, and in words how it was measured.
 *
 * @throws SettingsError where there are no engines, or it is no measurement
 */
export const fasterOf = (engines: readonly [Engine, ...Engine[]], speeds: Speeds): Picked => {
  const bad = (what: string, given: unknown, give: string): SettingsError =>
    new SettingsError('fasterOf', what, `it is ${kindOf(given)}; give ${give}`)
  if (!Array.isArray(engines) || engines.length === 0)
    throw bad('engines', engines, 'a list of engines with at least one')
  for (const e of engines) speedName(e)
  if (typeof speeds?.samplesPerSecond !== 'object' || typeof speeds.measuredAt !== 'string')
    throw bad('speeds', speeds, 'a measurement: { measuredAt, samplesPerSecond }')
  const speed = (e: Engine): number => speeds.samplesPerSecond[speedName(e)] ?? 0
  const [fast, next] = engines.toSorted((a, b) => speed(b) - speed(a)) as [Engine, Engine?]
  const again = `measured ${speeds.measuredAt.slice(0, 10)}; '${called()} doctor' measures again`
  if (next === undefined) return { engine: fast, why: `no other loads, ${again}` }
  if (!(speed(next) > 0)) return { engine: fast, why: `${speedName(next)} failed when it was measured` }
  const times = (speed(fast) / speed(next)).toFixed(2)
  const on = fast.device === undefined ? '' : ` on ${speeds.gpu}`
  const asFast = times === '1.00' ? 'as fast' : `${times} times as fast`
  return { engine: fast, why: `${asFast} as ${speedName(next)} here${on}, ${again}` }
}

/** The name under which onnx on a GPU was measured. */
const onWebgpu = speedName({ name: 'onnx', device: 'webgpu' })

/** onnx on a GPU where it was the fastest and computed what the processor does; else why it is left out, if there is a reason. */
const measuredGpu = async (
  speeds: Speeds,
  loaders: Loaders,
): Promise<{ readonly engine?: Engine; readonly instead?: string }> => {
  const { [onWebgpu]: speed = 0, ...others } = speeds.samplesPerSecond
  if (!(speed > Math.max(0, ...Object.values(others)))) return {}
  const faster = `; ${onWebgpu} was faster and is left out, because`
  if (speeds.differ?.includes(onWebgpu) === true)
    return { instead: `${faster} its losses were not the processor's` }
  if (loaders.graphics() !== speeds.gpu) return { instead: `${faster} the GPU or its driver is another now` }
  const loaded = await loaders.webgpu()()
  return E.isRight(loaded)
    ? { engine: loaded.right }
    : { instead: `${faster} it does not load now: ${briefly(loaded.left)}` }
}

/** Why an engine does not load, on one line. */
const briefly = (e: EngineError): string => e.message.split('\n')[0]!.replace(/[.\s]*Tried:$/, '')

/** What may be said of a choice. */
export interface Picking {
  /** Whether `auto` may take onnx on a GPU where that was measured as the fastest; default yes. */
  readonly webgpu?: boolean
}

/** {@link pickEngine} of engines that are loaded so. */
export const picking =
  (loaders: Loaders) =>
  (
    wanted: 'auto' | EngineName,
    env: Environment = process.env,
    options: Picking = {},
  ): TaskEither<EngineError, Picked> =>
  async () => {
    const { webgpu = true } = onlySettings('pickEngine', options, ['webgpu'])
    const names = ['auto', 'tensorflow', 'onnx', 'xla'] as const
    if (!names.includes(wanted))
      return E.left(
        engineError(
          'BadOption',
          `there is no engine ${shownValue(wanted)}; there are ${names.join(', ')}.${didYouMean(String(wanted), names)}`,
        ),
      )
    if (wanted !== 'auto')
      return E.map((engine: Engine): Picked => ({ engine, why: 'asked for by name' }))(
        await loaders[wanted]()(),
      )
    const xla = await tried('xla', loaders)
    if (isAccelerated(xla)) return E.right({ engine: xla.loaded.right, why: 'it computes on the GPU' })
    const [tensorflow, onnx] = [await tried('tensorflow', loaders), await tried('onnx', loaders)]
    if (isAccelerated(tensorflow))
      return E.right({ engine: tensorflow.loaded.right, why: 'it computes on the GPU' })
    const here = [tensorflow, onnx].flatMap(({ loaded }) => (E.isRight(loaded) ? [loaded.right] : []))
    const problems = [tensorflow, onnx].flatMap(({ loaded }) => (E.isLeft(loaded) ? [loaded.left] : []))
    const [engine] = here
    if (engine === undefined)
      return E.left(
        engineError(
          'NotInstalled',
          `no engine loads.\n  tensorflow: ${problems[0]!.message}\n  onnx: ${problems[1]!.message}`,
        ),
      )
    const [problem] = problems
    const alone = problem === undefined ? undefined : `the other one does not load: ${briefly(problem)}`
    const speeds = rememberedSpeeds(here, env)
    if (speeds === undefined)
      return E.right({
        engine,
        why:
          alone === undefined
            ? `both engines load; which is faster here, '${called()} doctor' measures`
            : `${alone}; whether a GPU is faster, '${called()} doctor' measures`,
      })
    const gpu = webgpu ? await measuredGpu(speeds, loaders) : {}
    if (gpu.engine !== undefined) return E.right(fasterOf([engine, ...here.slice(1), gpu.engine], speeds))
    const picked = alone === undefined ? fasterOf([engine, ...here.slice(1)], speeds) : { engine, why: alone }
    return E.right({ ...picked, why: `${picked.why}${gpu.instead ?? ''}` })
  }

/**
 * A name takes that engine or fails with its reason. `auto` takes one that computes on a GPU or another accelerator by its
 * maker's libraries, xla before tensorflow; else, of tensorflow, onnx, and onnx on a GPU by WebGPU, the one that was fastest
 * when they were last measured on this machine; where nothing was measured, tensorflow before onnx. WebGPU is taken only where
 * it was measured, on the same GPU and driver, and its losses were the processor's. It measures nothing itself:
 * `sailwright doctor` does, and `sailwright run` where nothing is remembered and both engines load.
 *
 * @example
 * import { axis, fixed, input, mul, program } from 'sailwright/dsl'
 *
 * const double = fixed(() => ({ outputs: { y: mul(input('x', [axis('row', 2)]), 2) } }))
 * const run = pipe(
 *   pickEngine('onnx'), // 'auto' takes the best that loads
 *   TE.chain(({ engine }) => engine.load(program({ name: 'doubling', functions: { double } }))),
 *   TE.chain((session) => session.call('double', { x: tensorValue('float32', [2], [1, 2]) })),
 * )
 * await run() // E.right({ y: tensorValue('float32', [2], [2, 4]) })
 *
 * @category engines
 */
export const pickEngine = picking(real)

/** Whether an engine loads and computes on a GPU or another accelerator. */
const isAccelerated = (c: Candidate): c is Candidate & { readonly loaded: E.Right<Engine> } =>
  E.isRight(c.loaded) && c.loaded.right.accelerated === true

/** The two engines between which only a measurement can choose: both load, none on a GPU, nothing is remembered. */
export const enginesToMeasure = async (
  env: Environment = process.env,
): Promise<readonly [Engine, Engine] | undefined> => {
  const [tensorflow, onnx] = [await tried('tensorflow'), await tried('onnx')]
  if (E.isLeft(tensorflow.loaded) || E.isLeft(onnx.loaded)) return undefined
  if (isAccelerated(tensorflow) || isAccelerated(await tried('xla'))) return undefined
  const both = [tensorflow.loaded.right, onnx.loaded.right] as const
  return rememberedSpeeds(both, env) === undefined ? both : undefined
}
