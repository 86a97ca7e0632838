/**
 * Several runs side by side: their stages met by name, and the settings in which they differ. Pure.
 *
 * @since 0.1.0
 */
import { basename, dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { RecordedRun } from '../../run/index.ts'
import { type RunView, type StageView, viewOf } from '../view.ts'

/** One of the runs. */
export interface ComparedRun {
  /** What tells it from the others: its folder's name, with as much of the path before it as that takes. */
  readonly label: string
  /** A colour of the style sheet, and whether its lines are broken because there are more runs than colours. */
  readonly colour: string
  readonly dash: readonly number[]
  readonly run: RecordedRun
  readonly view: RunView
}

/** A stage by its name, and what it was in each run; undefined where a run has none of that name. */
export interface ComparedStage {
  readonly name: string
  readonly of: readonly (StageView | undefined)[]
}

/** A setting that is not the same in all runs: its path, and its value in each. */
export interface SettingRow {
  readonly path: string
  readonly values: readonly unknown[]
}

/** Runs side by side. */
export interface Comparison {
  readonly runs: readonly ComparedRun[]
  /** In the order in which the first run that has it takes it. */
  readonly stages: readonly ComparedStage[]
  /** What the experiments say of themselves. */
  readonly settings: readonly SettingRow[]
  /** What carried them out: engine, versions, code, cores. */
  readonly surroundings: readonly SettingRow[]
}

const colours = 8

/** The shortest ends of paths that tell them all apart. */
export const labelsOf = (folders: readonly string[]): readonly string[] => {
  let heads = folders.map(dirname)
  let labels = folders.map((f) => basename(f))
  while (new Set(labels).size < labels.length && heads.some((h, i) => dirname(h) !== h || h !== heads[i])) {
    labels = labels.map((l, i) => `${basename(heads[i]!)}/${l}`)
    const next = heads.map(dirname)
    if (isDeepStrictEqual(next, heads)) break
    heads = next
  }
  return labels
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A list whose members have names, such as stages, by those names: what is inserted shifts nothing. */
const byName = (value: unknown): unknown => {
  if (!Array.isArray(value) || value.length === 0) return value
  const names = value.map((v) => (isRecord(v) ? (v.name ?? v.family) : undefined))
  const areNames = names.every((n) => typeof n === 'string') && new Set(names).size === names.length
  return areNames ? Object.fromEntries(value.map((v, i) => [names[i], v])) : value
}

/** Every place at which some of the values differ, as deep as all of them go. */
export const settingRows = (values: readonly unknown[], path = ''): readonly SettingRow[] => {
  if (values.every((v) => isDeepStrictEqual(v, values[0]))) return []
  const named = values.map(byName)
  const below = (key: string): string => (path === '' ? key : `${path}.${key}`)
  if (named.every(isRecord)) {
    const keys = [...new Set(named.flatMap((v) => Object.keys(v)))]
    return keys.flatMap((key) =>
      settingRows(
        named.map((v) => (Object.hasOwn(v, key) ? v[key] : undefined)),
        below(key),
      ),
    )
  }
  const lists = named.filter((v): v is readonly unknown[] => Array.isArray(v) && v.some(isRecord))
  if (lists.length === named.length && lists.every((l) => l.length === lists[0]!.length))
    return lists[0]!.flatMap((_, i) =>
      settingRows(
        lists.map((l) => l[i]),
        `${path}[${i}]`,
      ),
    )
  return [{ path: path === '' ? 'all of it' : path, values }]
}

const surroundingsOf = ({ manifest: m }: RecordedRun) => ({
  engine: { name: m.engine.name, version: m.engine.version },
  sailwright: m.sailwright,
  'code of Sailwright': m.ownCode.slice(0, 12),
  code: Object.fromEntries(m.code.map(({ file, sha256 }) => [file, sha256.slice(0, 12)])),
  ...{ node: m.node, platform: m.platform, cores: m.cores },
})

/** Lays runs side by side, in the order in which they are given. */
export const compare = (recorded: readonly RecordedRun[]): Comparison => {
  const labels = labelsOf(recorded.map((r) => r.folder))
  const runs = recorded.map(
    (run, i): ComparedRun => ({
      ...{ label: labels[i]!, run, view: viewOf(run.events, run.manifest.families) },
      ...{ colour: `var(--run${(i % colours) + 1})`, dash: i < colours ? [] : [5, 3] },
    }),
  )
  const names = [...new Set(runs.flatMap((r) => r.view.stages.map((s) => s.stage)))]
  return {
    runs,
    stages: names.map((name) => ({
      name,
      of: runs.map((r) => r.view.stages.find((s) => s.stage === name)),
    })),
    settings: settingRows(
      recorded.map(({ manifest: m }) => ({
        ...{ name: m.name, seed: m.seed, 'short pass': m.quick === true },
        model: { name: m.model.name, config: m.model.config },
        recipe: m.recipe,
      })),
    ),
    surroundings: settingRows(recorded.map(surroundingsOf)),
  }
}
