/** `sailwright rollouts`: what a run of reinforcement drew and how it was judged, in the terminal. */
import { resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { EventOf, FileError, RecordedRun } from '../../run/index.ts'
import { didYouMean, grouped, lookOf } from '../../terminal/index.ts'
import {
  type Args,
  type CliError,
  type Command,
  failed,
  type Io,
  printJson,
  printResult,
  refuse,
  usage,
} from '../command.ts'
import type { Reading, RolloutRow, Wanted } from '../rollout-rows.ts'

/** `sailwright rollouts <run folder> [options]`. */
export const rolloutsCommand: Command = {
  name: 'rollouts',
  summary: 'Reads what a run of reinforcement drew: completions with their rewards, or one group in full.',
  positionals: [
    { name: 'run folder', help: 'the folder of a run, also of one that still goes on', required: true },
  ],
  flags: {
    stage: { value: 'name', help: 'only of this stage' },
    episode: { value: 'n', help: 'only of this episode, the first is 0', integerFrom: 0 },
    step: { value: 'n', help: 'only of the episode whose updates this step is of', integerFrom: 1 },
    family: { value: 'name', help: 'only of this family of tasks' },
    task: { value: 'id', help: 'the groups of this task in full' },
    search: { value: 'text', help: 'only with this text in completion, question or task, whatever the case' },
    discarded: { help: 'only of groups that took part in no update' },
    sort: {
      value: 'by',
      help: 'the highest first; without a number last',
      choices: ['reward', 'advantage', 'length'],
      otherwise: 'as recorded',
    },
    ascending: { help: 'with --sort: the lowest first' },
    limit: { value: 'n', help: 'completions at most', integerFrom: 1, otherwise: '20' },
    json: { help: 'prints one JSON object instead' },
  },
  oneOf: ['episode', 'step'],
  examples: [
    ['sailwright rollouts runs/rl', 'the first completions, with reward and advantage'],
    ['sailwright rollouts runs/rl --sort reward --ascending --limit 10', 'the worst'],
    ['sailwright rollouts runs/rl --step 12 --search boxed', 'what step 12 learnt from, if it has the word'],
    ['sailwright rollouts runs/rl --task chart/17@3', 'one group: evidence and all'],
  ],
  notes: [
    'A group is what was drawn for one task. Of a group in full, colours tell how sure the policy was of a token: yellow below one in two, red below one in ten.',
    'The lines of rollouts/<stage>/<episode>.jsonl are what is read; a damaged one is named and passed over.',
  ],
  run: (args, io) => async () => {
    const wrong = contradiction(args)
    if (wrong !== undefined) return refuse(wrong)
    const { readRun } = await import('../../run/index.ts')
    const recorded = await readRun(resolve(io.cwd, args.positionals[0]!))()
    if (E.isLeft(recorded)) return E.left(cliError(recorded.left))
    const asked = episodeWanted(args, recorded.right)
    if (E.isLeft(asked)) return asked
    const task = args.text('task')
    return task === undefined
      ? listed(args, io, recorded.right, asked.right)
      : inFull(args, io, recorded.right, asked.right, task)
  },
}

const cliError = (e: FileError): CliError => (e._tag === 'Missing' ? usage(e.message) : failed(e.message))

/** Options that say nothing together. */
const contradiction = (args: Args): string | undefined => {
  const idle = ['sort', 'ascending', 'limit', 'search', 'discarded'].find((f) => args.on(f))
  if (args.on('task') && idle !== undefined)
    return `--${idle} is of a list, and --task shows one task's groups in full; leave one of them out.`
  return args.on('ascending') && !args.on('sort')
    ? '--ascending needs --sort reward, advantage or length.'
    : undefined
}

type OfEpisode = Wanted['episode']

/** Which episodes are asked for. A step is one of an episode's updates, as the run's events tell. */
const episodeWanted = (args: Args, run: RecordedRun): E.Either<CliError, OfEpisode> => {
  const [episode, step, stage] = [args.integer('episode'), args.integer('step'), args.text('stage')]
  if (step === undefined) return E.right((g) => episode === undefined || g.episode === episode)
  const taken = run.events.filter((e) => e.type === 'rl-step' && (stage === undefined || e.stage === stage))
  const steps = taken as readonly EventOf<'rl-step'>[]
  const own = steps.filter((e) => e.step === step)
  if (own.length > 0) return E.right((g) => own.some((e) => e.stage === g.stage && e.episode === g.episode))
  const last = steps.reduce((most, e) => Math.max(most, e.step), 0)
  return refuse(
    steps.length === 0
      ? `--step ${step}: the run has taken no step of reinforcement${stage === undefined ? '' : ` in stage '${stage}'`}.`
      : `--step ${step}: there is no such update; those of this run go up to ${grouped(last)}${last > step ? ', and an episode whose groups were all discarded has none' : ''}.`,
  )
}

type Folded = { readonly reading: Reading; readonly damaged: readonly FileError[] }

/** A stage that went on has begun more than once. */
const stagesBegun = (run: RecordedRun): readonly string[] => [
  ...new Set(run.events.flatMap((e) => (e.type === 'stage-started' ? [`'${e.stage}'`] : []))),
]

/** Reads the groups that are wanted; where there are none, says what there is. */
const reading = async (args: Args, run: RecordedRun, wanted: Wanted): Promise<E.Either<CliError, Folded>> => {
  const { foldRollouts } = await import('../../run/index.ts')
  const { nothingRead, read } = await import('../rollout-rows.ts')
  const [stage, episode, family] = [args.text('stage'), args.integer('episode'), args.text('family')]
  const some = await foldRollouts(run.folder, { stage, episode }, nothingRead(), read(wanted))()
  if (E.isLeft(some)) return E.left(cliError(some.left))
  const { state, damaged } = some.right
  if (state.groups > 0 && (family === undefined || state.families.has(family)))
    return E.right({ reading: state, damaged })
  const all = await foldRollouts(run.folder, {}, nothingRead(), read(wanted))()
  if (E.isLeft(all)) return E.left(cliError(all.left))
  const there = all.right.state
  if (there.groups === 0) {
    const lines = all.right.damaged
    return E.left(
      failed(
        lines.length > 0
          ? `none of ${lines.length} recorded groups can be read: ${lines[0]!.message}`
          : `${run.folder} has no rollouts: its stages are ${stagesBegun(run).join(', ') || 'not begun'}, and none of them is of reinforcement, or it has drawn nothing yet`,
      ),
    )
  }
  const missing = (flag: string, value: string, known: readonly string[]): E.Either<CliError, never> =>
    refuse(
      `--${flag} ${value}: there are no rollouts of it.${didYouMean(value, known)} There are ${known.join(', ')}.`,
    )
  if (stage !== undefined && !there.stages.has(stage)) return missing('stage', stage, [...there.stages])
  if (family !== undefined && !there.families.has(family))
    return missing('family', family, [...there.families])
  return state.groups > 0
    ? E.right({ reading: state, damaged })
    : missing('episode', String(episode), ranges([...there.episodes]))
}

/** `0 to 5, 7`: sorted numbers as their ranges. */
const ranges = (numbers: readonly number[]): readonly string[] => {
  const runs: [number, number][] = []
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && n <= last[1] + 1) last[1] = n
    else runs.push([n, n])
  }
  return runs.map(([a, b]) => (a === b ? String(a) : `${a} to ${b}`))
}

/** Names damaged lines: the first of them, and how many there are. */
const tellDamage = (io: Io, damaged: readonly FileError[]): void => {
  for (const d of damaged.slice(0, 5)) io.stderr.write(`passed over: ${d.message}\n`)
  if (damaged.length > 5) io.stderr.write(`passed over: ${grouped(damaged.length - 5)} more lines\n`)
}

const listed = async (
  args: Args,
  io: Io,
  run: RecordedRun,
  episode: OfEpisode,
): Promise<E.Either<CliError, void>> => {
  const { ordered } = await import('../rollout-rows.ts')
  const { rowsText } = await import('../rollout-text.ts')
  const wanted: Wanted = {
    ...{
      family: args.text('family'),
      search: args.text('search'),
      sort: args.text('sort') as Wanted['sort'],
    },
    ...{ episode, discarded: args.on('discarded'), ascending: args.on('ascending') },
    limit: args.integer('limit') ?? 20,
  }
  const got = await reading(args, run, wanted)
  if (E.isLeft(got)) return got
  const { reading: r, damaged } = got.right
  const rows: readonly RolloutRow[] = ordered(r.rows, wanted).slice(0, wanted.limit)
  tellDamage(io, damaged)
  if (args.on('json')) {
    const told = damaged.map((d) => d.message)
    printJson(io, { completions: r.completions, groups: r.groups, matching: r.matching, rows, damaged: told })
    return E.right(undefined)
  }
  const of = `${grouped(r.completions)} completions in ${grouped(r.groups)} groups, ${grouped(r.discarded)} of them discarded`
  if (rows.length === 0) io.stderr.write(`none fits of ${of}\n`)
  else {
    io.stdout.write(`${rowsText(rows, lookOf(io.stdout, io.env))}\n`)
    io.stderr.write(
      `${rows.length === r.matching ? `${grouped(r.matching)}` : `${grouped(rows.length)} of ${grouped(r.matching)} that fit, --limit says how many,`} of ${of}\n`,
    )
  }
  return E.right(undefined)
}

/** A task's groups: those with its id, and those of the same task that was asked again (`id@n`). */
const inFull = async (
  args: Args,
  io: Io,
  run: RecordedRun,
  episode: OfEpisode,
  task: string,
): Promise<E.Either<CliError, void>> => {
  const { groupText } = await import('../rollout-text.ts')
  const { foldRollouts } = await import('../../run/index.ts')
  const any = await reading(args, run, { episode, discarded: false, ascending: false, limit: 1 })
  if (E.isLeft(any)) return any
  const [stage, family] = [args.text('stage'), args.text('family')]
  const found = await foldRollouts(
    run.folder,
    { stage },
    // the lists are this fold's own: none is copied for each group
    { groups: [] as EventOf<'group'>[], ids: [] as string[] },
    (state, g) => {
      if (!episode(g) || (family !== undefined && g.family !== family)) return state
      if (g.task === task || g.task.replace(/@\d+$/, '') === task) state.groups.push(g)
      else state.ids.push(g.task)
      return state
    },
  )()
  if (E.isLeft(found)) return E.left(cliError(found.left))
  const { state, damaged } = found.right
  tellDamage(io, damaged)
  if (state.groups.length === 0)
    return refuse(
      `--task ${task}: there is no group of it.${didYouMean(task, state.ids)} The first are ${state.ids.slice(0, 3).join(', ')}.`,
    )
  const look = lookOf(io.stdout, io.env)
  printResult(args, io, { groups: state.groups, damaged: damaged.map((d) => d.message) }, () =>
    state.groups.map((g) => groupText(g, look)).join('\n\n'),
  )
  return E.right(undefined)
}
