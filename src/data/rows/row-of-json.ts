/**
 * JSON text of a file as a row.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as t from 'io-ts'
import { parseJson } from '../../formats/index.ts'
import type { Row } from './row.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes of a file as text; the reason where they are none. */
export const textOf = (bytes: Uint8Array): E.Either<string, string> =>
  E.tryCatch(
    () => utf8.decode(bytes),
    () => 'it is not UTF-8; save the file as UTF-8',
  )

/** The columns that a JSON object has; the reason where the text is none. */
export const columnsOf = (json: string): E.Either<string, Row['columns']> =>
  pipe(
    parseJson(json),
    E.mapLeft((why) => `it is no JSON (${why})`),
    E.filterOrElse(t.UnknownRecord.is, () => 'it is no JSON object; give an object of columns for each row'),
  )
