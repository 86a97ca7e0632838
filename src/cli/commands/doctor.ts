/** `sailwright doctor`: what is installed, which engine is taken and why, how fast it is, what would be faster. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Engine, EngineName, GraphicsDevice, Speeds, XlaDescription } from '../../engine/index.ts'
import { version } from '../../package/index.ts'
import { present } from '../../settings/internal.ts'
import { byteSize, duration, inked, type Look, lookOf, significant, textTable } from '../../terminal/index.ts'
import type { EngineFound } from '../advice.ts'
import { attempt, type Command, failed, type Io, printResult } from '../command.ts'
import type { MachineNow } from '../machine.ts'

/** Seconds of measuring an engine: four of training steps, one of products. */
const stepSeconds = 4
const productSeconds = 1
const productSize = 1024

interface Findings {
  readonly sailwright: string
  readonly machine: MachineNow
  readonly engines: readonly EngineFound[]
  /** The engine that `auto` takes, and why. */
  readonly taken: { readonly name: string; readonly version: string; readonly why: string } | null
  readonly advice: readonly string[]
}

/** `sailwright doctor`. */
export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'Says what this machine has, which engine is taken and why, how fast it is.',
  positionals: [],
  flags: {
    'no-measure': { help: 'leaves the measurement out' },
    json: { help: 'prints one JSON object' },
  },
  examples: [['sailwright doctor', 'looks and measures each engine for five seconds']],
  notes: [
    'The measurement is real work: training steps of the nano model (16 sequences of 128 tokens, an image each) and products of square matrices. It is remembered with the versions of the engines, the processor, and of WebGPU the GPU and its driver: a run takes the fastest, WebGPU only where its losses were those of the processor. Exit code 1 where no engine loads.',
  ],
  run: (args, io) =>
    pipe(
      attempt(() => examine(io, !args.on('no-measure'))),
      TE.tapIO((found) => () => {
        printResult(args, io, found, () => shown(found, lookOf(io.stdout, io.env)))
      }),
      TE.filterOrElse(
        (found) => found.taken !== null,
        () => failed('no engine loads.'),
      ),
      TE.map(() => undefined),
    ),
}

/** What is known of an engine that loads, before it is measured. */
const aboutOf = async (name: EngineName, engine: Engine, onWebgpu: boolean): Promise<EngineFound> => {
  const { graphicsHere, installedTensorflow, loadOnnxRuntime, loadTensorflow, triedCuda, xlaDescription } =
    await import('../../engine/index.ts')
  const about = { name, loads: true, version: engine.version }
  const tensorflow = name === 'tensorflow' ? loadTensorflow() : undefined
  if (tensorflow?._tag === 'Right') {
    const { from, gpu } = tensorflow.right
    // what a TensorFlow for CUDA opens, where it uses no GPU
    const library = gpu ? undefined : installedTensorflow()?.library
    const cuda = library === undefined ? [] : triedCuda(library)
    return { ...about, from, gpu, ...(cuda.length === 0 ? {} : { cuda }) }
  }
  if (name === 'xla') {
    const plugin = await xlaDescription()()
    const found = plugin._tag === 'Left' ? {} : { from: plugin.right.plugin, plugin: plugin.right }
    return { ...about, gpu: engine.accelerated === true, ...found }
  }
  const onnx = loadOnnxRuntime()
  const from = onnx._tag === 'Right' ? onnx.right.from : ''
  return {
    ...about,
    from,
    gpu: onWebgpu,
    ...(onWebgpu ? { device: 'webgpu', graphics: graphicsHere() } : {}),
  }
}

/** An engine with its speed, as far as that can be measured. */
const measured = async (found: EngineFound, engine: Engine, io: Io): Promise<EngineFound> => {
  const { measureProduct, measureStep } = await import('../measure.ts')
  const shown = found.device === undefined ? found.name : `${found.name} on ${found.device}`
  io.stderr.write(`measuring ${shown} for ${stepSeconds + productSeconds} seconds …\n`)
  const step = await measureStep(engine, stepSeconds)()
  const product = await measureProduct(engine, productSize, productSeconds)()
  const problem = step._tag === 'Left' ? step.left : product._tag === 'Left' ? product.left : undefined
  return {
    ...found,
    ...(step._tag === 'Right' ? { step: step.right } : {}),
    ...(product._tag === 'Right' ? { product: product.right } : {}),
    ...(problem === undefined ? {} : { problem: problem.message }),
  }
}

/** WebGPU against the processor: what was found, with how far its losses are where they are not the same. */
const compared = async (engines: readonly EngineFound[]): Promise<readonly EngineFound[]> => {
  const { lossDifference, sameLosses } = await import('../measure.ts')
  const there = engines.find((e) => e.name === 'onnx' && e.device === undefined)?.step?.losses ?? []
  return engines.map((e) =>
    e.device === undefined || e.step === undefined || sameLosses(e.step.losses, there)
      ? e
      : { ...e, differs: lossDifference(e.step.losses, there) },
  )
}

/** Whether all that Vulkan has are programs on the processor: a step of training takes minutes there. */
const isSoftware = (devices: readonly GraphicsDevice[]): boolean =>
  devices.length > 0 && devices.every((d) => d.software)

/** What is remembered of a measurement. */
export const speedsOf = (
  engines: readonly EngineFound[],
  speedName: (e: EngineFound) => string,
  at: Date,
): Speeds => {
  const measured = engines.filter((e) => e.name !== 'xla' && e.step !== undefined)
  const differ = measured.filter((e) => e.differs !== undefined).map(speedName)
  const gpu = measured.find((e) => e.graphics !== undefined)?.graphics
  return {
    measuredAt: at.toISOString(),
    samplesPerSecond: Object.fromEntries(measured.map((e) => [speedName(e), e.step!.samplesPerSecond])),
    ...present({ gpu }),
    ...(differ.length === 0 ? {} : { differ }),
  }
}

/** Remembers what was measured; a failure on the processor is no measurement. */
const remember = async (
  found: readonly EngineFound[],
  loaded: readonly Engine[],
  env: Io['env'],
): Promise<void> => {
  const { rememberSpeeds, speedName } = await import('../../engine/index.ts')
  const speeds = speedsOf(found, speedName, new Date())
  const own = loaded.filter((e) => e.name !== 'xla')
  if (loaded.length > 0 && own.every((e) => (speeds.samplesPerSecond[speedName(e)] ?? 0) > 0))
    rememberSpeeds(own, speeds, env)
}

const examine = async (io: Io, measure: boolean): Promise<Findings> => {
  const [{ machineNow, mayHaveVulkan }, { candidates, graphicsDevices, onnxEngine, pickEngine, speedName }] =
    await Promise.all([import('../machine.ts'), import('../../engine/index.ts')])
  const here = await machineNow()
  const webgpu = (await mayHaveVulkan(io.env)) ? await onnxEngine({ device: 'webgpu' })() : undefined
  const engines: EngineFound[] = []
  const loaded: Engine[] = []
  for (const c of await candidates()) {
    if (c.loaded._tag === 'Left') {
      engines.push({ name: c.name, loads: false, problem: c.loaded.left.message })
      continue
    }
    loaded.push(c.loaded.right)
    const found = await aboutOf(c.name, c.loaded.right, false)
    engines.push(measure ? await measured(found, c.loaded.right, io) : found)
  }
  // the same engine elsewhere: told where a GPU is found
  if (webgpu?._tag === 'Right') {
    const found = await aboutOf('onnx', webgpu.right, true)
    engines.push(
      isSoftware(graphicsDevices())
        ? { ...found, unmeasured: true }
        : measure
          ? await measured(found, webgpu.right, io)
          : found,
    )
  }
  const found = measure ? await compared(engines) : engines
  await remember(found, loaded, io.env)
  const picked = await pickEngine('auto', io.env)()
  const taken =
    picked._tag === 'Left'
      ? null
      : {
          name: speedName(picked.right.engine),
          version: picked.right.engine.version,
          why: picked.right.why,
        }
  const { adviceOf } = await import('../advice.ts')
  return {
    sailwright: version(),
    machine: here,
    engines: found,
    taken,
    advice: adviceOf(here, found, taken?.name),
  }
}

/** What a plugin is, and a line for each of its devices. */
const pluginLines = ({ from, apiVersion, platform, devices }: XlaDescription): readonly string[] => [
  `plugin: ${from}, PJRT API ${apiVersion}, platform ${platform}`,
  ...devices.map(({ id, kind, memory }) => {
    const of = memory?.limit === undefined ? '' : ` of ${byteSize(memory.limit)}`
    return `device ${id}: ${kind}${memory === undefined ? '' : `, ${byteSize(memory.used)}${of} memory used`}`
  }),
]

/** An engine, and below it what is to be known of it. */
const engineLines = (e: EngineFound, look: Look): readonly string[] => {
  const mark = e.loads ? inked(look, 'green', '✓') : inked(look, 'yellow', '–')
  const about = [
    e.graphics && `on ${e.graphics}`,
    e.unmeasured && 'which is no GPU: it is not measured, and taken only where it is asked for',
    e.differs !== undefined &&
      `its losses are not the processor's (${(100 * e.differs).toPrecision(2)} % off): it is taken only where it is asked for`,
    ...(e.plugin === undefined ? [] : pluginLines(e.plugin)),
    ...(e.cuda ?? []).map((l) => l.problem !== undefined && `${l.name} does not open: ${l.problem}`),
    ...(e.problem?.split('\n') ?? []),
  ]
  return [
    `  ${mark} ${e.name}: ${e.loads ? `${e.version}, from ${e.from}` : 'does not load'}`,
    ...about.flatMap((line) => (typeof line === 'string' ? [`      ${line}`] : [])),
  ]
}

const shown = ({ sailwright, machine: m, engines, taken, advice }: Findings, look: Look): string => {
  const head = (text: string): string => inked(look, 'bold', text)
  const lines = [
    head('This machine'),
    `  Sailwright ${sailwright}, Node ${m.node}, ${m.system}`,
    `  ${m.cores} cores (${m.cpu}), ${byteSize(m.freeBytes)} of ${byteSize(m.memoryBytes)} memory available`,
    ...(m.gpus.length === 0 ? ['  no NVIDIA GPU'] : m.gpus.map((g) => `  GPU ${g}`)),
    '',
    head('Engines'),
    ...engines.flatMap((e) => engineLines(e, look)),
    taken === null ? '  none can be taken' : `  taken: ${head(taken.name)}, because ${taken.why}`,
  ]
  const measured = engines.filter((e) => e.step !== undefined)
  if (measured.length > 0) {
    const step = measured[0]!.step!
    const table = textTable(
      [
        { head: 'engine' },
        { head: 'samples/s', align: 'right' },
        { head: 'a step', align: 'right' },
        { head: 'first step after', align: 'right' },
        { head: `product of ${productSize}²`, align: 'right' },
      ],
      measured.map((e) => [
        e.device === undefined ? e.name : `${e.name} on ${e.device}`,
        significant(e.step!.samplesPerSecond),
        duration(e.step!.stepSeconds),
        duration(e.step!.firstStepSeconds),
        e.product === undefined ? '–' : `${significant(e.product.gflops)} GFLOPS`,
      ]),
      look,
    )
    lines.push(
      '',
      head(
        `Speed: training steps of ${step.model}, ${step.batch} sequences of ${step.length} tokens with an image each`,
      ),
      ...table.split('\n').map((l) => `  ${l}`),
    )
  }
  if (advice.length > 0) lines.push('', head('For more speed'), ...advice.map((a) => `  • ${a}`))
  return lines.join('\n')
}
