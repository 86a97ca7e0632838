/**
 * What ran, as `manifest.json` says it.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { fingerprint, summary, summaryJson, svg } from '../dsl/index.ts'
import type { Picked } from '../engine/pick.ts'
import { type Manifest, manifestFormat } from '../train/events.ts'
import type { Experiment } from '../train/experiment.ts'
import { codeFiles, ownCode } from './code-files.ts'
import { shownPath } from './command.ts'
import { forwardGraph } from './model-graph.ts'
import { shellWord } from './shell-word.ts'

/** What the manifest is made from. */
export interface Started {
  readonly experiment: Experiment
  /** The experiment's file, absolute. */
  readonly path: string
  readonly cwd: string
  readonly picked: Picked
  readonly version: string
  /** As typed, after `sailwright`. */
  readonly words: readonly string[]
  readonly at: Date
  /** `--quick`. */
  readonly quick: boolean
}

/** Levels of the model's blocks that the report lists and draws. */
const listed = 3

/** Data as it is, if it is plain. @throws TypeError where something in it would be lost when it is written down */
const plain = (value: unknown, path: string, above: readonly unknown[] = []): unknown => {
  const refuse = (what: string): never => {
    throw new TypeError(
      `the experiment's ${path} is ${what}; what determines a run is recorded as plain data, so that going on with it can be checked: numbers, text, true and false, lists, records`,
    )
  }
  if (typeof value === 'object' && value !== null) {
    if (above.includes(value)) refuse('part of itself')
    const kind = Object.getPrototypeOf(value)
    if (!Array.isArray(value) && kind !== Object.prototype && kind !== null)
      refuse(`a ${kind.constructor?.name ?? 'thing of a class of its own'}`)
    for (const [k, v] of Object.entries(value))
      plain(v, Array.isArray(value) ? `${path}[${k}]` : `${path}.${k}`, [...above, value])
  } else if (['function', 'symbol', 'bigint'].includes(typeof value)) refuse(`a ${typeof value}`)
  return value
}

/**
 * Puts the manifest of a run together.
 *
 * @throws GraphError where the experiment's model contradicts itself; TypeError where what it says of itself is not plain
 *   data
 */
export const manifestOf = (s: Started): Manifest => {
  const { experiment, picked } = s
  const { name, config } = experiment.model
  const graph = forwardGraph({ kind: 'vision-language', config }, { batch: 1 })
  const about = summaryJson(summary([graph], { name, depth: listed }))
  return {
    format: manifestFormat,
    sailwright: s.version,
    ownCode: ownCode(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    engine: { name: picked.engine.name, version: picked.engine.version, why: picked.why },
    name: experiment.name,
    file: shownPath(s.cwd, s.path),
    code: [...codeFiles(s.path)],
    command: `sailwright ${s.words.map(shellWord).join(' ')}`,
    seed: experiment.seed,
    startedAt: s.at.toISOString(),
    recipe: plain(experiment.recipe, 'recipe'),
    programs: Object.fromEntries(
      [...(experiment.programs?.() ?? [])].map(([stage, program]) => [stage, fingerprint(program)]),
    ),
    model: {
      name,
      config: plain(experiment.model.config, 'model.config'),
      parameters: about.parameters,
      rows: about.rows.map(({ path, layer, axes, parameters, flops, bytes }) => ({
        path,
        layer,
        axes,
        parameters,
        flops,
        bytes,
      })),
      svg: svg([graph], { name, depth: listed - 1 }),
    },
    families: [...experiment.families],
    quick: s.quick,
  }
}
