/**
 * The pretrained parts from which a recipe begins, as they ship with the package: safetensors files and a manifest that
 * says what made them.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { type FileError, readJson, systemError } from '../run/index.ts'
import { loadWeights, type Weights } from '../train/index.ts'
import { assetPath } from './nano.ts'

/** `assets/nano/bases/manifest.json`: the files, what they hold, and how they were made. */
export const BasesManifest = t.type({
  files: t.array(
    t.type({ file: t.string, sha256: t.string, parameters: t.number, command: t.string, seed: t.number }),
  ),
})
export type BasesManifest = t.TypeOf<typeof BasesManifest>

/** Bases that cannot be used: a file is missing, the manifest is none, or a file is not the one that it lists. */
export class BasesError extends Error {
  readonly tag: 'Missing' | 'BadManifest' | 'BadChecksum'
  readonly file: string
  constructor(tag: BasesError['tag'], file: string, what: string, cause?: unknown) {
    super(
      `${what}; install the package again, or make the bases anew with examples/pretrain-bases.ts and scripts/ship-bases.ts`,
      { cause },
    )
    this.name = 'BasesError'
    this.tag = tag
    this.file = file
  }
}

const unreadable = (e: FileError): BasesError =>
  new BasesError(e._tag === 'BadFile' ? 'BadManifest' : 'Missing', e.file, e.message, e)

const checked =
  (folder: string) =>
  (entry: BasesManifest['files'][number]): TE.TaskEither<Error, Weights> => {
    const file = join(folder, entry.file)
    return pipe(
      TE.tryCatch(() => readFile(file), systemError(file, 'reading')),
      TE.mapLeft(unreadable),
      TE.map((bytes) => createHash('sha256').update(bytes).digest('hex')),
      TE.filterOrElse(
        (sum) => sum === entry.sha256,
        (sum) =>
          new BasesError(
            'BadChecksum',
            file,
            `${file}: its SHA-256 is ${sum}, and the manifest says ${entry.sha256}`,
          ),
      ),
      TE.chainW(() => loadWeights(file)),
    )
  }

/**
 * The weights of all files that a folder's `manifest.json` lists, each checked against its checksum.
 *
 * Fails with {@link BasesError}, or with what is wrong with a safetensors file.
 *
 * @category bases
 */
export const readBases = (folder: string): TE.TaskEither<Error, Weights> =>
  pipe(
    readJson(join(folder, 'manifest.json'), BasesManifest),
    TE.mapLeft(unreadable),
    TE.chainW((m) => TE.traverseArray(checked(folder))(m.files)),
    TE.map((parts) => new Map(parts.flatMap((p) => [...p]))),
  )

/**
 * The nano vision encoder and the nano language model that ship with the package. There is no adapter among them: a recipe
 * begins with a fresh one.
 *
 * @category bases
 */
export const nanoBases: TE.TaskEither<Error, Weights> = pipe(
  TE.tryCatch(async () => dirname(assetPath('nano/bases/manifest.json')), E.toError),
  TE.chain(readBases),
)
