/**
 * A model as a graph with its weights: an ONNX file, a SavedModel.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Program } from '../dsl/index.ts'
import { freshState, type TensorValue, writeOnnx, writeSavedModel } from '../engine/index.ts'
import type { GraphSizes } from '../models/index.ts'
import { writeWhole } from '../run/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import type { WrittenFolder } from './export-hugging-face.ts'
import {
  type DescribedFunction,
  describeProgram,
  type ExportedModel,
  forwardFunction,
  forwardName,
  forwardProgram,
  placedIn,
} from './exported-model.ts'
import { openFrozen } from './opened-frozen.ts'
import type { Stage } from './stage.ts'
import { inMemory, type StoredWeights } from './weights.ts'

/** What both graphs may be told. Sizes are compiled in: another size is another export. */
export interface ExportGraphOptions extends GraphSizes {
  /** Bytes of weights from which on an ONNX file keeps them in a file beside it; default 1.5e9. */
  readonly inside?: number
}

/** The weights of these keys, read one by one. */
const valuesOf = (
  weights: StoredWeights,
  keys: readonly string[],
): TE.TaskEither<Error, ReadonlyMap<string, TensorValue>> =>
  pipe(
    keys,
    TE.traverseSeqArray((key) =>
      pipe(
        weights.read(key),
        TE.map((value) => [key, value] as const),
      ),
    ),
    TE.map((all) => new Map(all)),
  )

const table = (title: string, all: Readonly<Record<string, string>>): string =>
  `${title}:\n${Object.entries(all)
    .map(([name, what]) => `- \`${name}\`: ${what}`)
    .join('\n')}\n`

const section = (f: DescribedFunction): string =>
  `## ${f.name}\n\n${f.changes ? 'It changes the states.\n\n' : ''}${table('Inputs', f.inputs)}\n${table('Outputs', f.outputs)}`

const readme = (
  folder: string,
  title: string,
  about: string,
  functions: readonly DescribedFunction[],
): TE.TaskEither<Error, void> =>
  pipe(
    writeWhole(join(folder, 'README.md'), `# ${title}\n\n${about}\n\n${functions.map(section).join('\n')}`),
    TE.mapLeft((e) => new Error(e.message, { cause: e })),
  )

/**
 * Writes a model's forward graph as `model.onnx`, which any ONNX runtime with operator set 21 runs: standard operations,
 * weights inside, or in `model.onnx.data` beside it where they are many. Each input and output has its axes and what it is
 * in its documentation, which `README.md` repeats. Rows and tokens are those of the options (as `Model.graph` takes them):
 * a shorter text is padded on the right.
 *
 * Fails with WeightsError where a weight is missing or of another shape, and with what the engine's writer or the file
 * system says.
 *
 * @category export
 */
export const exportOnnxModel = (
  folder: string,
  { model, weights }: ExportedModel,
  options: ExportGraphOptions = {},
): TE.TaskEither<Error, WrittenFolder> => {
  const { inside, ...sizes } = onlySettings('exportOnnxModel', options, ['inside', 'batch', 'tokens'])
  return pipe(
    TE.fromEither(
      E.tryCatch(() => ({ ...placedIn(model, weights), program: forwardProgram(model, sizes) }), E.toError),
    ),
    TE.bind('functions', ({ program }) => TE.right(describeProgram(program, model))),
    TE.bind('values', ({ taken }) => valuesOf(weights, taken)),
    TE.bind('paths', ({ program, functions, values }) =>
      pipe(
        writeOnnx(join(folder, 'model.onnx'), program, forwardName, 0, values, {
          docs: { ...functions[0]?.inputs, ...functions[0]?.outputs },
          ...present({ inside }),
        }),
        TE.mapLeft((e) => new Error(e.message, { cause: e })),
      ),
    ),
    TE.chainFirst(({ functions }) =>
      readme(
        folder,
        model.name,
        '`model.onnx` computes the model, once for all rows of a call. Sizes are fixed.',
        functions.map((f) => ({ ...f, name: 'model.onnx' })),
      ),
    ),
    TE.map(({ paths, unused }) => ({
      files: ['README.md', ...paths.map((p) => p.slice(folder.length + 1))],
      unused,
    })),
  )
}

const savedAbout = (trains: boolean): string =>
  `A SavedModel: a signature for each function and compiled size, named as below. \`read\` gives all states by their keys, \`write\` takes them. ${
    trains
      ? 'Calling a signature that changes the states trains the model where it is loaded; what an update needs beside the weights begins fresh. Loading the folder again brings everything back.'
      : 'No function changes the states.'
  }`

/** The states of a program: the weights that are there, all others as a fresh run begins with them. */
const statesOf = (
  program: Program,
  values: ReadonlyMap<string, TensorValue>,
  seed: number,
): ReadonlyMap<string, TensorValue['data']> =>
  new Map(
    [...program.states.values()].map((spec) => [
      spec.key,
      values.get(spec.key)?.data ?? freshState(spec, seed),
    ]),
  )

/** The frozen weights that a stage's program reads, where there are any. */
const frozenOf = (
  stage: Stage | undefined,
  program: Program,
): TE.TaskEither<Error, ReadonlyMap<string, TensorValue>> =>
  pipe(
    TE.tryCatch(async () => stage && (await openFrozen(stage, program)), E.toError),
    TE.chain((f) => valuesOf(f ?? inMemory(new Map()), f?.keys ?? [])),
  )

/**
 * Writes a model as a SavedModel folder, which any TensorFlow from 2.9 on loads. Signature `forward.0` is its graph at the
 * options' sizes. With a stage, the stage's own functions are signatures too, at the sizes that the stage has: `step.0`
 * trains (`accumulate.0` and `apply.0` where it accumulates), beginning with the exported weights and fresh moments; frozen
 * weights that its loss reads, such as a teacher's, are inside. A stage's adapters begin fresh over the weights that the old
 * ones were merged into, and `forward` does not have them. `read` and `write` are signatures over all states. `README.md`
 * says what goes in and comes out.
 *
 * Fails with WeightsError where a weight is missing or of another shape, and where graph and weights are over the 2 GB that
 * the format has.
 *
 * @param seed of what begins fresh
 * @category export
 */
export const exportSavedModel = (
  folder: string,
  { model, weights }: ExportedModel,
  stage?: Stage,
  sizes: GraphSizes = {},
  seed = 0,
): TE.TaskEither<Error, WrittenFolder> => {
  onlySettings('exportSavedModel', sizes, ['batch', 'tokens'])
  return pipe(
    TE.fromEither(
      E.tryCatch(() => {
        const forward = forwardFunction(model, sizes)
        const program = stage?.program(forward).program ?? forwardProgram(model, sizes)
        return { ...placedIn(model, weights), program }
      }, E.toError),
    ),
    // what the stage has beside the model, such as a head of its objective, is among the weights too
    TE.bind('values', ({ program }) =>
      valuesOf(
        weights,
        weights.keys.filter((key) => program.states.has(key)),
      ),
    ),
    TE.bind('frozen', ({ program }) => frozenOf(stage, program)),
    TE.chainFirst(({ program, values, frozen }) =>
      TE.tryCatch(
        () => writeSavedModel(program, statesOf(program, new Map([...values, ...frozen]), seed), folder),
        E.toError,
      ),
    ),
    TE.chainFirst(({ program }) => {
      const functions = describeProgram(program, model)
      return readme(folder, model.name, savedAbout(functions.some((f) => f.changes)), functions)
    }),
    TE.map(({ unused, program }) => ({
      files: ['README.md', 'saved_model.pb'],
      unused: unused.filter((key) => !program.states.has(key)),
    })),
  )
}
