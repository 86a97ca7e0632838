/** `sailwright report`: writes the report of a run folder again, or a page that compares several runs. */
import { basename, dirname, join, resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  printResult,
  usage,
} from '../command.ts'

/** `sailwright report <run folder> …`. */
export const reportCommand: Command = {
  name: 'report',
  summary:
    'Writes report.html of a run folder again, also of a run that is still going on; of several, one page that compares them.',
  positionals: [
    {
      name: 'run folder',
      help: 'the folder of a run, such as runs/recipe-20260102-030405; several are compared',
      required: true,
      many: true,
    },
  ],
  flags: {
    out: {
      value: 'file',
      help: 'the page that compares several runs',
      otherwise: 'comparison-<run>-<run>.html beside the first of them',
    },
    json: { help: 'prints { "report": path } instead of text, of several { "comparison": path }' },
  },
  examples: [
    [
      'sailwright report runs/recipe-20260102-030405',
      'reads manifest.json and events.jsonl, writes report.html',
    ],
    [
      'sailwright report runs/fixed runs/searched',
      'what differs, curves laid over each other, accuracies side by side',
    ],
  ],
  run: (args, io) =>
    pipe(
      attempt(() => import('../../report/index.ts')),
      TE.chain((report) =>
        args.positionals.length > 1 ? compared(report, args, io) : alone(report, args, io),
      ),
    ),
}

type Report = typeof import('../../report/index.ts')

const alone = ({ writeReport }: Report, args: Args, io: Io): TE.TaskEither<CliError, void> =>
  args.text('out') !== undefined
    ? TE.left(
        usage("--out names the page that compares several runs; one run's report lies in its own folder."),
      )
    : pipe(
        writeReport(resolve(io.cwd, args.positionals[0]!)),
        TE.mapLeft((e) => (e._tag === 'Missing' ? usage(e.message) : failed(e.message))),
        TE.map((path) => printResult(args, io, { report: path }, () => path)),
      )

/** `comparison-a-b.html`, `comparison-a-and-3-more.html`. */
const nameOf = (folders: readonly string[]): string => {
  const [first, second, ...more] = folders.map((f) => basename(f))
  return `comparison-${first}-${more.length === 0 ? second : `and-${more.length + 1}-more`}.html`
}

const compared = ({ writeComparison }: Report, args: Args, io: Io): TE.TaskEither<CliError, void> => {
  const folders = args.positionals.map((p) => resolve(io.cwd, p))
  const out = args.text('out')
  const path = out === undefined ? join(dirname(folders[0]!), nameOf(folders)) : resolve(io.cwd, out)
  return pipe(
    writeComparison(folders, path),
    TE.mapLeft((e) => (e._tag === 'Missing' || e._tag === 'Twice' ? usage(e.message) : failed(e.message))),
    TE.map((written) => printResult(args, io, { comparison: written }, () => written)),
  )
}
