/**
 * A user's experiment file: found, loaded (TypeScript as it is), checked.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { packageFile } from '../package/index.ts'
import { didYouMean, nearest } from '../terminal/index.ts'
import type {
  DataOptions,
  Experiment,
  ExperimentFile,
  ExperimentOptions,
  WatchedData,
} from '../train/index.ts'
import { blamed } from './blame.ts'
import { type CliError, failed, messageOf, refuse, shownPath, usage } from './command.ts'
import { isExperiment, notExperiment } from './default-export.ts'
import { neverSettles, unlessIdle, withLastWords } from './idle.ts'

const kinds = ['.ts', '.mts', '.js', '.mjs']

/** Whether a word on the command line names a file rather than something else. */
export const looksLikeFile = (word: string): boolean =>
  kinds.includes(extname(word)) || word.includes('/') || word.includes('\\')

const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder).filter((f) => kinds.includes(extname(f)))

/** ` There is a.ts, b.ts.`, where there are files that may be meant and not too many. */
const filesIn = (folder: string, cwd: string): string => {
  const files = filesOf(folder)
  if (files.length === 0 || files.length > 8) return ''
  return ` There is ${files.map((f) => shownPath(cwd, join(folder, f))).join(', ')}.`
}

/** The package's own examples are named as in a clone of it; elsewhere they lie in the package. */
const isExample = (word: string): boolean =>
  /^(\.\/)?examples\/[^.]/.test(word) && existsSync(packageFile(word))

const notThere = (word: string, cwd: string): string => {
  const path = resolve(cwd, word)
  const folder = dirname(path)
  if (isExample(word))
    return `there is no file ${word} here. The package has one: ${shownPath(cwd, packageFile(word))}`
  if (!existsSync(folder))
    return `there is no file ${word}: the folder ${shownPath(cwd, folder)} does not exist.`
  if (!statSync(folder).isDirectory())
    return `there is no file ${word}: ${shownPath(cwd, folder)} is no folder.`
  const files = filesOf(folder)
  const near =
    nearest(basename(path), files) ??
    files.find((f) => nearest(basename(path), [basename(f, extname(f))]) !== undefined)
  if (near !== undefined)
    return `there is no file ${word}. Did you mean '${shownPath(cwd, join(folder, near))}'?`
  return `there is no file ${word}.${filesIn(folder, cwd)}`
}

/** The absolute path of an experiment file, or a `Usage` error that says what is there instead. */
const find = (word: string, cwd: string): TE.TaskEither<CliError, string> => {
  const path = resolve(cwd, word)
  if (!existsSync(path)) return TE.left(usage(notThere(word, cwd)))
  const about = statSync(path)
  if (about.isDirectory())
    return TE.left(usage(`'${word}' is a folder; name the experiment's file.${filesIn(path, cwd)}`))
  if (!kinds.includes(extname(path)))
    return TE.left(
      usage(
        `${word} is no experiment: it is code, in a file that ends in ${kinds.join(', ')}${extname(path) === '.json' ? ', and not JSON' : ''}.`,
      ),
    )
  if (!about.isFile()) return TE.left(usage(`${word} is no file.`))
  return TE.right(path)
}

let understood: Promise<void> | undefined

/** Makes `import` understand experiment files, once. */
const understandExperiments = (): Promise<void> => {
  const understand = async (): Promise<void> => {
    const { inThisThread, registerHooks } = await import('./module-hooks.ts')
    // a thread of its own is asked about each import that comes after: what experiments are written with is loaded before
    if (!inThisThread)
      await Promise.all([import('../eval/index.ts'), import('../rl/index.ts'), import('../tasks/index.ts')])
    registerHooks(pathToFileURL(packageFile('package.json')).href)
  }
  understood ??= understand()
  return understood
}

/** Loads a module; TypeScript is stripped on the way, that of imported files too. */
const load = async (path: string): Promise<Record<string, unknown>> => {
  await understandExperiments()
  return (await import(pathToFileURL(path).href)) as Record<string, unknown>
}

/** Settings that remember which of them were asked for: one that never is, is a misspelt one. */
const watched = (settings: ExperimentOptions['settings']) => {
  const asked = new Set<string>()
  const spied = new Proxy(
    { ...settings },
    {
      get: (target, key) => {
        if (typeof key === 'string') asked.add(key)
        return Reflect.get(target, key)
      },
      has: (target, key) => {
        if (typeof key === 'string') asked.add(key)
        return Reflect.has(target, key)
      },
    },
  )
  return {
    settings: spied,
    asked,
    unread: (): readonly string[] => Object.keys(settings).filter((key) => !asked.has(key)),
  }
}

/** An experiment and where it came from. */
export interface LoadedFile {
  /** Absolute. */
  readonly path: string
  readonly experiment: Experiment
  /** What `--set` said of it. */
  readonly settings: Readonly<Record<string, string>>
  /** `--reward`. */
  readonly rewards?: Readonly<Record<string, number>>
  /** `--data`. */
  readonly dataPath?: string
  /** What it was given of the user's data. */
  readonly data: WatchedData
}

/** Settings that nothing asked for, and what the file does ask for. */
const unreadMessage = (
  word: string,
  unread: readonly string[],
  asked: ReadonlySet<string>,
  isFunction: boolean,
): string => {
  const keys = unread.map((k) => `'${k}'`).join(', ')
  if (!isFunction)
    return `${word} exports an experiment as it is, so that --set cannot reach it (${keys}): export a function of the options, ({ setting }) => …, that makes it.`
  const known = [...asked].filter((k) => !unread.includes(k))
  return `${word} asks for no setting ${keys}.${didYouMean(unread[0]!, known)}${known.length > 0 ? ` It asks for ${known.join(', ')}.` : ''}`
}

/** What the command line says to an experiment. */
export type FileOptions = Omit<ExperimentOptions, 'setting' | 'data'> & {
  readonly data?: DataOptions
  /** `--reward`: weights of the stages' rewards by name; default none. */
  readonly rewards?: Readonly<Record<string, number>>
}

/**
 * Loads an experiment file and asks it for its experiment.
 *
 * Fails with `Usage` where there is no such file, a setting is not what the file needs, or the file throws and would not
 * without one; `Failed` where it does not load, throws, never ends, or exports something else.
 */
export const loadExperiment = (
  word: string,
  cwd: string,
  options: FileOptions,
): TE.TaskEither<CliError, LoadedFile> =>
  pipe(
    find(word, cwd),
    TE.bindTo('path'),
    TE.bind('given', ({ path }) => attempted(path, options, () => givenBy(word, path, options))),
    TE.chainEitherK(({ path, given }) => checked(word, path, given, options)),
  )

type Given = Awaited<ReturnType<typeof made>>

/** What the file gives; where it ends the process meanwhile, that is said. */
const givenBy = (word: string, path: string, options: FileOptions): Promise<Given | typeof neverSettles> => {
  const left = (): void => {
    process.stderr.write(
      `sailwright: ${word} ended the process (process.exit) before it gave an experiment.\n`,
    )
    process.exitCode = 1
  }
  return withLastWords(left, () => unlessIdle(made(path, options)))
}

/** What a file gave as the experiment that it should be, asked for all that the command line says. */
const checked = (
  word: string,
  path: string,
  given: Given | typeof neverSettles,
  { settings, rewards, data: said }: FileOptions,
): E.Either<CliError, LoadedFile> => {
  if (given === neverSettles)
    return E.left(
      failed(
        `${word} never ends loading: it awaits something that nothing settles any more (at its top level, or in the function that it exports).`,
      ),
    )
  const { module, made, asked, unread, data } = given
  if (!isExperiment(made)) return E.left(failed(notExperiment(word, module, made)))
  if (said?.path !== undefined && !data.asked())
    return refuse(
      `${word} asks for no data, and --data gives it some: take it with ({ data }) => … data.rows().`,
    )
  if (unread.length > 0)
    return refuse(unreadMessage(word, unread, asked, typeof module.default === 'function'))
  return pipe(
    weighed(word, made, rewards),
    E.map((experiment) => ({ path, experiment, data, settings, rewards, dataPath: said?.path })),
  )
}

/** The experiment with the weights of its rewards that `--reward` gives. */
const weighed = (
  word: string,
  made: Experiment,
  rewards: FileOptions['rewards'],
): E.Either<CliError, Experiment> => {
  if (rewards === undefined || Object.keys(rewards).length === 0) return E.right(made)
  const { reweighted } = made
  if (reweighted === undefined)
    return refuse(
      `--reward cannot reach ${word}: it gives an experiment that was not made with experiment(…).`,
    )
  return E.tryCatch(
    () => reweighted(rewards),
    (e) => usage(`--reward: ${messageOf(e)}`),
  )
}

/** What a user's file threw becomes an error that says what is wrong with the file, or with a setting that it refuses. */
const attempted =
  <A>(path: string, options: FileOptions, act: () => Promise<A>): TE.TaskEither<CliError, A> =>
  () =>
    act().then(E.right, async (e: unknown) => {
      const { SettingError } = await import('../train/index.ts')
      if (e instanceof SettingError) return refuse(`${e.message}.`)
      const said = await blamed(path, e)
      const refused = await refusedOf(path, options, e)
      return E.left(refused.length === 0 ? failed(said) : usage(`${refused.join(' ')} cannot be: ${said}`))
    })

/**
 * The words of the settings that are at fault: without them the file gives an experiment, or the error names them where the
 * file cannot do without. One alone, where it is one.
 */
const refusedOf = async (path: string, options: FileOptions, e: unknown): Promise<readonly string[]> => {
  const given = Object.entries(options.settings)
  const passesWith = async (settings: typeof given): Promise<boolean> => {
    const trial = made(path, { ...options, settings: Object.fromEntries(settings) })
    const found = await unlessIdle(trial).catch(() => neverSettles)
    return typeof found !== 'symbol' && isExperiment(found.made)
  }
  const words = (settings: typeof given) => settings.map(([key, value]) => `--set ${key}=${value}`)
  for (const one of given) if (await passesWith(given.filter((s) => s !== one))) return words([one])
  if (given.length > 1 && (await passesWith([]))) return words(given)
  // a RecipeError, which the file may have of another copy of the package
  const { tag, setting } = Object(e) as { readonly tag?: unknown; readonly setting?: unknown }
  const named = tag === 'BadSetting' ? String(setting).split('.').at(-1) : undefined
  return words(given.filter(([key]) => key === named))
}

const made = async (path: string, options: FileOptions) => {
  const module = await load(path)
  const file = module.default as ExperimentFile | undefined
  const { ownData, settingReader } = await import('../train/index.ts')
  const data = ownData(options.data)
  const { settings, asked, unread } = watched(options.settings)
  const given: ExperimentOptions = { ...options, settings, setting: settingReader(settings), data }
  const made: unknown = await (typeof file === 'function' ? file(given) : file)
  return { module, made, asked, unread: unread(), data }
}
