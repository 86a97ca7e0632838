/**
 * Files that a run lives in: replaced whole or not at all, or appended to a line at a time.
 *
 * @since 0.1.0
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { open, readFile, truncate } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type * as t from 'io-ts'
import { replaceFile } from '../formats/safetensors.ts'

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
  ...(at.line === undefined ? {} : { line: at.line }),
  ...(cause === undefined ? {} : { cause }),
})

/** What the system said, as a {@link FileError}. */
export const systemError =
  (file: string, doing: string) =>
  (cause: unknown): FileError => {
    const code = (cause as NodeJS.ErrnoException | null)?.code ?? ''
    if (code === 'ENOENT') return fileError('Missing', { file }, `${doing}: there is no such file`, cause)
    const hint =
      code === 'ENOSPC'
        ? 'the disk is full; free some space and run again'
        : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
          ? 'this user may not; choose another folder or change its permissions'
          : cause instanceof Error
            ? cause.message
            : String(cause)
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
      let closed = false
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
              for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
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

/** One line of JSON. NaN and the infinities, which JSON does not have, become `{"$number":"NaN"}` and so on. */
export const encodeLine = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    typeof v === 'number' && !Number.isFinite(v) ? { [nonFinite]: String(v) } : v,
  )

/** The inverse of {@link encodeLine}. @throws SyntaxError where the text is not JSON */
export const decodeLine = (line: string): unknown =>
  JSON.parse(line, (_, v) =>
    v !== null && typeof v === 'object' && typeof v[nonFinite] === 'string' ? Number(v[nonFinite]) : v,
  )

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

const splitTorn = (bytes: Buffer): { readonly text: string; readonly torn?: TornLine } => {
  const end = bytes.lastIndexOf(10) + 1
  const text = bytes.toString('utf8', 0, end)
  if (end === bytes.length) return { text }
  return { text, torn: { line: text.split('\n').length, bytes: bytes.length - end } }
}

/**
 * Reads a file of JSON lines. A last line without a line end was being written when the process stopped: it is left out
 * and reported as `torn`. Any other line that does not fit fails with `BadLine`, which names the file, the line, the key.
 *
 * @category reading
 */
export const readLines = <A>(
  path: string,
  codec: t.Decoder<unknown, A>,
): TE.TaskEither<FileError, Lines<A>> =>
  pipe(
    TE.tryCatch(() => readFile(path), systemError(path, 'reading')),
    TE.chainEitherK((bytes) => {
      const { text, torn } = splitTorn(bytes)
      const rows: A[] = []
      const lines = text.split('\n').slice(0, -1)
      for (const [i, line] of lines.entries()) {
        const row = decodeAt({ file: path, line: i + 1 }, 'BadLine', line, codec)
        if (E.isLeft(row)) return row
        rows.push(row.right)
      }
      return E.right({ rows, ...(torn === undefined ? {} : { torn }) })
    }),
  )

/**
 * Cuts off a torn last line, so that the next line does not run into it. Gives what was cut, or undefined.
 *
 * @category writing
 */
export const repairLines = (path: string): TE.TaskEither<FileError, TornLine | undefined> =>
  TE.tryCatch(
    async () => {
      const bytes = await readFile(path)
      const { torn } = splitTorn(bytes)
      if (torn !== undefined) await truncate(path, bytes.length - torn.bytes)
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
    return E.left(fileError(tag, at, `this is not JSON (${brief(text)})`, e))
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
