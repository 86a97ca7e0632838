/**
 * `--fork`: a run that begins from another's checkpoint, planned before its folder is made, and placed into it once.
 *
 * @since 0.3.0
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { RunFolder } from '../run/index.ts'
import type { Fork, Forked } from '../train/index.ts'
import { type Args, type CliError, failed, type Io, messageOf, shownPath, usage } from './command.ts'
import type { LoadedFile } from './load-file.ts'

/** A fork that an earlier start of the run has placed: the other run is not asked again. */
export interface BegunFork {
  readonly forked: Forked
}

/** Whether a fork is still to be placed. */
export const isPlanned = (fork: BegunFork | Fork | undefined): fork is Fork =>
  fork !== undefined && 'place' in fork

/** What the run in this folder began from, where it has begun. */
const begunIn = (folder: string): Forked | undefined => {
  try {
    const { forked } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
    const events = readFileSync(join(folder, 'events.jsonl'), 'utf8')
    return events.includes('"type":"forked"') ? (forked as Forked | undefined) : undefined
  } catch {
    return undefined
  }
}

/** Reads `--fork` and plans it; undefined where it is not given. */
export const forkOf = (
  args: Args,
  io: Io,
  { experiment }: LoadedFile,
): TE.TaskEither<CliError, BegunFork | Fork | undefined> => {
  const word = args.text('fork')
  if (word === undefined) return TE.right(undefined)
  const out = args.text('out')
  return pipe(
    TE.tryCatch(
      () => import('../train/index.ts'),
      (e) => failed(messageOf(e)),
    ),
    TE.chain(({ ForkError, forkWord, planFork }) => {
      const { run, at } = forkWord(word, (folder) =>
        existsSync(join(resolve(io.cwd, folder), 'manifest.json')),
      )
      const shown = shownPath(io.cwd, resolve(io.cwd, run))
      const begun = out === undefined ? undefined : begunIn(resolve(io.cwd, out))
      // a run that goes on has what it needs; one that forks from elsewhere is seen by its manifest
      if (begun?.run === shown && (at === undefined || at === begun.stage || at === String(begun.step)))
        return TE.right<CliError, BegunFork | Fork | undefined>({ forked: begun })
      return pipe(
        planFork(resolve(io.cwd, run), at, experiment, shown),
        TE.mapLeft((e) =>
          e instanceof ForkError && e.tag !== 'OtherModel'
            ? usage(`--fork ${word}: ${e.message}`)
            : failed(`--fork ${word}: ${e.message}`),
        ),
      )
    }),
  )
}

/** Puts the checkpoint into the new run's folder, records where it comes from, and says what differs. */
export const placed = (io: Io, fork: Fork, run: RunFolder): TE.TaskEither<CliError, void> =>
  pipe(
    run.events(),
    TE.mapLeft((e) => failed(e.message)),
    TE.chain((events) =>
      events.some((e) => e.type === 'forked')
        ? TE.right(undefined)
        : pipe(
            fork.place(run.pathOf),
            TE.chainIOEitherKW(run.record),
            TE.mapLeft((e) => failed(e.message)),
            TE.chain(() =>
              TE.tryCatch(
                async () => {
                  const { changesBetween } = await import('../run/index.ts')
                  const { forked: _, ...here } = run.manifest
                  const { forked: __, ...there } = fork.manifest
                  const { settings } = changesBetween(there, here)
                  const lines = settings.length === 0 ? ['no setting differs'] : settings
                  io.stderr.write(
                    `this run ${fork.told}\nagainst ${fork.forked.run}:${lines.map((l) => `\n  ${l}`).join('')}\n`,
                  )
                },
                (e) => failed(messageOf(e)),
              ),
            ),
          ),
    ),
    TE.orElse((e) =>
      pipe(
        TE.fromIO(run.close),
        TE.chain(() => TE.left(e)),
      ),
    ),
  )
