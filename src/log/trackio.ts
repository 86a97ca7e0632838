/**
 * A table for trackio: `trackio.csv` in the run's folder, as `trackio.import_csv` reads it (a column `step`, a column
 * `timestamp`, a column a metric). trackio keeps runs in SQLite, which Node 20 has none of; the table is the form that its
 * own tool takes in.
 *
 * @since 0.1.0
 */
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Scalars } from './scalars.ts'
import { type Sink, sinkOf } from './sink.ts'

/** A cell of RFC 4180. */
const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

const line = (cells: readonly string[]): string => `${cells.map(cell).join(',')}\n`

/** Whatever is no number stays empty: one word would keep a reader from the whole column. */
const shown = (x: number | undefined): string => (x === undefined || !Number.isFinite(x) ? '' : String(x))

/**
 * Writes the run's numbers as a table for trackio:
 * `python -c "import trackio; trackio.import_csv('runs/x/trackio.csv', project='x')"`. A metric that is new begins the file
 * anew, with a column more.
 *
 * @category sinks
 */
export const trackio: Sink = sinkOf({
  name: 'trackio',
  begin: ({ pathOf, startedAt }, all) => {
    const path = pathOf('trackio.csv')
    const rows = [...all]
    let columns: readonly string[] = []
    const row = (s: Scalars): string =>
      line([
        String(s.step),
        new Date((startedAt + s.seconds) * 1000).toISOString(),
        ...columns.map((tag) => shown(s.values[tag])),
      ])
    const write = (): void => {
      columns = [...new Set(rows.flatMap((s) => Object.keys(s.values)))]
      writeFileSync(`${path}.tmp`, line(['step', 'timestamp', ...columns]) + rows.map(row).join(''))
      renameSync(`${path}.tmp`, path)
    }
    write()
    return {
      append: (s) => {
        rows.push(s)
        if (Object.keys(s.values).every((tag) => columns.includes(tag))) appendFileSync(path, row(s))
        else write()
      },
      close: () => undefined,
    }
  },
})
