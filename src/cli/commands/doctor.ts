/** `sailwright doctor`: what is installed, which engine is taken and why, how fast it is, what would be faster. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Engine, XlaDescription, xlaDescription } from '../../engine/index.ts'
import {
  duration,
  gigabytes,
  inked,
  type Look,
  lookOf,
  significant,
  textTable,
} from '../../terminal/index.ts'
import type { EngineFound } from '../advice.ts'
import { attempt, type Command, failed, type Io, printJson } from '../command.ts'
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
    'The measurement is real work: training steps of the nano model (16 sequences of 128 tokens, an image each) and products of square matrices. It is remembered: where both engines load, a run takes the faster one. Exit code 1 where no engine loads.',
  ],
  run: (args, io) =>
    pipe(
      attempt(() => examine(io, !args.on('no-measure'))),
      TE.tapIO((found) => () => {
        if (args.on('json')) printJson(io, found)
        else io.stdout.write(shown(found, lookOf(io.stdout, io.env)))
      }),
      TE.filterOrElse(
        (found) => found.taken !== null,
        () => failed('no engine loads.'),
      ),
      TE.map(() => undefined),
    ),
}

/** The plugin of xla, and where it was found. */
const pluginOf = async (ask: typeof xlaDescription): Promise<Pick<EngineFound, 'from' | 'plugin'>> => {
  const plugin = await ask()()
  return plugin._tag === 'Left' ? {} : { from: plugin.right.plugin, plugin: plugin.right }
}

/** What a TensorFlow for CUDA opens, where it uses no GPU. */
const cudaOf = async (gpu: boolean): Promise<Pick<EngineFound, 'cuda'>> => {
  const { installedTensorflow, triedCuda } = await import('../../engine/index.ts')
  const library = gpu ? undefined : installedTensorflow()?.library
  const cuda = library === undefined ? [] : triedCuda(library)
  return cuda.length === 0 ? {} : { cuda }
}

const examine = async (io: Io, measure: boolean): Promise<Findings> => {
  const [
    { version },
    { machineNow, mayHaveVulkan },
    { candidates, loadOnnxRuntime, loadTensorflow, onnxEngine, pickEngine, rememberSpeeds, xlaDescription },
    { adviceOf },
  ] = await Promise.all([
    import('../version.ts'),
    import('../machine.ts'),
    import('../../engine/index.ts'),
    import('../advice.ts'),
  ])
  const here = await machineNow()
  const engines: EngineFound[] = []
  const loaded: Engine[] = []
  const webgpu = (await mayHaveVulkan(io.env)) ? await onnxEngine({ device: 'webgpu' })() : undefined
  const all = [
    ...(await candidates()),
    // the same engine elsewhere: told where a GPU is found
    ...(webgpu?._tag === 'Right' ? [{ name: 'onnx', device: 'webgpu', loaded: webgpu } as const] : []),
  ]
  for (const c of all) {
    if (c.loaded._tag === 'Left') {
      engines.push({ name: c.name, loads: false, problem: c.loaded.left.message })
      continue
    }
    const engine = c.loaded.right
    const onWebgpu = 'device' in c
    if (!onWebgpu) loaded.push(engine)
    const tensorflow = c.name === 'tensorflow' ? loadTensorflow() : undefined
    const onnx = loadOnnxRuntime()
    const found: EngineFound = {
      name: c.name,
      loads: true,
      version: engine.version,
      ...(tensorflow?._tag === 'Right'
        ? { from: tensorflow.right.from, gpu: tensorflow.right.gpu, ...(await cudaOf(tensorflow.right.gpu)) }
        : c.name === 'xla'
          ? { gpu: engine.accelerated === true, ...(await pluginOf(xlaDescription)) }
          : { from: onnx._tag === 'Right' ? onnx.right.from : '', gpu: onWebgpu }),
      ...(onWebgpu ? { device: 'webgpu' } : {}),
    }
    if (!measure) {
      engines.push(found)
      continue
    }
    io.stderr.write(
      `measuring ${onWebgpu ? 'onnx on webgpu' : c.name} for ${stepSeconds + productSeconds} seconds …\n`,
    )
    const { measureProduct, measureStep } = await import('../measure.ts')
    const step = await measureStep(engine, stepSeconds)()
    const product = await measureProduct(engine, productSize, productSeconds)()
    const problem = step._tag === 'Left' ? step.left : product._tag === 'Left' ? product.left : undefined
    engines.push({
      ...found,
      ...(step._tag === 'Right' ? { step: step.right } : {}),
      ...(product._tag === 'Right' ? { product: product.right } : {}),
      ...(problem === undefined ? {} : { problem: problem.message }),
    })
  }
  const speed = (name: EngineFound['name']): number =>
    engines.find((e) => e.name === name)?.step?.samplesPerSecond ?? 0
  const samplesPerSecond = { tensorflow: speed('tensorflow'), onnx: speed('onnx') }
  if (Object.values(samplesPerSecond).every((s) => s > 0))
    rememberSpeeds(
      loaded.filter((e) => e.name !== 'xla'),
      { measuredAt: new Date().toISOString(), samplesPerSecond },
      io.env,
    )
  const picked = await pickEngine('auto', io.env)()
  const taken =
    picked._tag === 'Left'
      ? null
      : { name: picked.right.engine.name, version: picked.right.engine.version, why: picked.right.why }
  return {
    sailwright: version(),
    machine: here,
    engines,
    taken,
    advice: adviceOf(here, engines, taken?.name),
  }
}

/** What a plugin is, and a line for each of its devices. */
const pluginLines = ({ from, apiVersion, platform, devices }: XlaDescription): readonly string[] => [
  `plugin: ${from}, PJRT API ${apiVersion}, platform ${platform}`,
  ...devices.map(({ id, kind, memory }) => {
    const of = memory?.limit === undefined ? '' : ` of ${gigabytes(memory.limit)}`
    return `device ${id}: ${kind}${memory === undefined ? '' : `, ${gigabytes(memory.used)}${of} memory used`}`
  }),
]

const shown = ({ sailwright, machine: m, engines, taken, advice }: Findings, look: Look): string => {
  const head = (text: string): string => inked(look, 'bold', text)
  const lines = [
    head('This machine'),
    `  Sailwright ${sailwright}, Node ${m.node}, ${m.system}`,
    `  ${m.cores} cores (${m.cpu}), ${gigabytes(m.freeBytes)} of ${gigabytes(m.memoryBytes)} memory available`,
    ...(m.gpus.length === 0 ? ['  no NVIDIA GPU'] : m.gpus.map((g) => `  GPU ${g}`)),
    '',
    head('Engines'),
    ...engines.flatMap((e) => [
      `  ${e.loads ? inked(look, 'green', '✓') : inked(look, 'yellow', '–')} ${e.name}: ${e.loads ? `${e.version}, from ${e.from}` : 'does not load'}`,
      ...(e.plugin === undefined ? [] : pluginLines(e.plugin).map((l) => `      ${l}`)),
      ...(e.cuda ?? []).flatMap((l) =>
        l.problem === undefined ? [] : [`      ${l.name} does not open: ${l.problem}`],
      ),
      ...(e.problem === undefined ? [] : e.problem.split('\n').map((l) => `      ${l}`)),
    ]),
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
  return `${lines.join('\n')}\n`
}
