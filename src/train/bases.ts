/**
 * The pretrained parts from which a recipe begins, as they ship with the package: safetensors files and a manifest that
 * says what made them.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { assetPath } from '../data/tokens.ts'
import { loadWeights, type Weights } from './weights.ts'

/** `assets/nano/bases/manifest.json`: the files, what they hold, and how they were made. */
export const BasesManifest = t.type({
  files: t.array(
    t.type({ file: t.string, sha256: t.string, parameters: t.number, command: t.string, seed: t.number }),
  ),
})
export type BasesManifest = t.TypeOf<typeof BasesManifest>

const folder = 'nano/bases'
const wrong = (file: string, what: string): Error =>
  new Error(
    `${file}: ${what}. It ships with the package: install the package again, or make it anew with examples/pretrain-bases.ts`,
  )

const readManifest: TE.TaskEither<Error, BasesManifest> = TE.tryCatch(
  async () => {
    const path = assetPath(`${folder}/manifest.json`)
    const decoded = BasesManifest.decode(JSON.parse(await readFile(path, 'utf8')))
    if (E.isLeft(decoded)) throw wrong(path, 'it is no manifest of bases')
    return decoded.right
  },
  (e) => (e instanceof Error ? e : new Error(String(e))),
)

const checked = (entry: BasesManifest['files'][number]): TE.TaskEither<Error, Weights> =>
  pipe(
    TE.tryCatch(
      async () => {
        const path = assetPath(`${folder}/${entry.file}`)
        const sum = createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
        if (sum !== entry.sha256)
          throw wrong(path, `its SHA-256 is ${sum} and the manifest says ${entry.sha256}`)
        return path
      },
      (e) => (e instanceof Error ? e : new Error(String(e))),
    ),
    TE.chainW(loadWeights),
  )

/**
 * The nano vision encoder and the nano language model, checked against the manifest's checksums. There is no adapter among
 * them: a recipe begins with a fresh one.
 *
 * @category bases
 */
export const nanoBases: TE.TaskEither<Error, Weights> = pipe(
  readManifest,
  TE.chain((m) => TE.traverseArray(checked)(m.files)),
  TE.map((parts) => new Map(parts.flatMap((p) => [...p]))),
)
