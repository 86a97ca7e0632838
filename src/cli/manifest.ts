/**
 * What ran, as `manifest.json` says it.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { fingerprint, summary, summaryJson, svg } from '../dsl/index.ts'
import type { Picked } from '../engine/index.ts'
import { type Manifest, manifestFormat } from '../run/index.ts'
import { dataFiles } from '../run/internal.ts'
import { kindOf } from '../settings/index.ts'
import { shellWord } from '../terminal/index.ts'
import {
  type Experiment,
  jsonSetting,
  RecipeError,
  textSetting,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'
import { codeFiles, ownCode } from './code-files.ts'
import { shownPath } from './command.ts'

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
  /** `--set`. */
  readonly settings: Readonly<Record<string, string>>
  /** `--reward`. */
  readonly rewards?: Readonly<Record<string, number>>
  /** `--data`. */
  readonly dataPath?: string
  /** `--fork`: the checkpoint that it begins from. */
  readonly forked?: Manifest['forked']
}

/** Levels of the model's blocks that the report lists and draws. */
const listed = 3

/** Sees that an experiment which was written by hand, without `experiment()`, says all that a run needs. */
const checked = (e: Experiment): void => {
  const where = 'the experiment'
  textSetting(where, 'name', e.name)
  wholeSetting(where, 'seed', e.seed, 0)
  valueSetting(where, 'model', e.model, ['graph'], 'a model, such as nanoModel')
  textSetting(where, 'model.name', e.model.name)
  if (e.model.config === undefined)
    throw new RecipeError(where, 'model.config', 'it is undefined; say as plain JSON data what the model is')
  if (!Array.isArray(e.families) || e.families.some((f) => typeof f !== 'string'))
    throw new RecipeError(where, 'families', `it is ${kindOf(e.families)}; give a list of names`)
  if (e.recipe === undefined)
    throw new RecipeError(where, 'recipe', 'it is undefined; say as plain JSON data what determines the run')
  if (e.programs !== undefined && typeof e.programs !== 'function')
    throw new RecipeError(where, 'programs', `it is ${kindOf(e.programs)}; give a function, or leave it out`)
}

/**
 * Puts the manifest of a run together.
 *
 * @throws GraphError where the experiment's model contradicts itself; RecipeError where what it says of itself is not plain
 *   data
 */
export const manifestOf = (s: Started): Manifest => {
  const { experiment } = s
  const { engine, why } = s.picked
  checked(experiment)
  jsonSetting('the experiment', 'recipe', experiment.recipe)
  const { name, config } = experiment.model
  jsonSetting('the experiment', 'model.config', config)
  const data = dataFiles(experiment.recipe)
  const graph = experiment.model.graph()
  const about = summaryJson(summary([graph], { name, depth: listed }))
  return {
    format: manifestFormat,
    sailwright: s.version,
    ownCode: ownCode(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    engine: {
      ...{ name: engine.name, version: engine.version, why },
      ...{ precision: engine.precision, compile: engine.compile, weights: engine.weights },
      ...{ devices: engine.devices === 1 ? undefined : engine.devices, device: engine.device },
    },
    name: experiment.name,
    file: shownPath(s.cwd, s.path),
    code: [...codeFiles(s.path)],
    command: `sailwright ${s.words.map(shellWord).join(' ')}`,
    seed: experiment.seed,
    startedAt: s.at.toISOString(),
    recipe: experiment.recipe,
    programs: Object.fromEntries(
      [...(experiment.programs?.() ?? [])].map(([stage, program]) => [stage, fingerprint(program)]),
    ),
    model: {
      name,
      config,
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
    settings: s.settings,
    rewards: Object.keys(s.rewards ?? {}).length === 0 ? undefined : s.rewards,
    data: s.dataPath,
    dataFiles: data.length === 0 ? undefined : [...data],
    forked: s.forked,
  }
}
