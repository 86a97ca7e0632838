/** `manifest.json`: what ran, as the first start of a run writes it. */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { type FileError, fileError, readJson } from './files.ts'

export const manifestFile = 'manifest.json'

/** The number of the form of {@link Manifest}; it grows with every change after which older ones cannot be read. */
export const manifestFormat = 3

const Ran = t.type({
  format: t.literal(manifestFormat),
  sailwright: t.string,
  /** Checksum of the code of Sailwright itself. */
  ownCode: t.string,
  node: t.string,
  platform: t.string,
  /** Cores that the engine may use. */
  cores: t.number,
  engine: t.intersection([
    t.type({ name: t.string, version: t.string, why: t.string }),
    /**
     * What it computes in, without it float32; what compiles what it runs, without it nothing that was asked for; in what its
     * weights lie, without it float32; how many devices share a batch, without it one; where onnx computes, without it on the
     * processor.
     */
    t.partial({
      precision: t.string,
      compile: t.string,
      weights: t.string,
      devices: t.number,
      device: t.string,
    }),
  ]),
  name: t.string,
  file: t.string,
  /** SHA-256 of the experiment's file and of what it imports from outside of packages; paths from that file's folder. */
  code: t.array(t.type({ file: t.string, sha256: t.string })),
  command: t.string,
  seed: t.number,
  startedAt: t.string,
  /** The recipe as data: stages with mixture, parts, optimizer, schedule. */
  recipe: t.unknown,
  /** Fingerprints of the stages' programs by the stage's name; none where the experiment tells of none. */
  programs: t.record(t.string, t.string),
  model: t.type({
    name: t.string,
    parameters: t.number,
    config: t.unknown,
    /** Rows of the summary, one a block. */
    rows: t.array(
      t.type({
        path: t.string,
        layer: t.string,
        axes: t.string,
        parameters: t.number,
        flops: t.number,
        bytes: t.number,
      }),
    ),
    /** The block image. */
    svg: t.string,
  }),
  /** Families in display order. */
  families: t.array(t.string),
})
const Short = t.partial({
  /** Whether it is a short pass (`--quick`), too short to learn. */
  quick: t.boolean,
  /** What `--set` said, by key: with the file, the seed and `quick` it gives the experiment again. */
  settings: t.record(t.string, t.string),
  /** What `--reward` said, by name. */
  rewards: t.record(t.string, t.number),
  /** What `--data` said. */
  data: t.string,
  /** The files that the recipe's data come from, with their bytes and a checksum of what is in them. */
  dataFiles: t.array(
    t.intersection([
      t.type({ file: t.string, bytes: t.number, read: t.number, sha256: t.string }),
      t.partial({ named: t.readonlyArray(t.union([t.number, t.null])) }),
    ]),
  ),
  /** The checkpoint of another run that it began from, and what it took of it. */
  forked: t.type({
    run: t.string,
    stage: t.string,
    step: t.number,
    taken: t.keyof({ weights: null, everything: null }),
  }),
})
/** `manifest.json`: what ran. */
export const Manifest = t.intersection([Ran, Short])
/** `manifest.json`: what ran. */
export type Manifest = t.TypeOf<typeof Manifest>

/** What is to be done about a manifest that is damaged. */
const putBack = (e: FileError): FileError =>
  e._tag === 'BadFile'
    ? { ...e, message: `${e.message}; put the file back, or begin a new run in another folder (--out)` }
    : e

/** The manifest of a run's folder. One of another form is told by its number, whatever else is in it. */
export const readManifest = (root: string): TE.TaskEither<FileError, Manifest> => {
  const path = join(root, manifestFile)
  return pipe(
    readJson(path, t.partial({ format: t.number, sailwright: t.string })),
    TE.mapLeft(putBack),
    TE.chain(({ format = 1, sailwright = 'unknown' }) =>
      format === manifestFormat
        ? readJson(path, Manifest)
        : TE.left(
            fileError(
              'OtherRun',
              { file: path },
              `the run was written in form ${format}, by Sailwright ${sailwright}, and this version reads form ${manifestFormat}; use the version that wrote it, or choose another folder with --out`,
            ),
          ),
    ),
  )
}
