/**
 * The recorded rollouts of a run, read one group at a time, also while the run goes on.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { onlySettings } from '../settings/index.ts'
import type { EventOf } from './events.ts'
import { type FileError, foldReadable, systemError } from './files.ts'
import { GroupDrawn } from './reinforcement-events.ts'
import { episodesIn, rolloutsFile, rolloutsFolder, stagesIn } from './rollouts.ts'

/** Which rollouts are read; default: all. */
export interface WhichRollouts {
  readonly stage?: string
  readonly episode?: number
}

/** What a fold over rollouts came to, and each line that could not be read. */
export interface FoldedRollouts<S> {
  readonly state: S
  readonly damaged: readonly FileError[]
}

const filesOf = async (root: string, { stage, episode }: WhichRollouts): Promise<readonly string[]> => {
  const files: string[] = []
  for (const name of await stagesIn(root)) {
    if (stage !== undefined && name !== stage) continue
    for (const n of await episodesIn(root, name))
      if (episode === undefined || n === episode) files.push(join(root, rolloutsFile(name, n)))
  }
  return files
}

/**
 * Folds over the groups of a run's folder in the order in which they were recorded, stage by stage, one in memory at a time. A line
 * that cannot be read is passed over and told; a last line that is being written is left out. A folder without rollouts gives
 * the initial state.
 *
 * @category reading
 */
export const foldRollouts = <S>(
  root: string,
  which: WhichRollouts,
  initial: S,
  step: (state: S, group: EventOf<'group'>) => S,
): TE.TaskEither<FileError, FoldedRollouts<S>> => {
  onlySettings('foldRollouts', which, ['stage', 'episode'])
  return pipe(
    TE.tryCatch(() => filesOf(root, which), systemError(join(root, rolloutsFolder), 'reading the rollouts')),
    TE.chain((files) =>
      files.reduce<TE.TaskEither<FileError, FoldedRollouts<S>>>(
        (before, file) =>
          pipe(
            before,
            TE.chain(({ state, damaged }) =>
              pipe(
                foldReadable(file, GroupDrawn, state, step),
                TE.map((read) => ({ state: read.state, damaged: [...damaged, ...read.damaged] })),
              ),
            ),
          ),
        TE.right({ state: initial, damaged: [] }),
      ),
    ),
  )
}
