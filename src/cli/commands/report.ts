/** `sailwright report`: writes the report of a run folder again. */
import { resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type CliError, type Command, failed, messageOf, printJson, usage } from '../command.ts'

/** `sailwright report <run folder>`. */
export const reportCommand: Command = {
  name: 'report',
  summary: 'Writes report.html of a run folder again, also of a run that is still going on.',
  positionals: [
    { name: 'run folder', help: 'the folder of a run, such as runs/recipe-20260102-030405', required: true },
  ],
  flags: { json: { help: 'prints { "report": path } instead of text' } },
  examples: [
    [
      'sailwright report runs/recipe-20260102-030405',
      'reads manifest.json and events.jsonl, writes report.html',
    ],
  ],
  run: (args, io) =>
    pipe(
      TE.tryCatch(
        () => import('../../report/index.ts'),
        (e): CliError => failed(messageOf(e)),
      ),
      TE.chain(({ writeReport }) =>
        pipe(
          writeReport(resolve(io.cwd, args.positionals[0]!)),
          TE.mapLeft((e) => (e._tag === 'Missing' ? usage(e.message) : failed(e.message))),
        ),
      ),
      TE.chainIOK((path) => () => {
        if (args.on('json')) printJson(io, { report: path })
        else io.stdout.write(`${path}\n`)
      }),
    ),
}
