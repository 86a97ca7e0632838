/**
 * What is checked and measured on a machine with a GPU, part by part, each with a limit of its own, so that one that fails
 * does not stop the rest. `run.sh` starts it; results go to `$OUT`: `gpu-check.json`, `gpu-check.txt`, `log.txt`,
 * `files.tar` (what the parts wrote).
 *
 *     bash .gpu/run [part …]      parts by name, in that order; default: all
 *     bash .gpu/run targets       what the engine is asked for on a card, in under three minutes
 *
 * `GPU_CHECK_SECONDS` is how long all may take together (default 540, the targets 175), `GPU_CHECK_ENGINE` the engine (default xla),
 * `GPU_CHECK_TINY=1` takes sizes for trying the whole out without a GPU.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { large } from '../../bench/models.ts'
import { engineHome } from '../../src/engine/tensorflow/home.ts'
import { nano } from '../../src/models/index.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'gpu-check-'))
const out = process.env.OUT ?? work
const files = join(work, 'files')
mkdirSync(files, { recursive: true })
mkdirSync(out, { recursive: true })

const engine = process.env.GPU_CHECK_ENGINE ?? 'xla'
const tiny = process.env.GPU_CHECK_TINY === '1'
const python = process.env.PYTHON ?? 'python3'
const began = Number(process.env.GPU_CHECK_BEGAN ?? Date.now() / 1000)

/** Steps of nano, generation, the recipe whole, and what stands beside them. */
const targets = [
  ...['doctor', 'step-nano', 'generation', 'recipe', 'webgpu', 'tensorflow-xla', 'generation-hugging-face'],
  'generation-flags',
]
const words = process.argv.slice(2)
const asked = words.flatMap((word) => (word === 'targets' ? targets : [word]))
const total = Number(process.env.GPU_CHECK_SECONDS ?? (words.includes('targets') ? 175 : 540))
const elapsed = (): number => Date.now() / 1000 - began
const left = (): number => total - elapsed()

/** A part of the check. */
interface Part {
  readonly name: string
  /** Seconds. */
  readonly limit: number
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Lines of what it printed that say how it went. */
  readonly tell: (printed: string) => string
}

interface Ended {
  readonly name: string
  readonly code: number | string
  readonly seconds: number
  readonly told: string
}

const results: Ended[] = []
const machine: Record<string, string> = {}

const record = (): void => {
  writeFileSync(
    join(out, 'gpu-check.json'),
    JSON.stringify({ machine, parts: results, measured: measured() }, undefined, 1),
  )
  const lines = results.map(
    (r) =>
      `== ${r.name}: ${r.code === 0 ? 'ok' : `ended with ${r.code}`}, ${r.seconds.toFixed(1)} s\n${r.told}`,
  )
  const about = Object.entries(machine).map(([k, v]) => `${k}: ${v}`)
  writeFileSync(join(out, 'gpu-check.txt'), `${[...about, ...lines].join('\n\n')}\n`)
  spawnSync('tar', ['-cf', join(out, 'files.tar'), '-C', work, 'files'])
}

/** What the parts wrote as JSON, by file. */
const measured = (): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    readdirSync(files)
      .filter((f) => f.endsWith('.json'))
      .flatMap((f) => {
        try {
          return [[f.replace(/\.json$/, ''), JSON.parse(readFileSync(join(files, f), 'utf8'))]]
        } catch {
          return []
        }
      }),
  )

const run = (p: Part): Promise<void> =>
  new Promise((resolve) => {
    const limit = Math.min(p.limit, left())
    if (limit < 3) {
      results.push({ name: p.name, code: 'no time left', seconds: 0, told: '' })
      record()
      resolve()
      return
    }
    const at = Date.now()
    let printed = ''
    // a group of its own, so that what it started ends with it
    const child = spawn(p.command[0]!, p.command.slice(1), {
      ...{ cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...p.env } },
    })
    const hear = (x: Buffer): void => {
      printed += x
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    const stop = (): void => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // it has ended
      }
    }
    const timer = setTimeout(stop, 1000 * limit)
    let over = false
    const end = (code: number | string): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      stop()
      const seconds = (Date.now() - at) / 1000
      appendFileSync(
        join(out, 'log.txt'),
        `\n#### ${p.name}: ${p.command.join(' ')}\n${printed.slice(-400_000)}\n`,
      )
      const r = { name: p.name, code, seconds, told: p.tell(printed) }
      results.push(r)
      record()
      process.stdout.write(
        `== ${r.name}: ${code === 0 ? 'ok' : `ended with ${code}`}, ${seconds.toFixed(1)} s of ${elapsed().toFixed(0)}\n${r.told}\n`,
      )
      resolve()
    }
    child.on('error', (e) => end(e.message))
    child.on('exit', (code, signal) =>
      setTimeout(
        () => end(code ?? (signal === 'SIGKILL' ? `its limit of ${limit.toFixed(0)} s` : String(signal))),
        50,
      ),
    )
  })

const lastLines =
  (n: number) =>
  (printed: string): string =>
    printed.trimEnd().split('\n').slice(-n).join('\n')
const matching =
  (pattern: RegExp, n: number) =>
  (printed: string): string =>
    printed
      .split('\n')
      .filter((l) => pattern.test(l))
      .slice(-n)
      .join('\n')

const tsx = (...words: readonly string[]): readonly string[] => [
  process.execPath,
  '--import',
  'tsx',
  ...words,
]
const sailwright = (...words: readonly string[]): readonly string[] => [
  process.execPath,
  'bin/sailwright.js',
  ...words,
]

const holdFile = join(work, 'go')
const recipe = (name: string, limit: number, ...words: readonly string[]): Part => ({
  ...{
    name,
    limit,
    command: sailwright(
      'run',
      'examples/recipe.ts',
      ...(words.includes('--engine') ? [] : ['--engine', engine]),
      '--precision',
      tiny ? 'float32' : 'bfloat16',
      '--out',
      join(work, name),
      ...words,
    ),
  },
  tell: lastLines(25),
})

/** Whether TensorFlow is installed there, which is too large to be carried. */
const hasTensorflow = existsSync(engineHome().binding)

/** What XLA might do otherwise: the best of kernels that were tried, loops that the host launches, one thing after another. */
const flagSets: readonly Readonly<Record<string, string | number | boolean>>[] = [
  { xla_gpu_autotune_level: 4, xla_gpu_enable_triton_gemm: true },
  { xla_gpu_enable_command_buffer: 'FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION' },
  { xla_gpu_command_buffer_scheduling_mode: 'LHS' },
]

/** Programs whose kernels are timed one by one, and flags beside the engine's own. */
const timed: readonly (readonly [string, Readonly<Record<string, string | number | boolean>>])[] = [
  ['nano-step', {}],
  ['nano-step', { xla_gpu_enable_command_buffer: '' }],
  ['nano-loop', {}],
  ['88m-step', {}],
  // do the first kernels suit larger products as well, which would halve the time to the first step?
  ['88m-step', { xla_gpu_autotune_level: 0, xla_gpu_enable_triton_gemm: false }],
  ['88m-loop', {}],
]

/** Vulkan's loader, where a folder of packages was carried; the driver is the machine's. */
const webgpu: Part = {
  ...{ name: 'webgpu', limit: 100 },
  command: [
    ...['bash', '-c'],
    'for f in .gpu-onnx/*.deb; do [ -f "$f" ] && dpkg -x "$f" /; done; ldconfig; icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json; [ -f $icd ] && export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd; exec "$@"',
    'webgpu',
    ...tsx('bench/webgpu.ts', '--out', join(files, 'webgpu.json'), ...(tiny ? ['--steps', '3'] : [])),
  ],
  tell: lastLines(6),
}

/** What Hugging Face's `generate` is measured on: as bench/generation.ts. */
const generated = [nano.language, large].map((config) => ({
  config: tiny ? nano.language : config,
  ...{ lengths: Array.from({ length: tiny ? 4 : 64 }, (_, i) => 24 + ((5 * i) % 17)), tokens: tiny ? 8 : 64 },
  ...{ threads: 8, precision: 'bfloat16' },
}))

const parts: readonly Part[] = [
  {
    name: 'doctor',
    limit: 60,
    command: sailwright('doctor', '--no-measure'),
    tell: lastLines(40),
  },
  {
    ...{ name: 'tests', limit: tiny ? 240 : 150 },
    command: tsx(
      'scripts/test.ts',
      process.env.GPU_CHECK_TESTS ??
        'engine/(session|graphs|random-graphs|lowering|dtypes|scale|standardise|state-writes|adamw-narrow|gradient-points|loop|xla/(?!install|pjrt/sharded))|models/.*fixture',
    ),
    tell: (printed) =>
      `${matching(/FAIL|skipped|is not here|took|✘/, 40)(printed)}\n${lastLines(8)(printed)}`,
  },
  {
    ...{ name: 'steps', limit: tiny ? 240 : 420 },
    command: tsx(
      ...[
        'bench/accelerator.ts',
        '--engine',
        engine,
        '--python',
        python,
        '--out',
        join(files, 'steps.json'),
        '--hold',
        holdFile,
      ],
      ...(tiny ? ['--tiny', '--cases', 'tiny'] : []),
      ...(process.env.GPU_CHECK_STEPS?.split(' ') ?? []),
    ),
    tell: (printed) => {
      const at = printed.lastIndexOf('| step |')
      const whole = printed.lastIndexOf('\n\n| step |')
      return whole >= 0
        ? printed.slice(whole).trim()
        : matching(/^\| (?!step|---)/, 30)(printed) || printed.slice(Math.max(0, at))
    },
  },
  {
    // one model, by this engine alone
    ...{ name: 'step-nano', limit: 60 },
    command: tsx(
      ...['bench/accelerator.ts', '--engine', engine, '--out', join(files, 'step-nano.json')],
      ...['--cases', tiny ? 'tiny' : 'nano', '--rows', 'bfloat16', '--torch', ''],
      ...(tiny ? ['--tiny'] : []),
    ),
    tell: lastLines(4),
  },
  {
    // which addresses change from call to call of nano's step, and what XLA writes anew for it
    ...{ name: 'addresses', limit: tiny ? 240 : 60 },
    command: tsx('scripts/gpu-check/addresses.ts', ...(tiny ? ['--tiny'] : [])),
    tell: matching(/^[a-z-]+(, [a-z-]+)?: /, 40),
  },
  {
    ...{ name: 'generation', limit: 100 },
    command: tsx(
      'bench/generation.ts',
      '--engine',
      engine,
      '--precision',
      'bfloat16',
      ...(tiny ? ['--rows', '4', '--tokens', '8', '--rounds', '1'] : []),
    ),
    tell: lastLines(12),
  },
  {
    ...{ name: 'generation-hugging-face', limit: 80 },
    command: [
      ...[
        'bash',
        '-c',
        'for c in "$@"; do yes go | head -4 | "$PYTHON" bench/pytorch/generation.py "$c" || exit 1; done',
        'generation',
      ],
      ...generated.map((c) => JSON.stringify(c)),
    ],
    env: { PYTHON: python },
    tell: (printed) =>
      printed
        .split('\n')
        .filter((l) => l.startsWith('{'))
        .map((l) => JSON.parse(l))
        .map((r) =>
          r.version === undefined
            ? `${(r.tokens / r.seconds).toFixed(0)} tokens/s`
            : `${r.version}, ${r.parameters} parameters`,
        )
        .join('\n'),
  },
  {
    // by JAX's profiler, a process each; all compile at once
    ...{ name: 'kernels', limit: 150 },
    command: [
      ...['bash', '-c'],
      '"$NODE" --import tsx scripts/gpu-check/texts.ts "$TEXTS" && for f in "$@"; do "$PYTHON" scripts/gpu-check/kernels.py "$TEXTS" $f & done; wait',
      'kernels',
      ...timed.map(([name, flags]) => `${name} ${JSON.stringify(flags)}`),
    ],
    env: { NODE: process.execPath, PYTHON: python, TEXTS: files },
    tell: matching(/ms a call|kernels in|Error/, 30),
  },
  recipe('recipe-quick', 110, '--quick'),
  recipe('recipe', 200),
  {
    ...{ name: 'generation-flags', limit: 120 },
    command: [
      ...[
        'bash',
        '-c',
        'for f in "$@"; do timeout 40 "$NODE" --import tsx bench/generation.ts $WORDS --flags "$f" || echo "$f: ended with $?"; done',
      ],
      'flags',
      ...flagSets.map((f) => JSON.stringify(f)),
    ],
    env: {
      NODE: process.execPath,
      WORDS: `--engine xla --precision bfloat16${tiny ? ' --rows 4 --tokens 8 --rounds 1 --models nano' : ''}`,
    },
    tell: matching(/tokens\/s|ended with/, 12),
  },
  ...(hasTensorflow
    ? [recipe('tensorflow-xla', 90, '--quick', '--engine', 'tensorflow', '--compile', 'xla')]
    : []),
  // ONNX Runtime is packed only where it is asked for
  ...(existsSync(join(root, 'vendor/onnxruntime-node')) ? [webgpu] : []),
]

const extra = join(root, '.gpu', 'extra')
const extras: readonly Part[] = (existsSync(extra) ? readdirSync(extra).sort() : [])
  .filter((f) => f.endsWith('.sh'))
  .map(
    (f): Part => ({
      ...{ name: f.replace(/\.sh$/, ''), limit: Number(/\.(\d+)s\.sh$/.exec(f)?.[1] ?? 120) },
      command: ['bash', join(extra, f)],
      env: { FILES: files, ENGINE: engine, SAILWRIGHT_PYTHON: python },
      tell: lastLines(30),
    }),
  )

const plugin = spawnSync(
  python,
  [
    '-c',
    'import glob, sysconfig; print(*glob.glob(sysconfig.get_path("purelib") + "/jax_plugins/xla_cuda*/xla_cuda_plugin.so"))',
  ],
  { encoding: 'utf8' },
).stdout?.trim()
if (plugin !== undefined && plugin !== '') {
  process.env.SAILWRIGHT_XLA_PLUGIN ??= plugin
  process.env.SAILWRIGHT_TEST_PLUGIN ??= plugin
}
machine.plugin = process.env.SAILWRIGHT_XLA_PLUGIN ?? 'none'

const named = (word: string, p: Part): boolean => p.name === word || p.name.startsWith(`${word}.`)
const all = [...parts, ...extras]
const chosen =
  asked.length === 0
    ? // the steps have nano's
      all.filter((p) => p.name !== 'step-nano')
    : [...new Set(asked.flatMap((word) => all.filter((p) => named(word, p))))]
const gpu = spawnSync(
  'nvidia-smi',
  ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'],
  { encoding: 'utf8' },
)
machine.gpu = (gpu.stdout ?? 'none').trim()
machine.versions = (
  spawnSync(
    python,
    [
      '-c',
      'from importlib.metadata import version as v\nfor n in ("torch", "transformers", "jax", "jax-cuda13-pjrt", "nvidia-cudnn-cu13"):\n  try: print(n, v(n), end="; ")\n  except Exception: pass',
    ],
    { encoding: 'utf8' },
  ).stdout ?? ''
).trim()
machine.node = process.version
machine.at = new Date().toISOString()
process.stdout.write(`${JSON.stringify(machine)}\nunpacked after ${elapsed().toFixed(1)} s\n`)

// what compiles for long in PyTorch does so beside what measures nothing
const steps = chosen.find((p) => p.name === 'steps')
const early = chosen.filter((p) => ['doctor', 'tests', 'recipe-quick'].includes(p.name))
const late = chosen.filter((p) => p !== steps && !early.includes(p))
const stepping = steps === undefined ? Promise.resolve() : run(steps)
for (const p of early) await run(p)
writeFileSync(holdFile, '')
await stepping
for (const p of late) await run(p)
record()
process.stdout.write(`all in ${elapsed().toFixed(0)} s\n`)
process.exit(results.every((r) => r.code === 0) ? 0 : 1)
