/**
 * A run on the terminal: one live line, a block after each stage's evaluation, a table at the end. What is shown is a
 * pure function of the run's state; {@link showProgress} only writes it.
 *
 * @since 0.1.0
 */
import { defer, finalize, type MonoTypeOperatorFunction, type Observable, tap } from 'rxjs'
import { onlySettings } from '../settings/index.ts'
import {
  bar,
  begunWith,
  type Column,
  type Compiling,
  clipLine,
  compilingLines,
  duration,
  fit,
  grouped,
  inked,
  keptOf,
  type Look,
  lookOf,
  percent,
  rate,
  short,
  significant,
  type TextSink,
  terminalRows,
  textTable,
  width,
} from '../terminal/index.ts'
import type { EventOf, RunEvent } from './events.ts'
import {
  advance,
  batchText,
  emptyRun,
  type Measurement,
  type RunState,
  type StageState,
} from './run-state.ts'

/** A name as it stands on a line: nothing in it moves the cursor. */
const named = (name: string): string => name.replace(/\p{Cc}+/gu, ' ')
const position = (s: StageState): string => `${s.index + 1}/${s.of}`
/** The loss at a stage's end; a stage of reinforcement whose last groups teach nothing has none. */
const lastLoss = (s: StageState): string => {
  const loss = s.finished?.loss ?? s.smoothLoss
  return s.finished !== undefined && Number.isNaN(loss) ? '–' : significant(loss)
}

const perSecond = (s: StageState): number =>
  s.finished !== undefined
    ? s.finished.samples / s.finished.trainSeconds
    : s.stepSeconds > 0
      ? s.stepSamples / s.stepSeconds
      : Number.NaN

/**
 * The seconds that the stage's remaining steps will take at the present pace; NaN before the third step, since the first
 * ones also compile.
 */
export const secondsLeft = (s: StageState): number =>
  s.step < 3 ? Number.NaN : Math.max(0, s.steps - s.step) * s.stepSeconds

/** `stage 3/5 align-all: trains vision, adapter (634 k parameters), 200 steps of 16 samples`. */
const stageHeading = (s: StageState, look: Look): string =>
  `${inked(look, 'bold', `stage ${position(s)} ${named(s.stage)}`)}: trains ${s.parts.join(', ')} (${short(s.trainable)} parameters), ${grouped(s.steps)} steps of ${batchText(s)}`

/** The numbers of the running stage, without its name: what the live line and the plain lines share. */
const figures = (s: StageState): readonly string[] => [
  `${fit(String(s.step), String(s.steps).length, 'right')}/${s.steps}`,
  `${significant(perSecond(s))} samples/s`,
  `loss ${significant(s.smoothLoss)} ${named(s.unit)}`,
  `learning rate ${rate(s.learningRate)}`,
  ...(s.step >= s.steps
    ? [`took ${duration(s.seconds)}`]
    : Number.isNaN(secondsLeft(s))
      ? []
      : [`${duration(secondsLeft(s))} left`]),
]

const meter = (s: StageState, columns: number, look: Look): string => {
  const done = Math.round((s.steps === 0 ? 1 : Math.min(1, s.step / s.steps)) * columns)
  return `${inked(look, 'cyan', '━'.repeat(done))}${inked(look, 'dim', '─'.repeat(columns - done))}`
}

/** What goes on, on one line that fits the terminal; empty where nothing does. */
export const liveLine = (state: RunState, look: Look): string => {
  const s = state.stages[state.current]
  if (s === undefined || s.finished !== undefined) return ''
  const name = inked(look, 'bold', `${position(s)} ${named(s.stage)}`)
  if (s.step >= s.steps) {
    const last = s.averaged.at(-1) ?? s.measures.at(-1) ?? s.evaluations.at(-1)
    const so = last === undefined ? '' : `  ${named(last.family)} ${inFigures(last)}`
    return clipLine(`${name}  ${meter(s, 12, look)}  evaluating${so}`, look.columns - 1)
  }
  return clipLine(
    [name, meter(s, look.columns >= 110 ? 20 : 12, look), ...figures(s)].join('  '),
    look.columns - 1,
  )
}

/** The same without a meter, for logs. */
const plainLine = (s: StageState): string => `  ${figures(s).join(', ')}`

const deeds: Readonly<Record<EventOf<'ada-lrs'>['decision'], string>> = {
  Watched: 'stays at',
  Tried: 'tries',
  Kept: 'keeps',
  Left: 'goes back to',
  RolledBack: 'rolls back the weights, to',
}

/** What a search for a learning rate has decided: `step 40: AdaLRS tries × 3.00 after × 1.00 (…)`. */
export const decisionLine = (e: EventOf<'ada-lrs'>): string => {
  const slopes =
    e.velocity === null
      ? []
      : [
          `loss falls ${rate(e.velocity)} a step${e.against === undefined ? '' : `, before ${rate(e.against)}`}`,
        ]
  const why = [...(e.why === undefined ? [] : [named(e.why)]), ...slopes]
  return `step ${grouped(e.step)}: AdaLRS ${deeds[e.decision]} × ${significant(e.scale)}${
    e.from === undefined ? '' : ` after × ${significant(e.from)}`
  }${why.length === 0 ? '' : ` (${why.join('; ')})`}`
}

/** `92.5 %` of a share, else a mean in its unit. */
const inFigures = (m: Measurement): string =>
  m.type === 'evaluated' ? percent(m.correct / m.total) : `${significant(m.value)} ${named(m.unit)}`

/** What the averaged weights of a stage came to in the same, after what its own did. */
const besideAverages = (s: StageState, family: string): string => {
  const averaged = s.averaged.find((m) => m.family === family)
  return averaged === undefined ? '' : `  averaged weights ${inFigures(averaged)}`
}

/** What a finished stage came to, with a bar for each family that is a share. */
export const evaluationBlock = (s: StageState, look: Look): string => {
  const end = s.finished
  const evaluated = end === undefined ? 0 : end.evaluateSeconds
  const head =
    end === undefined
      ? `${position(s)} ${named(s.stage)}`
      : [
          inked(look, 'bold', `${position(s)} ${named(s.stage)}`),
          `${grouped(end.samples)} samples at ${significant(perSecond(s))}/s`,
          Number.isNaN(end.loss) ? 'no update at its end' : `loss ${significant(end.loss)} ${s.unit}`,
          `${duration(end.trainSeconds)}${evaluated > 0 ? ` and ${duration(evaluated)} of evaluation` : ''}`,
        ].join('  ')
  const room = Math.max(0, ...[...s.evaluations, ...s.measures].map((e) => width(named(e.family))))
  const columns = Math.max(10, Math.min(40, look.columns - room - 30))
  const rows = s.evaluations.map((e) => {
    const share = e.correct / e.total
    const cells = inked(look, share >= 0.5 ? 'green' : 'yellow', bar(share, columns))
    return `  ${fit(named(e.family), room)}  ${fit(percent(share), 7, 'right')}  ${fit(cells, columns)}  ${grouped(e.correct)} of ${grouped(e.total)}${besideAverages(s, e.family)}`
  })
  const means = s.measures.map(
    (m) => `  ${fit(named(m.family), room)}  ${fit(inFigures(m), 7)}${besideAverages(s, m.family)}`,
  )
  const made = s.curated === undefined ? [] : [`  ${named(keptOf(s.curated))}`]
  return [`${inked(look, 'green', '✓')} ${head}`, ...made, ...rows, ...means].join('\n')
}

/** The families that were measured, shares first, in the order in which they first came. */
const familiesOf = (state: RunState): readonly string[] => [
  ...new Set([
    ...state.stages.flatMap((s) => s.evaluations.map((e) => e.family)),
    ...state.stages.flatMap((s) => s.measures.map((e) => e.family)),
  ]),
]

/** A column of the table of the stages, and the stages that have something in it. */
interface StageColumn {
  readonly head: string
  readonly cell: (s: StageState) => string
  readonly stages: readonly StageState[]
}

/**
 * The table of the stages: what each trained, how much it saw, how fast, its last loss, what each
 * family came to on held-out samples, its time. Where one would not fit the terminal, families stand behind the rest, and
 * either in as many tables as it needs, those columns together that the same stages have something in.
 */
export const stagesTable = (state: RunState, look: Look): string => {
  const { stages } = state
  const column = (head: string, cell: StageColumn['cell']): StageColumn => ({ head, cell, stages })
  const training = [
    column('trainable', (s) => short(s.trainable)),
    column('steps', (s) => grouped(s.step)),
    column('samples', (s) => grouped(s.finished?.samples ?? s.samples)),
    column('samples/s', (s) => significant(perSecond(s))),
    column('loss', lastLoss),
  ]
  const time = column('time', (s) =>
    duration(s.finished === undefined ? s.seconds : s.finished.trainSeconds + s.finished.evaluateSeconds),
  )
  const measured = familiesOf(state).map(
    (family): StageColumn => ({
      head: family,
      cell: (s) => {
        const e = s.evaluations.find((x) => x.family === family)
        const m = s.measures.find((x) => x.family === family)
        return e !== undefined ? percent(e.correct / e.total) : m !== undefined ? significant(m.value) : '–'
      },
      stages: stages.filter((s) => [...s.evaluations, ...s.measures].some((e) => e.family === family)),
    }),
  )
  const table = (columns: readonly StageColumn[], rows: readonly StageState[]): string =>
    textTable(
      [{ head: 'stage' }, ...columns.map(({ head }): Column => ({ head, align: 'right' }))],
      rows.map((s) => [s.stage, ...columns.map(({ cell }) => cell(s))]),
      look,
    )
  const fits = (text: string): boolean => text.split('\n').every((line) => width(line) <= look.columns)
  const whole = table([...training, ...measured, time], stages)
  if (fits(whole)) return whole
  const alike = (a: StageColumn, b: StageColumn): boolean =>
    stages.every((s) => a.stages.includes(s) === b.stages.includes(s))
  const inParts = (columns: readonly StageColumn[]): readonly string[] => {
    const parts: [StageColumn, ...StageColumn[]][] = []
    for (const c of columns) {
      const last = parts.at(-1)
      if (last !== undefined && alike(last[0], c) && fits(table([...last, c], c.stages))) last.push(c)
      else parts.push([c])
    }
    return parts.map((part) => table(part, part[0].stages))
  }
  return [...inParts([...training, time]), ...inParts(measured)].join('\n\n')
}

/** What may be set of the display. */
export interface ProgressOptions {
  /** Default: from the sink and the environment. */
  readonly look?: Look
  /** Seconds between two lines where the sink is no terminal; default 10. */
  readonly every?: number
  /** What the engine compiles for longer than a second. */
  readonly compiling?: Observable<Compiling>
  /** What is known of the run already, where it goes on from an earlier start. */
  readonly from?: RunState
  /** Milliseconds; default `performance.now`. */
  readonly now?: () => number
}

/** Where lines are written; on a terminal the last of them may be a live one, which what is said next takes away. */
const screenOn = (sink: TextSink, look: Look) => {
  const live = sink.isTTY === true
  /** The live line as it stands on the terminal. */
  let shown = ''
  /** A terminal may be made wider or narrower at any time. */
  const lookNow = (): Look => (live && sink.columns ? { ...look, columns: sink.columns } : look)
  /** Takes the live line away. In a terminal that was made narrower since, it goes on in the rows below. */
  const erase = (): string => {
    if (shown === '') return live ? '\r\x1b[2K' : ''
    const rows = terminalRows(shown, lookNow().columns)
    return `\r${rows > 1 ? `\x1b[${rows - 1}A\x1b[J` : '\x1b[2K'}`
  }
  const draw = (text: string): void => {
    sink.write(erase() + text)
    shown = text
  }
  const clear = (): void => {
    if (shown !== '') sink.write(erase())
    shown = ''
  }
  return {
    live,
    lookNow,
    draw,
    clear,
    /** A live line about what ends soon. */
    note: (text: string): void => {
      if (live) draw(inked(look, 'dim', clipLine(text, lookNow().columns - 1)))
    },
    say: (text: string): void => {
      clear()
      sink.write(`${text}\n`)
    },
  }
}

/** A stage begins; what weights it found is told where this start has looked for them. */
const begunStage = (stage: StageState, found: string | undefined, look: Look): string => {
  const heading = stageHeading(stage, look)
  // a stage that goes on was told of when it began
  return stage.weights === undefined || found !== stage.stage
    ? heading
    : `${heading}\n${clipLine(named(`  begins with ${begunWith(stage.weights)}`), look.columns)}`
}

/** What is said of an event for good; undefined where it only changes the live line. */
const saidOf = (
  event: RunEvent,
  state: RunState,
  start: { readonly found: string | undefined; readonly goesOn: boolean },
  look: Look,
): string | undefined => {
  switch (event.type) {
    case 'stage-started':
      return begunStage(state.stages[state.current]!, start.found, look)
    case 'stage-finished': {
      const done = state.stages.find((s) => s.stage === event.stage)
      return done && evaluationBlock(done, look)
    }
    case 'run-finished':
      return `\n${stagesTable(state, look)}\n\n${start.goesOn ? 'this start' : 'the whole run'} took ${duration(event.seconds)}`
    case 'ada-lrs':
      return event.decision === 'Watched' ? undefined : `  ${clipLine(decisionLine(event), look.columns - 3)}`
    case 'warned':
      return inked(look, 'yellow', `note: ${event.message}`)
    case 'bad-row':
      return state.badRows.rows.length === 1
        ? inked(
            look,
            'yellow',
            `bad row, set aside: ${named(`${event.file}:${event.line}: ${event.reason}`)}`,
          )
        : undefined
    case 'run-failed':
      return inked(look, 'red', `the run stopped: ${event.message}`)
    default:
      return undefined
  }
}

/**
 * Shows the events that pass through: on a terminal as a live line with blocks above it, otherwise as occasional lines.
 * Events are passed on unchanged, after they were shown; a sink that throws is an error of the stream.
 *
 * @category operators
 */
export const showProgress = (
  sink: TextSink,
  options: ProgressOptions = {},
): MonoTypeOperatorFunction<RunEvent> => {
  onlySettings('showProgress', options, ['look', 'every', 'compiling', 'from', 'now'])
  const { from = emptyRun, every = 10, now = () => performance.now() } = options
  const look = options.look ?? lookOf(sink, process.env)
  return (source) =>
    defer(() => {
      const { live, lookNow, draw, clear, note, say } = screenOn(sink, look)
      const between = live ? 80 : every * 1000
      let state = from
      /** The stage whose weights were told of in this start. */
      let found: string | undefined
      let last = Number.NEGATIVE_INFINITY
      const refresh = (event: RunEvent): void => {
        const stage = state.stages[state.current]
        if (stage === undefined || stage.finished !== undefined) return
        const ends = event.type === 'step' && event.step >= event.steps
        if (!ends && now() - last < between) return
        last = now()
        if (live) draw(liveLine(state, lookNow()))
        else if (event.type === 'step') sink.write(`${plainLine(stage)}\n`)
      }
      const compilingLine = compilingLines()
      const compile = (c: Compiling): void => {
        const what = named(c.what)
        if (live) {
          if (c.done) clear()
          else note(`compiling ${what} … ${duration(c.seconds)}`)
          last = Number.NEGATIVE_INFINITY
          return
        }
        const line = compilingLine({ ...c, what })
        if (line !== undefined) sink.write(`  ${line}\n`)
      }
      const listening = options.compiling?.subscribe(compile)
      note('preparing the first stage …')
      return source.pipe(
        tap((event) => {
          state = advance(state, event)
          if (event.type === 'weights') found = event.stage
          const said = saidOf(event, state, { found, goesOn: from.stages.length > 0 }, lookNow())
          if (said !== undefined) say(said)
          if (event.type === 'stage-started') last = now()
          if (event.type === 'stage-finished') {
            const done = state.stages.find((s) => s.stage === event.stage)
            if (done !== undefined && done.index + 1 < done.of) note('preparing the next stage …')
          }
          refresh(event)
        }),
        finalize(() => {
          listening?.unsubscribe()
          clear()
        }),
      )
    })
}
