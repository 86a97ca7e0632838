/**
 * What a command of `sailwright` is, and what it may touch.
 *
 * @since 0.1.0
 */
import { isAbsolute, relative } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { identity, pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { called, systemWords, type TextSink } from '../terminal/index.ts'
import type { Lines } from './lines.ts'

/** Why a command did not do what was asked. */
export type CliError =
  /** The command line is wrong: exit code 2. */
  | { readonly _tag: 'Usage'; readonly message: string }
  /** What was asked for failed: exit code 1. */
  | { readonly _tag: 'Failed'; readonly message: string }
  /** A signal stopped it: exit code 130, which the process turns into 143 for SIGTERM and 129 for SIGHUP. */
  | { readonly _tag: 'Interrupted'; readonly message: string }

/** The command line asks for something that there is not; `message` says what is possible. */
export const usage = (message: string): CliError => ({ _tag: 'Usage', message })
/** The same on the left. */
export const refuse = (message: string): E.Either<CliError, never> => E.left(usage(message))
/** What was asked for did not work. */
export const failed = (message: string): CliError => ({ _tag: 'Failed', message })
/** A signal stopped it; `message` says what is left of what was done. */
export const interrupted = (message: string): CliError => ({ _tag: 'Interrupted', message })

/** An engine that does not load, and where to see which do. */
export const noEngine = (e: { readonly message: string }): CliError =>
  failed(`${e.message}\n'${called()} doctor' says what is installed.`)

/** The exit code of an error, for scripts. */
export const exitCodeOf = (e: CliError): number => ({ Usage: 2, Failed: 1, Interrupted: 130 })[e._tag]

/** One option. `value` names what follows it in the help; without it the option is a switch. */
export interface Flag {
  readonly value?: string
  readonly help: string
  /** The values that it may have. */
  readonly choices?: readonly string[]
  /** May be given more than once. */
  readonly many?: true
  /** Takes the words that follow its value as well, up to the next option; may be given more than once. */
  readonly list?: true
  /** Must be an integer of at least this. */
  readonly integerFrom?: number
  /** Must not be more than this; with `integerFrom`. */
  readonly integerTo?: number
  /** What holds where it is not given, in words. */
  readonly otherwise?: string
}

/** One argument without a name. */
export interface Positional {
  readonly name: string
  readonly help: string
  readonly required: boolean
  /** May be given more than once; only the last argument of a command. */
  readonly many?: true
}

/** What stood on the command line, checked against the command's declaration. */
export interface Args {
  readonly positionals: readonly string[]
  /** The value of an option; of one given several times the last. */
  readonly text: (flag: string) => string | undefined
  /** Every value of an option that may be given more than once. */
  readonly all: (flag: string) => readonly string[]
  readonly on: (flag: string) => boolean
  readonly integer: (flag: string) => number | undefined
  /** As typed, after the command's name. */
  readonly typed: readonly string[]
}

/** The world as a command sees it. */
export interface Io {
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Calls back once on the first interrupt (Ctrl-C, SIGTERM, SIGHUP); gives a function that stops listening. */
  readonly onInterrupt: (act: () => void) => () => void
  /** Begins to read what is typed; undefined where there is nobody to read from. */
  readonly lines?: () => Lines
}

/** One command. */
export interface Command {
  /** One or two words: `run`, `engine install`. */
  readonly name: string
  readonly summary: string
  readonly positionals: readonly Positional[]
  readonly flags: Readonly<Record<string, Flag>>
  /** Options of which only one may be given. */
  readonly oneOf?: readonly string[]
  readonly examples: readonly (readonly [command: string, what: string])[]
  /** More for `--help`, a paragraph each. */
  readonly notes?: readonly string[]
  readonly run: (args: Args, io: Io) => TE.TaskEither<CliError, void>
}

/** Prints exactly one JSON value on stdout. */
export const printJson = (io: Io, value: unknown): void => {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Prints what a command came to: with `--json` as one JSON value, else as text. */
export const printResult = (args: Args, io: Io, value: unknown, text: () => string): void => {
  if (args.on('json')) printJson(io, value)
  else io.stdout.write(`${text()}\n`)
}

/** The message of whatever was thrown or left; of what the system refuses to do with a file why, and what to do. */
export const messageOf = (e: unknown): string => {
  if (typeof e !== 'object' || e === null || !('message' in e) || typeof e.message !== 'string')
    return String(e)
  const { code, syscall, path } = e as Partial<NodeJS.ErrnoException>
  // of a connection or a process these would be the wrong words
  const ofFile = syscall === 'write' || (syscall !== undefined && path !== undefined)
  const why = ofFile ? systemWords(code, syscall) : undefined
  return why === undefined ? e.message : `${path === undefined ? '' : `${path}: `}${why}`
}

/** What a promise gives; where it rejects, the command has failed with that message. */
export const attempt = <A>(make: () => Promise<A>): TE.TaskEither<CliError, A> =>
  TE.tryCatch(make, (e) => failed(messageOf(e)))

/** As {@link attempt}, of a promise that gives an Either. */
export const attemptEither = <A>(make: () => Promise<E.Either<CliError, A>>): TE.TaskEither<CliError, A> =>
  pipe(attempt(make), TE.chainEitherK(identity))

/** A path as a person reads it: from the working directory where it lies inside, else absolute. */
export const shownPath = (cwd: string, path: string): string => {
  const from = relative(cwd, path)
  return from === '' ? '.' : from.startsWith('..') || isAbsolute(from) ? path : from
}
