/**
 * `report.html`: one file that opens offline, made from a run's manifest, events and images alone.
 *
 * @since 0.1.0
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type FileError,
  fileError,
  foldRollouts,
  type RecordedRun,
  readRun,
  within,
  writeWhole,
} from '../run/index.ts'
import { html } from './html.ts'
import { page, type Section } from './page.ts'
import { type RolloutSample, withGroup } from './rollout-sample.ts'
import { heading, whatRan } from './sections/about.ts'
import { accuracy } from './sections/accuracy.ts'
import { badRows } from './sections/bad-rows.ts'
import { experts } from './sections/experts.ts'
import { learning } from './sections/learning.ts'
import { model } from './sections/model.ts'
import { packing } from './sections/packing.ts'
import { mostSamples, predictions } from './sections/predictions.ts'
import { reinforcement } from './sections/reinforcement.ts'
import { rolloutImages, rollouts } from './sections/rollouts.ts'
import { time } from './sections/time.ts'
import { selection, viewOf } from './view.ts'

/** What is shown of the rollouts that a run has recorded, and each line that could not be read. */
export interface ShownRollouts {
  readonly samples: readonly RolloutSample[]
  readonly damaged: readonly string[]
}

/**
 * The page of a run. `images` maps the path of an image to a data URL; an image that is not in it is shown as missing.
 */
export const renderReport = async (
  run: RecordedRun,
  images: ReadonlyMap<string, string>,
  drawn: ShownRollouts = { samples: [], damaged: [] },
): Promise<string> => {
  const view = viewOf(run.events, run.manifest.families)
  const [curves, measured, spent, policy] = await Promise.all([
    learning(view),
    accuracy(view),
    time(view),
    reinforcement(view, drawn.samples),
  ])
  const sections: readonly Section[] = [
    ['ran', 'What ran', whatRan(run.manifest)],
    ['learning', 'How it learned', curves],
    ...packing(view),
    ...experts(view),
    ...policy,
    ...rollouts(drawn.samples, drawn.damaged, images),
    ['accuracy', 'What was measured, by family and stage', measured],
    ...predictions(view, images),
    ...badRows(view),
    ['time', 'Where the time went', spent],
    ['model', 'The model', model(run.manifest.model)],
  ]
  return page({
    title: `${run.manifest.name}: Sailwright run`,
    header: heading(run.manifest, view),
    sections,
    footer: html`<p>Written by Sailwright ${run.manifest.sailwright} from manifest.json and ${run.events.length} events.${
      run.torn !== undefined && ' The last event was half written when the process stopped; it is left out.'
    }</p>`,
  })
}

/**
 * Reads a run's folder and writes `report.html` into it, by rename. Gives the file's path. A run that is still going on
 * or that failed has a report too.
 *
 * Fails as {@link readRun} does, or with `Io`.
 *
 * @category writing
 */
export const writeReport = (folder: string): TE.TaskEither<FileError, string> =>
  pipe(
    readRun(folder),
    TE.chain((run) =>
      pipe(
        TE.tryCatch(
          async () => {
            const drawn = await shownRollouts(run.folder)
            return renderReport(run, await imagesOf(run, drawn), drawn)
          },
          (e) =>
            fileError(
              'BadFile',
              { file: run.folder },
              `the report could not be drawn: ${e instanceof Error ? e.message : String(e)}`,
              e,
            ),
        ),
        TE.chain((page) => {
          const path = join(run.folder, 'report.html')
          return pipe(
            writeWhole(path, page),
            TE.map(() => path),
          )
        }),
      ),
    ),
  )

const kinds: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
}

const shownRollouts = async (folder: string): Promise<ShownRollouts> => {
  const read = await foldRollouts(folder, {}, [] as readonly RolloutSample[], withGroup)()
  // a report without its rollouts is still worth reading
  return E.isLeft(read)
    ? { samples: [], damaged: [read.left.message] }
    : { samples: read.right.state, damaged: read.right.damaged.map((d) => d.message) }
}

const imagesOf = async (run: RecordedRun, drawn: ShownRollouts): Promise<ReadonlyMap<string, string>> => {
  const samples = selection(viewOf(run.events, run.manifest.families).samples, mostSamples)
  const found = new Map<string, string>()
  for (const path of new Set([...samples.flatMap((s) => s.images), ...rolloutImages(drawn.samples)])) {
    const kind = kinds[path.slice(path.lastIndexOf('.') + 1).toLowerCase()]
    if (kind === undefined) continue
    try {
      const bytes = await readFile(within(run.folder, [path]))
      found.set(path, `data:${kind};base64,${bytes.toString('base64')}`)
    } catch {
      // shown as missing: a report without one of its images is still worth reading
    }
  }
  return found
}
