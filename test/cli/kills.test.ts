/**
 * Whole runs that are killed again and again: they end with the weights of a run that was not, byte for byte. `KILLS` says how
 * often in each kind of stage; default 1.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunEvent } from '../../src/run/index.ts'
import { commandIn } from '../support/in-process.ts'

const test = suite('runs that are killed')
const root = mkdtempSync(join(tmpdir(), 'sailwright-survivors-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const rows = join(root, 'rows.jsonl')
const answers = ['red', 'green', 'blue', 'no']
writeFileSync(
  rows,
  Array.from({ length: 23 }, (_, i) =>
    JSON.stringify({ question: '?'.repeat(1 + (i % 5)), answer: answers[i % 4] }),
  ).join('\n'),
)
const survivor = resolve('test/support/experiments/survivor.ts')
const program = resolve('bin/sailwright.js')
const wordsFor = (folder: string): readonly string[] => [
  ...['run', survivor, '--engine', 'onnx', '--set', `rows=${rows}`, '--out', folder],
]

/** The experiment's stages, and how many steps each has. */
const stages = { plain: 12, packed: 12, accumulated: 12, lora: 12, searched: 24, own: 12 } as const
const order = Object.keys(stages)

const eventsIn = (folder: string): readonly RunEvent[] => {
  const file = join(folder, 'events.jsonl')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  return lines.map((l) => JSON.parse(l))
}

/** All files of the checkpoints, by path. */
const checkpoints = (folder: string): ReadonlyMap<string, Buffer> => {
  const at = join(folder, 'checkpoints')
  const files = readdirSync(at, { recursive: true, encoding: 'utf8' }).map((f) => join(at, f))
  return new Map(
    files
      .filter((f) => statSync(f).isFile())
      .sort()
      .map((f) => [relative(at, f), readFileSync(f)]),
  )
}

/** The files of a stage are those of the run that nothing stopped. */
const same = (folder: string, stage: string): void => {
  const got = checkpoints(folder)
  const want = [...checkpoints(join(root, 'alone'))].filter(([file]) => file.startsWith(`${stage}/`))
  assert.ok(want.length > 0)
  for (const [file, bytes] of want) assert.ok(got.get(file)!.equals(bytes), file)
}

/** Runs to the end, in this process: what one run has loaded serves the next. A fork is named by its path from where it runs. */
const finished = async (folder: string, ...more: readonly string[]): Promise<string> => {
  const { code, err } = await commandIn(root)([...wordsFor(folder), ...more], { cwd: process.cwd() })
  assert.is(code, 0, err)
  return err
}

/** Where a process is killed: once it has told of this step or of a later one, and so many milliseconds more have gone. */
interface Target {
  readonly stage: string
  readonly step: number
  readonly later: number
}

const reached = (e: RunEvent, { stage, step }: Target): boolean =>
  e.type === 'step' &&
  (order.indexOf(e.stage) > order.indexOf(stage) || (e.stage === stage && e.step >= step))

/** Starts the run, and kills it at the target; answers where it stood, undefined where it had ended by itself. */
const killed = async (
  folder: string,
  target: Target,
  ...more: readonly string[]
): Promise<string | undefined> => {
  const before = eventsIn(folder).length
  // it goes some steps past the target, and not out of its stage
  const hold = `hold=${target.stage} ${target.step + 3}`
  const words = [program, ...wordsFor(folder), '--set', 'pace=20', '--set', hold, ...more]
  const child = spawn(process.execPath, words, { stdio: 'ignore' })
  const gone = new Promise<NodeJS.Signals | null>((done) => child.once('exit', (_, signal) => done(signal)))
  const told = (): readonly RunEvent[] => eventsIn(folder).slice(before)
  while (child.exitCode === null && !told().some((e) => reached(e, target)))
    await new Promise((go) => setTimeout(go, 5))
  await new Promise((go) => setTimeout(go, target.later))
  child.kill('SIGKILL')
  if ((await gone) !== 'SIGKILL') return undefined
  const last = told().findLast((e) => e.type === 'step')
  return last?.type === 'step' ? `${last.stage} ${last.step}` : ''
}

/**
 * Random moments in a stage, in their order: not so late that the stage has ended when the kill comes; where there are several,
 * the first one early.
 */
const momentsIn = (stage: keyof typeof stages, count: number): readonly Target[] =>
  Array.from({ length: count }, (_, i) =>
    Math.ceil(Math.random() * (i === 0 ? (count === 1 ? stages[stage] - 6 : 4) : stages[stage])),
  )
    .sort((a, b) => a - b)
    .map((step, i) => ({ stage, step, later: Math.random() * (i === 0 ? 20 : 60) }))

test('killed at random moments of every kind of stage, a run ends with the bits of one that was not', async () => {
  const alone = join(root, 'alone')
  await finished(alone)
  const want = checkpoints(alone)
  assert.equal(
    [...want.keys()]
      .filter((f) => !/^\w+\/(model\.safetensors|(\w+_)?config\.json|tokenizer\.json)$/.test(f))
      .sort(),
    [
      'accumulated/ema.safetensors',
      'lora/adapter/adapter_config.json',
      'lora/adapter/adapter_model.safetensors',
    ],
  )
  const stands: string[] = []
  const kills = Number(process.env.KILLS ?? 1)
  /** A run that is killed in every other kind of stage, from the first or from the second on. */
  const chain = async (name: string, from: 0 | 1): Promise<void> => {
    const folder = join(root, name)
    const some = order.filter((_, i) => i % 2 === from)
    const targets = some.flatMap((stage) => momentsIn(stage as keyof typeof stages, kills))
    const story: string[] = []
    for (const target of targets) {
      const stood = await killed(folder, target)
      story.push(`${JSON.stringify(target)}: ${stood}`)
      if (stood !== undefined) stands.push(stood)
    }
    await finished(folder)
    const got = checkpoints(folder)
    assert.equal([...got.keys()], [...want.keys()], story.join('\n'))
    for (const [file, bytes] of want) assert.ok(got.get(file)!.equals(bytes), `${file}\n${story.join('\n')}`)
  }
  await Promise.all([chain('a', 0), chain('b', 1)])
  assert.ok(stands.length >= 5 * kills, `${stands.length} kills: ${stands.join(', ')}`)
  for (const stage of order)
    assert.ok(
      stands.some((s) => s.startsWith(`${stage} `)),
      `killed in ${stage}: ${stands.join(', ')}`,
    )
})

test('a disk that is full ends a run with its reason; with more room it goes on to the same bits', async () => {
  const folder = join(root, 'full')
  // the shell's limit on the size of a file stands for the disk's end: checkpoints inside a stage are larger than weights
  const weights = statSync(join(root, 'alone/checkpoints/plain/model.safetensors')).size
  const { status, stderr } = spawnSync(
    'bash',
    [
      ...['-c', 'ulimit -f "$0"; exec "$@"', String(Math.ceil(weights / 1024) + 4)],
      ...[process.execPath, program, ...wordsFor(folder)],
    ],
    { encoding: 'utf8' },
  )
  assert.is(status, 1, stderr)
  assert.match(stderr, /checkpoints\/plain\/training\.safetensors: the disk is full/)
  assert.match(stderr, /What was done is in/)
  // the stage in which there was no room
  await finished(folder, '--until', 'plain')
  same(folder, 'plain')
})

test('a truncated checkpoint: the one before it is taken, which is said, and the bits are the same', async () => {
  const folder = join(root, 'truncated')
  const alone = ['--fork', `${join(root, 'alone')}@lora`, '--until', 'searched']
  // behind the third checkpoint of that stage, and before the end that takes them away
  assert.is.not(await killed(folder, { stage: 'searched', step: 13, later: 0 }, ...alone), undefined)
  const latest = join(folder, 'checkpoints/searched/training.safetensors')
  writeFileSync(latest, readFileSync(latest).subarray(0, -5))
  assert.match(
    await finished(folder, ...alone),
    /stage searched goes on from step \d+, the checkpoint before its latest/,
  )
  same(folder, 'searched')
})

test.run()
