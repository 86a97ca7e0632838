/**
 * The newest run of an experiment that has ended a stage, among the folders where runs lie.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkpointFolder, weightsFile } from '../train/index.ts'
import { manifestIn } from './begun.ts'

/** The folder, from the working directory, in which runs begin whose `--out` is not said. */
export const runsFolder = 'runs'

interface Begun {
  readonly folder: string
  readonly at: number
  readonly quick: boolean
}

const begunIn = (folder: string, experiment: string): readonly Begun[] => {
  const manifest = manifestIn(folder)
  const at = Date.parse(manifest?.startedAt ?? '')
  // what cannot be read is no run to begin from
  return manifest?.name === experiment && Number.isFinite(at)
    ? [{ folder, at, quick: manifest.quick === true }]
    : []
}

const entriesOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/**
 * Looks for runs of an experiment, by its name, that have the weights of a stage's end. A short pass and a whole one do not
 * stand for each other: `others` are the runs that would do but for that. Both newest first, by when they began.
 */
export const runsWithStage = (
  runs: string,
  about: { readonly experiment: string; readonly stage: string; readonly quick: boolean },
): { readonly fitting: readonly string[]; readonly others: readonly string[] } => {
  const there = entriesOf(runs)
    .flatMap((entry) => begunIn(join(runs, entry), about.experiment))
    .filter(({ folder }) => existsSync(join(folder, checkpointFolder(about.stage), weightsFile)))
    .toSorted((a, b) => b.at - a.at)
  const [fitting, others] = [true, false].map((same) =>
    there.filter((r) => (r.quick === about.quick) === same).map((r) => r.folder),
  )
  return { fitting: fitting!, others: others! }
}
