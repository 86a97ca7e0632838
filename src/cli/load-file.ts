/**
 * A user's experiment file: found, loaded (TypeScript as it is), checked.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Experiment, ExperimentFile, ExperimentOptions } from '../train/experiment.ts'
import { type CliError, failed, messageOf, shownPath, usage } from './command.ts'
import { registerHooks } from './module-hooks.ts'
import { didYouMean, nearest } from './nearest.ts'
import { packageFile } from './package-root.ts'

const kinds = ['.ts', '.mts', '.js', '.mjs']

/** Whether a word on the command line names a file rather than something else. */
export const looksLikeFile = (word: string): boolean =>
  kinds.includes(extname(word)) || word.includes('/') || word.includes('\\')

const notThere = (word: string, cwd: string): string => {
  const path = resolve(cwd, word)
  const folder = dirname(path)
  if (!existsSync(folder))
    return `there is no file ${word}: the folder ${shownPath(cwd, folder)} does not exist.`
  const files = readdirSync(folder).filter((f) => kinds.includes(extname(f)))
  const near = nearest(basename(path), files)
  if (near !== undefined)
    return `there is no file ${word}. Did you mean '${shownPath(cwd, join(folder, near))}'?`
  return `there is no file ${word}.${files.length > 0 && files.length <= 8 ? ` There is ${files.map((f) => shownPath(cwd, join(folder, f))).join(', ')}.` : ''}`
}

/** The absolute path of an experiment file, or a `Usage` error that says what is there instead. */
const find = (word: string, cwd: string): TE.TaskEither<CliError, string> => {
  const path = resolve(cwd, word)
  if (!existsSync(path)) return TE.left(usage(notThere(word, cwd)))
  if (statSync(path).isDirectory()) return TE.left(usage(`${word} is a folder; name the experiment's file.`))
  if (!kinds.includes(extname(path)))
    return TE.left(usage(`${word} is no experiment: it should end in ${kinds.join(', ')}.`))
  return TE.right(path)
}

let understood = false

/** Makes `import` understand experiment files, once. */
const understandExperiments = async (): Promise<void> => {
  if (understood) return
  understood = true
  registerHooks(pathToFileURL(packageFile('package.json')).href)
}

/** Loads a module; TypeScript is stripped on the way, that of imported files too. */
const load = async (path: string): Promise<Record<string, unknown>> => {
  await understandExperiments()
  return (await import(pathToFileURL(path).href)) as Record<string, unknown>
}

/** What went wrong in a user's file: the message, and the user's own line where the stack knows one. */
export const blamed = (path: string, e: unknown): string => {
  const message = messageOf(e)
  const code = (e as { code?: string } | null)?.code
  if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(packageFile('dist')))
    return 'Sailwright is not built: npm run build'
  const stack = e instanceof Error ? (e.stack ?? '') : ''
  const line = stack.split('\n').find((l) => l.includes(path))
  return line === undefined || message.includes(path) ? message : `${message}\n  ${line.trim()}`
}

/** Settings that remember which of them were read: one that is never read is a misspelt one. */
const watched = (settings: ExperimentOptions['settings']) => {
  const left = new Set(Object.keys(settings))
  const spied = Object.defineProperties(
    {} as Record<string, string>,
    Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [
        key,
        {
          enumerable: true,
          get: () => {
            left.delete(key)
            return value
          },
        },
      ]),
    ),
  )
  return { settings: spied, unread: (): readonly string[] => [...left] }
}

const isExperiment = (value: unknown): value is Experiment =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Experiment).name === 'string' &&
  typeof (value as Experiment).run === 'function' &&
  typeof (value as Experiment).model === 'object'

/** An experiment and where it came from. */
export interface LoadedFile {
  /** Absolute. */
  readonly path: string
  readonly experiment: Experiment
  /** Settings that the file never asked for. */
  readonly unread: readonly string[]
}

/**
 * Loads an experiment file and asks it for its experiment.
 *
 * Fails with `Usage` where there is no such file, `Failed` where it does not load, throws, or exports something else.
 */
export const loadExperiment = (
  word: string,
  cwd: string,
  options: ExperimentOptions,
): TE.TaskEither<CliError, LoadedFile> =>
  pipe(
    find(word, cwd),
    TE.chain((path) =>
      pipe(
        TE.tryCatch(
          async () => {
            const module = await load(path)
            const file = module.default as ExperimentFile | undefined
            const { settings, unread } = watched(options.settings)
            const made = typeof file === 'function' ? await file({ ...options, settings }) : file
            return { module, made, unread: unread() }
          },
          (e) => failed(blamed(path, e)),
        ),
        TE.chain(({ module, made, unread }) => {
          if (isExperiment(made)) return TE.right({ path, experiment: made, unread })
          const named = Object.keys(module).filter((k) => k !== 'default')
          return TE.left(
            failed(
              made === undefined
                ? `${word} has no default export: an experiment file ends in 'export default', an experiment or a function that makes one.${named.length > 0 ? ` It exports ${named.join(', ')}.${didYouMean('experiment', named)}` : ''}`
                : `the default export of ${word} is no experiment: it needs name, model and run; make it with experiment() of 'sailwright/train'.`,
            ),
          )
        }),
      ),
    ),
  )
