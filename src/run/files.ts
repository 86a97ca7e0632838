/**
 * Files that a run lives in: replaced whole or not at all, or appended to a line at a time.
 *
 * @since 0.1.0
 */
import {
  closeSync,
  createReadStream,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs'
import { open, readFile, stat, truncate } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type * as t from 'io-ts'
import { replaceFile } from '../formats/index.ts'
import { present } from '../settings/internal.ts'
import { systemWords } from '../terminal/index.ts'

/**
 * What can go wrong with a run's files. `Missing`: nothing is there. `Io`: the system refused. `BadLine`, `BadFile`: the
 * content is not what the format says. `OtherRun`: the folder belongs to something else. `Locked`: another process writes
 * there.
 */
export interface FileError {
  readonly _tag: 'Missing' | 'Io' | 'BadLine' | 'BadFile' | 'OtherRun' | 'Locked'
  /** `<file>[:<line>]: <what>; <what to do>`. */
  readonly message: string
  readonly file: string
  /** Counted from 1, where one line is to blame. */
  readonly line?: number
  readonly cause?: unknown
}

/** Makes a {@link FileError}; the message names the file and, where there is one, the line. */
export const fileError = (
  tag: FileError['_tag'],
  at: { readonly file: string; readonly line?: number },
  what: string,
  cause?: unknown,
): FileError => ({
  _tag: tag,
  message: `${at.file}${at.line === undefined ? '' : `:${at.line}`}: ${what}`,
  file: at.file,
  ...present({ line: at.line, cause }),
})

/** What the system said, as a {@link FileError}. */
export const systemError =
  (file: string, doing: string) =>
  (cause: unknown): FileError => {
    const { code, syscall } = Object(cause) as Partial<NodeJS.ErrnoException>
    // in a file that stands where a folder should there is none, unless it is to be made
    if (code === 'ENOENT' || (code === 'ENOTDIR' && syscall !== 'mkdir'))
      return fileError('Missing', { file }, `${doing}: there is no such file`, cause)
    const hint = systemWords(code, syscall) ?? (cause instanceof Error ? cause.message : String(cause))
    return fileError('Io', { file }, `${doing}: ${hint}`, cause)
  }

/**
 * Writes a file by temporary name, flush and rename: nobody ever reads half of it. Missing folders are made.
 *
 * @category writing
 */
export const writeWhole = (path: string, data: string | Uint8Array): TE.TaskEither<FileError, void> =>
  pipe(
    replaceFile(path, (handle) => handle.writeFile(data)),
    TE.mapLeft((e) => systemError(path, 'writing')(e.cause ?? e)),
  )

/**
 * A file that lines are appended to. Appending is synchronous: when it returns, the line is with the system, in order,
 * and a killed process loses at most the line that it was writing. `flush` pushes everything to the disk itself, which
 * is what a power failure asks for.
 */
export interface LineWriter {
  readonly path: string
  readonly append: (value: unknown) => IOEither<FileError, void>
  readonly flush: IOEither<FileError, void>
  /** Flushes and closes; a second time is harmless. */
  readonly close: IOEither<FileError, void>
}

/** Opens a file for {@link LineWriter}, making it where it is missing. Call {@link repairLines} first on an old file. */
export const openLines = (path: string): IOEither<FileError, LineWriter> =>
  IOE.tryCatch(
    () => {
      const file = openSync(path, 'a')
      let length = fstatSync(file).size
      let closed = false
      /** Half a line must not stay: the next one would run into it. */
      const cutBack = (): void => {
        try {
          ftruncateSync(file, length)
        } catch {
          // what is left is a torn line at the end until something else is appended, which will hardly succeed either
        }
      }
      const attempt = (doing: string, act: () => void): IOEither<FileError, void> =>
        IOE.tryCatch(act, systemError(path, doing))
      const whileOpen = (act: () => void) => () => {
        if (closed) throw new Error('the file is closed: this run was ended')
        act()
      }
      return {
        path,
        append: (value) =>
          attempt(
            'appending',
            whileOpen(() => {
              const bytes = Buffer.from(`${encodeLine(value)}\n`)
              try {
                for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
                length += bytes.length
              } catch (e) {
                cutBack()
                throw e
              }
            }),
          ),
        flush: attempt(
          'flushing',
          whileOpen(() => fsyncSync(file)),
        ),
        close: attempt('closing', () => {
          if (closed) return
          closed = true
          fsyncSync(file)
          closeSync(file)
        }),
      }
    },
    systemError(path, 'opening'),
  )

const nonFinite = '$number'

/** JSON, on one line unless an indent is given. NaN and the infinities, which JSON does not have, become `{"$number":"NaN"}` and so on. */
export const encodeLine = (value: unknown, indent?: number): string =>
  JSON.stringify(
    value,
    (_, v) => (typeof v === 'number' && !Number.isFinite(v) ? { [nonFinite]: String(v) } : v),
    indent,
  )

/** The inverse of {@link encodeLine}. @throws SyntaxError where the text is not JSON */
export const decodeLine = (line: string): unknown =>
  // a reviver looks at every number of a line: most lines have none to revive
  line.includes(nonFinite)
    ? JSON.parse(line, (_, v) =>
        v !== null && typeof v === 'object' && typeof v[nonFinite] === 'string' ? Number(v[nonFinite]) : v,
      )
    : JSON.parse(line)

/** A last line without its line end: the process was stopped while writing it. */
export interface TornLine {
  readonly line: number
  readonly bytes: number
}

/** Rows of a file of lines, and what was cut off at its end. */
export interface Lines<A> {
  readonly rows: readonly A[]
  readonly torn?: TornLine
}

/** A line without its end; `whole` is false of a last one that has none. */
interface Line {
  readonly bytes: Buffer
  readonly whole: boolean
}

/** The lines of a file one by one, however long the file is. */
async function* linesOf(path: string): AsyncGenerator<Line> {
  let begun: Buffer[] = []
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 18 }) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const rest = chunk.subarray(from, end)
      yield { bytes: begun.length === 0 ? rest : Buffer.concat([...begun, rest]), whole: true }
      begun = []
      from = end + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
  }
  if (begun.length > 0) yield { bytes: Buffer.concat(begun), whole: false }
}

/** What a fold over a file of lines came to, and what was cut off at its end. */
export interface Folded<S> {
  readonly state: S
  readonly torn?: TornLine
}

/**
 * Folds over a file of JSON lines, one line in memory at a time. A last line without a line end was being written when
 * the process stopped: it is left out and reported as `torn`. Any other line that does not fit is passed over and told in
 * `damaged`, by file, line and key.
 *
 * @category reading
 */
export const foldReadable = <A, S>(
  path: string,
  codec: t.Decoder<unknown, A>,
  initial: S,
  step: (state: S, row: A) => S,
): TE.TaskEither<FileError, Folded<S> & { readonly damaged: readonly FileError[] }> =>
  TE.tryCatch(
    async () => {
      let state = initial
      let line = 0
      const damaged: FileError[] = []
      for await (const { bytes, whole } of linesOf(path)) {
        line++
        if (!whole) return { state, damaged, torn: { line, bytes: bytes.length } }
        const row = decodeAt({ file: path, line }, 'BadLine', bytes.toString('utf8'), codec)
        if (E.isLeft(row)) damaged.push(row.left)
        else state = step(state, row.right)
      }
      return { state, damaged }
    },
    systemError(path, 'reading'),
  )

/**
 * As {@link foldReadable}, for who wants all: fails with the `BadLine` of the first line that does not fit.
 *
 * @category reading
 */
export const foldLines = <A, S>(
  path: string,
  codec: t.Decoder<unknown, A>,
  initial: S,
  step: (state: S, row: A) => S,
): TE.TaskEither<FileError, Folded<S>> =>
  pipe(
    foldReadable(path, codec, initial, step),
    TE.chain(({ damaged: [first], ...folded }) => (first === undefined ? TE.right(folded) : TE.left(first))),
  )

/**
 * All rows of a file of JSON lines, as {@link foldLines} reads them.
 *
 * @category reading
 */
export const readLines = <A>(
  path: string,
  codec: t.Decoder<unknown, A>,
): TE.TaskEither<FileError, Lines<A>> =>
  pipe(
    // the rows are this fold's own: none is copied for each line
    TE.fromIO((): A[] => []),
    TE.chain((own) =>
      foldLines(path, codec, own, (rows, row) => {
        rows.push(row)
        return rows
      }),
    ),
    TE.map(({ state: rows, torn }) => ({ rows, ...present({ torn }) })),
  )

/**
 * Cuts off a torn last line, so that the next line does not run into it. Gives what was cut, or undefined.
 *
 * @category writing
 */
export const repairLines = (path: string): TE.TaskEither<FileError, TornLine | undefined> =>
  TE.tryCatch(
    async () => {
      let line = 0
      let torn: TornLine | undefined
      for await (const { bytes, whole } of linesOf(path)) {
        line++
        if (!whole) torn = { line, bytes: bytes.length }
      }
      if (torn !== undefined) await truncate(path, (await stat(path)).size - torn.bytes)
      return torn
    },
    systemError(path, 'repairing'),
  )

/** Reads a JSON file. Fails with `Missing`, `Io` or, naming the key, `BadFile`. */
export const readJson = <A>(path: string, codec: t.Decoder<unknown, A>): TE.TaskEither<FileError, A> =>
  pipe(
    TE.tryCatch(() => readFile(path, 'utf8'), systemError(path, 'reading')),
    TE.chainEitherK((text) => decodeAt({ file: path }, 'BadFile', text, codec)),
  )

/** Whether something is there. */
export const exists = (path: string): TE.TaskEither<never, boolean> =>
  pipe(
    TE.tryCatch(
      async () => (await open(path, 'r')).close(),
      () => undefined,
    ),
    TE.match(
      () => false,
      () => true,
    ),
    TE.fromTask,
  )

/** Decodes JSON text; the error has the tag and the place that are given. */
export const decodeAt = <A>(
  at: { readonly file: string; readonly line?: number },
  tag: 'BadLine' | 'BadFile',
  text: string,
  codec: t.Decoder<unknown, A>,
): E.Either<FileError, A> => {
  let value: unknown
  try {
    value = decodeLine(text)
  } catch (e) {
    return E.left(
      fileError(tag, at, text.trim() === '' ? 'it is empty' : `this is not JSON (${brief(text)})`, e),
    )
  }
  return pipe(
    codec.decode(value),
    E.mapLeft((errors) => fileError(tag, at, describe(errors))),
  )
}

/** The first thing that does not fit, in words: `key 'loss' should be number and is "high"`. */
export const describe = (errors: t.Errors): string => {
  const first = errors[0]
  const last = first?.context[first.context.length - 1]
  if (first === undefined || last === undefined) return 'the content does not fit'
  const path = first.context
    .filter((c, i) => c.key !== '' && !isCombined(first.context[i - 1]?.type))
    .map((c) => c.key)
    .join('.')
  const at = path === '' ? 'the value' : `key '${path}'`
  const kind = (first.value as { type?: unknown } | null | undefined)?.type
  if (isUnion(last.type) && typeof kind === 'string')
    return `${at} has the type '${kind}', which this version does not know`
  const wanted = last.type.name.startsWith('(') ? 'of another kind' : brief(last.type.name)
  const is = first.value === undefined ? 'is missing' : `is ${brief(JSON.stringify(first.value))}`
  return `${at} should be ${wanted} and ${is}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`
}

const tagOf = (type: unknown): unknown => (type as { _tag?: unknown } | undefined)?._tag

const isUnion = (type: unknown): boolean => tagOf(type) === 'UnionType'

/** Whether the keys below a codec are the numbers of its members, which say nothing to a reader. */
const isCombined = (type: unknown): boolean => isUnion(type) || tagOf(type) === 'IntersectionType'

const brief = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text)
