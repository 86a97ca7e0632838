/**
 * A measurement as text: a table for the terminal, the same as Markdown for a file.
 *
 * @since 0.1.0
 */
import { type Column, duration, grouped, type Look, significant, textTable } from '../terminal/index.ts'
import { gradientTolerance, lossTolerance } from './agreement.ts'
import { pytorchEager } from './pytorch.ts'
import { type BenchResult, fewestQuiet, type Measured, quietCores, type Spread, spread } from './result.ts'

/** A wait in which a process used more of a core than this share is said to have disturbed the others. */
const quiet = 0.05

const around = (s: Spread, shown: (n: number) => string): readonly [string, string] => [
  shown(s.median),
  `(${shown(s.min)}–${shown(s.max)})`,
]

const columns: readonly Column[] = [
  { head: 'engine' },
  { head: 'samples/s', align: 'right' },
  { head: '(min–max)' },
  { head: `× ${pytorchEager}`, align: 'right' },
  { head: '(min–max)' },
  { head: 'processor a step', align: 'right' },
  { head: 'peak memory', align: 'right' },
  { head: 'model to first step', align: 'right' },
  { head: 'of which' },
]

const measuredRow = (m: Measured): readonly string[] => [
  m.name,
  ...around(m.samplesPerSecond, significant),
  ...(m.ratio === undefined ? ['–', ''] : around(m.ratio, (n) => n.toFixed(2))),
  duration(m.processorSeconds.median),
  `${grouped(m.peakBytes / 2 ** 20)} MiB`,
  duration(m.firstStep.seconds),
  Object.entries(m.firstStep.parts)
    .map(([part, seconds]) => `${partNames[part] ?? part} ${duration(seconds)}`)
    .join(', '),
]

const partNames: Readonly<Record<string, string>> = {
  build: 'build',
  load: 'compile',
  firstCall: 'first call',
}

const rowsOf = (r: BenchResult): readonly (readonly string[])[] =>
  r.contenders.map((c) => (c.status === 'measured' ? measuredRow(c) : [c.name, '–', c.status]))

/** What was measured, in a sentence. */
const whatOf = (r: BenchResult): string => {
  const { case: c } = r
  const side = c.model.config.vision.imageSize
  return `One training step of ${c.model.name}: ${grouped(r.parameters)} parameters, all trained; ${c.batch} sequences × ${c.length} tokens, one image of ${side} × ${side} each; forward, backward, clipping, AdamW; ${c.threads} threads.`
}

const howOf = (r: BenchResult): string =>
  `In turns, ${r.rounds} blocks of ${r.steps} steps each; median, least and largest of ${r.counted === r.rounds ? 'them' : `the ${r.counted} rounds in which other programs used less than ${quietCores} cores`}. Each in a process of its own; while one runs the others wait.`

const where = (r: BenchResult): string =>
  `${r.machine.cpu}, ${r.machine.cores} cores, ${r.machine.memory} GiB, ${r.machine.system}, Node ${r.machine.node}; load average ${r.load.before.toFixed(1)} before, ${r.load.after.toFixed(1)} after.`

/** What to say where too few rounds were quiet. */
const disturbance = (r: BenchResult): readonly string[] => {
  const measured = r.contenders.filter((c) => c.status === 'measured')
  if (r.quiet >= Math.min(r.rounds, fewestQuiet) || measured.length === 0) return []
  const others = spread(measured.flatMap((m) => m.blocks.map((b) => b.others)))
  const best = (m: Measured): number => m.samplesPerSecond.max
  const base = measured.find((m) => m.name === pytorchEager && m.ratio !== undefined)
  const against =
    base === undefined
      ? ''
      : ` Best block against ${pytorchEager}'s best block: ${measured
          .filter((m) => m !== base && m.ratio !== undefined)
          .map((m) => `${m.name} ${(best(m) / best(base)).toFixed(2)}`)
          .join(', ')}.`
  return [
    `The machine was busy: other programs used ${others.median.toFixed(1)} cores meanwhile (${others.min.toFixed(1)} to ${others.max.toFixed(1)}). Threads that wait for each other, as OpenMP's do, lose most by that.${against}`,
  ]
}

/** Everything that a reader must know before believing the numbers. */
export const remarksOf = (r: BenchResult): readonly string[] => [
  ...r.contenders.flatMap((c) =>
    c.status === 'measured'
      ? []
      : [`${c.name} is ${c.status === 'absent' ? 'not here' : 'not measured: it failed'}: ${c.why}`],
  ),
  ...r.agreements
    .filter((a) => !a.agrees)
    .map(
      (a) =>
        `${a.name} does not compute what ${r.reference} computes: the loss of step ${a.loss.step} differs by ${a.loss.difference.toExponential(1)} (at most ${lossTolerance.toExponential(0)}), the first gradient's norm by ${a.gradientNorm.toExponential(1)} (at most ${gradientTolerance.toExponential(0)}). No ratio is given.`,
    ),
  ...(r.agreements.some((a) => a.agrees)
    ? [
        `Computed alike before timing, relative to ${r.reference}: ${r.agreements
          .filter((a) => a.agrees)
          .map((a) => `${a.name} loss within ${a.loss.difference.toExponential(1)}`)
          .join(', ')}.`,
      ]
    : []),
  ...disturbance(r),
  ...r.contenders.flatMap((c) =>
    c.status === 'measured' && c.idleLoad > quiet
      ? [
          `${c.name} used ${(c.idleLoad * 100).toFixed(0)} % of a core while it was not its turn; the others were slowed.`,
        ]
      : [],
  ),
]

/** Whether every one that was measured computed the same. */
export const allAgree = (r: BenchResult): boolean => r.agreements.every((a) => a.agrees)

/** The result for a terminal. */
export const showBench = (r: BenchResult, look: Pick<Look, 'colour'>): string =>
  [whatOf(r), howOf(r), where(r), '', textTable(columns, rowsOf(r), look), '', ...remarksOf(r)].join('\n')

/** The result as a section of Markdown, without a heading. */
export const markdownBench = (r: BenchResult): string => {
  const line = (cells: readonly string[]): string =>
    `| ${columns.map((_, i) => (cells[i] ?? '').replaceAll('|', '\\|')).join(' | ')} |`
  const versions = r.contenders.flatMap((c) => (c.status === 'measured' ? [`${c.name}: ${c.version}`] : []))
  return [
    `${whatOf(r)} ${howOf(r)}`,
    '',
    `${where(r)} ${versions.join('; ')}.`,
    '',
    line(columns.map((c) => c.head)),
    `|${columns.map((c) => (c.align === 'right' ? '--:' : '---')).join('|')}|`,
    ...rowsOf(r).map(line),
    ...remarksOf(r).flatMap((remark) => ['', remark]),
    '',
  ].join('\n')
}
