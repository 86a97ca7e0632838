/**
 * What makes two starts the same run, and how two of them differ.
 *
 * @since 0.1.0
 */
import { asCalled } from '../terminal/index.ts'
import { changedData } from './data-files.ts'
import { type Difference, differences, showDifference } from './differences.ts'
import { decodeLine, encodeLine } from './files.ts'
import type { Manifest } from './manifest.ts'

/** How a start differs from the one that began a run; each a line for a reader. */
export interface Changes {
  /** In what the experiment says: another run. */
  readonly settings: readonly string[]
  /** In what the files of its data hold: another run, too. */
  readonly data: readonly string[]
  /** In what carries it out: code, versions, cores. The numbers that come out may be others. */
  readonly surroundings: readonly string[]
}

/** What the experiment says: its own description first, under no name. */
const settingsOf = (m: Manifest): readonly (readonly [name: string, value: unknown])[] => [
  ['name', m.name],
  ['seed', m.seed],
  ['quick', m.quick ?? false],
  ['engine', m.engine.name],
  ['device', m.engine.device ?? 'cpu'],
  ['precision', m.engine.precision ?? 'float32'],
  ['model.name', m.model.name],
  ['model.config', m.model.config],
  ['model.parameters', m.model.parameters],
  ['families', m.families],
  ['forked', m.forked],
  ['', m.recipe],
]

const surroundingsOf = (m: Manifest): readonly (readonly [name: string, value: unknown])[] => [
  ['Sailwright', m.sailwright],
  [`engine ${m.engine.name}`, m.engine.version],
  ['compile', m.engine.compile ?? 'none'],
  ['weights', m.engine.weights ?? 'float32'],
  ['devices', m.engine.devices ?? 1],
  ['Node', m.node],
  ['platform', m.platform],
  ['cores', m.cores],
]

/** The same data as it is after it was written and read. */
const written = (m: Manifest): Manifest => decodeLine(encodeLine(m)) as Manifest

const compared = (
  then: readonly (readonly [string, unknown])[],
  now: readonly (readonly [string, unknown])[],
): readonly Difference[] => then.flatMap(([name, value], i) => differences(value, now[i]?.[1], name))

/** Checksums by name of which some are others: the names, and what became of them. */
const changed = (
  then: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): readonly string[] =>
  differences(then, now).map(({ path, then, now }) => {
    const name = path.replace(/^\["(.*)"\]$/, '$1')
    return `${name}: ${then === undefined ? 'added' : now === undefined ? 'taken away' : 'changed'}`
  })

const codeOf = (m: Manifest): Readonly<Record<string, string>> =>
  Object.fromEntries(m.code.map(({ file, sha256 }) => [file, sha256]))

/** How a start's manifest differs from that of the run which it is to go on with. */
export const changesBetween = (there: Manifest, here: Manifest): Changes => {
  const [then, now] = [written(there), written(here)]
  // an experiment that tells of no program, as of an older version, says nothing of whether it is another
  const programs =
    Object.keys(then.programs).length > 0 && Object.keys(now.programs).length > 0
      ? changed(then.programs, now.programs).map((c) => `the graph of stage ${c}`)
      : []
  return {
    settings: compared(settingsOf(then), settingsOf(now)).map(showDifference),
    data: changedData(then.dataFiles, now.dataFiles),
    surroundings: [
      ...programs,
      ...changed(codeOf(then), codeOf(now)),
      ...(then.sailwright === now.sailwright && then.ownCode !== now.ownCode
        ? ['the code of Sailwright: changed']
        : []),
      ...compared(surroundingsOf(then), surroundingsOf(now)).map(showDifference),
    ],
  }
}

const listed = (lines: readonly string[]): string =>
  [...lines.slice(0, 12), ...(lines.length > 12 ? [`and ${lines.length - 12} more`] : [])]
    .map((l) => `\n  ${l}`)
    .join('')

/**
 * Why a run may not be gone on with, and what to do; undefined where it may.
 *
 * @param allowed whether changed surroundings are taken as they are
 */
export const refusal = (changes: Changes, there: Manifest, allowed: boolean): string | undefined => {
  const { settings, data, surroundings } = changes
  if (data.length > 0)
    return `the data of this folder's run have changed since it began, so that it would not go on where it stopped:${listed([...data, ...settings, ...surroundings])}\nput them back as they were, or begin another run with --out <folder>`
  if (settings.length > 0)
    return `this folder's run began with other settings:${listed([...settings, ...surroundings])}\nchoose another folder with --out, or repeat that run as it was: ${asCalled(there.command)}`
  if (surroundings.length > 0 && !allowed)
    return `what carries this run out has changed since it began, so that its numbers would come from two different programs:${listed(surroundings)}\nput it back as it was, begin another run with --out <folder>, or go on all the same with --allow-changed-code`
  return undefined
}
