/** What bench/accelerator.ts gives, and its table. */
import { spread } from '../src/bench/index.ts'

/** One that was measured, or why it was not. */
export interface Measured {
  readonly name: string
  readonly version?: string
  readonly failed?: string
  /** Seconds from the process's first line to the first step done, by part: `library`, `build`, `load`, `first`. */
  readonly seconds?: Readonly<Record<string, number>>
  /** The same in a second process, which finds what the first one kept. */
  readonly again?: Readonly<Record<string, number>>
  /** Nats, of the first steps. */
  readonly losses?: readonly number[]
  /** Milliseconds a step, block by block, where each step's loss is waited for. */
  readonly each?: readonly number[]
  /** The same where steps are asked for in a row and waited for together. */
  readonly row?: readonly number[]
  /** The most memory of the device that was in use, as the library counts it. */
  readonly peakBytes?: number
  /** What the driver says that the process holds, with what the library keeps in reserve and its code. */
  readonly heldBytes?: number
  readonly parameters?: number
}

/** One model in one precision. */
export interface Row {
  readonly case: string
  readonly sequences: number
  readonly tokens: number
  readonly precision: string
  readonly contenders: readonly Measured[]
}

export interface AcceleratorResult {
  /** ISO 8601. */
  readonly startedAt: string
  readonly engine: string
  readonly rows: readonly Row[]
}

const gibibytes = (n: number | undefined): string => (n === undefined ? '–' : (n / 2 ** 30).toFixed(2))
const milliseconds = (xs: readonly number[] | undefined): string =>
  xs === undefined ? '–' : spread(xs).median.toFixed(2)

/** From the model as a value to the first step done; the library is loaded by then. */
const firstStep = (parts: Readonly<Record<string, number>> | undefined): string =>
  parts === undefined
    ? '–'
    : Object.entries(parts)
        .reduce((n, [name, s]) => (name === 'library' ? n : n + s), 0)
        .toFixed(1)

/** The largest relative difference of losses from the first that was measured. */
const difference = (row: Row, m: Measured): string => {
  const base = row.contenders.find((c) => c.losses !== undefined)?.losses
  if (base === undefined || m.losses === undefined || m.losses === base) return '–'
  return Math.max(...m.losses.map((l, i) => Math.abs(l - base[i]!) / Math.abs(base[i]!))).toExponential(1)
}

const columns = [
  'step',
  'precision',
  'by',
  'ms a step, in a row',
  'ms, each waited for',
  'peak GiB',
  'held GiB',
  'first step s, cold',
  'again',
  'losses differ by',
]

/** The result as a table in Markdown, one line a contender. */
export const showAccelerator = (r: AcceleratorResult): string => {
  const lines = r.rows.flatMap((row) =>
    row.contenders.map((m) => {
      const what = `${row.case}, ${row.sequences} × ${row.tokens}`
      if (m.failed !== undefined)
        return [what, row.precision, m.name, `failed: ${m.failed.replace(/\s+/g, ' ').slice(0, 400)}`]
      return [
        ...[what, row.precision, m.name, milliseconds(m.row), milliseconds(m.each), gibibytes(m.peakBytes)],
        ...[gibibytes(m.heldBytes), firstStep(m.seconds), firstStep(m.again), difference(row, m)],
      ]
    }),
  )
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const padded = lines.map((l) => [...l, ...Array(columns.length - l.length).fill('')])
  return [line(columns), line(columns.map(() => '---')), ...padded.map(line)].join('\n')
}
