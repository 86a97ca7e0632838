/** The files of a model's folder that say how it is built. */
import { readFile } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { parseJson } from '../formats/index.ts'
import { ConfigError } from './config-words.ts'

/**
 * The JSON of a file.
 *
 * @param todo what to do where it cannot be read
 * @param absent stands for the text of a file that is not there; default: that is an error
 */
export const readJson = (file: string, todo: string, absent?: string): TE.TaskEither<ConfigError, unknown> =>
  pipe(
    TE.tryCatch(
      () =>
        readFile(file, 'utf8').catch((e) =>
          e.code === 'ENOENT' && absent !== undefined ? absent : Promise.reject(e),
        ),
      (e) =>
        new ConfigError(
          'Io',
          file,
          '',
          `cannot be read (${(e as NodeJS.ErrnoException).code ?? String(e)})${todo}`,
        ),
    ),
    TE.chainEitherK((text) =>
      pipe(
        parseJson(text),
        E.mapLeft(
          (why) => new ConfigError('BadJson', file, '', `is no JSON (${why}); mend or fetch it again`),
        ),
      ),
    ),
  )
