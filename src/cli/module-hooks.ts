/**
 * How the imports of an experiment file are found and read, on every version of Node.
 *
 * Three rules. TypeScript is read as it is, and an experiment is an ES module, also where no package.json around it says so.
 * A file may be imported without its ending, or as the `.js` that it would be compiled to. And `sailwright` and the packages
 * that its interface speaks in are found from everywhere: where one is not installed beside the file, it is the one that runs
 * here.
 *
 * Node 22.15 and later call the hooks in this thread; older ones load this module in a thread of its own and call
 * `initialize`, `resolve` and `load`.
 */
import { readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { fileURLToPath } from 'node:url'
import { javascriptOf } from './typescript.ts'

interface Resolved {
  readonly url: string
  readonly format?: string | null
}
interface Context {
  readonly parentURL?: string
}
interface Loaded {
  readonly format: string
  readonly source?: unknown
  readonly shortCircuit?: boolean
}
type Resolve<R> = (specifier: string, context: Context) => R
type Load<R> = (url: string, context: object) => R

/** A file URL inside this package: where its own dependencies are found from. */
let own = import.meta.url

const typescript = /\.m?ts(\?|$)/
/** A file of the user's own, or an example that this package brings, which is run where it is installed. */
const isUsers = (url: string | undefined): boolean =>
  url?.startsWith('file:') === true &&
  (!url.includes('/node_modules/') ||
    /\/node_modules\/sailwright\/examples\/[^?#]*$/.test(url.replace(/[?#].*$/, '')))

/** This package, and what an experiment writes its streams, errors and codecs with. */
const isShared = (specifier: string): boolean => /^(sailwright|fp-ts|io-ts|rxjs)(\/|$)/.test(specifier)

/** What else an import may mean where it is not found as it stands. */
const otherwise = (specifier: string, context: Context): readonly (readonly [string, Context])[] => {
  if (isShared(specifier)) return [[specifier, { ...context, parentURL: own }]]
  if (!isUsers(context.parentURL) || !/^(\.\.?\/|\/|file:)/.test(specifier)) return []
  const compiled = /\.(m?)js$/.exec(specifier)
  if (compiled !== null) return [[specifier.replace(/js$/, 'ts'), context]]
  return ['.ts', '.mts', '.js', '.mjs', '/index.ts', '/index.js'].map((end) => [
    `${specifier}${end}`,
    context,
  ])
}

const asModule = <R extends Resolved>(found: R): R =>
  isUsers(found.url) && typescript.test(found.url) ? { ...found, format: 'module' } : found

/** The module's JavaScript where it is a user's TypeScript. */
const read = (url: string): Loaded | undefined => {
  if (!isUsers(url) || !typescript.test(url)) return undefined
  const path = fileURLToPath(url.replace(/[?#].*$/, ''))
  return { format: 'module', source: javascriptOf(readFileSync(path, 'utf8'), path), shortCircuit: true }
}

/** In a loader thread: what {@link registerHooks} hands over. */
export const initialize = (data: { readonly own: string }): void => {
  own = data.own
}

/** Node's hook, in a loader thread. */
export const resolve = async (
  specifier: string,
  context: Context,
  next: Resolve<Promise<Resolved>>,
): Promise<Resolved> => {
  try {
    return asModule(await next(specifier, context))
  } catch (e) {
    for (const [other, from] of otherwise(specifier, context))
      try {
        return asModule(await next(other, from))
      } catch (again) {
        // here it is found, and what is wrong is what was asked of it
        if (isShared(specifier)) throw again
      }
    throw e
  }
}

/** Node's hook, in a loader thread. */
export const load = async (url: string, context: object, next: Load<Promise<Loaded>>): Promise<Loaded> =>
  read(url) ?? next(url, context)

const resolveSync = (specifier: string, context: Context, next: Resolve<Resolved>): Resolved => {
  try {
    return asModule(next(specifier, context))
  } catch (e) {
    for (const [other, from] of otherwise(specifier, context))
      try {
        return asModule(next(other, from))
      } catch (again) {
        if (isShared(specifier)) throw again
      }
    throw e
  }
}

/** The types are of an older Node. */
type RegisterHooks = (hooks: {
  readonly resolve: (specifier: string, context: Context, next: Resolve<Resolved>) => Resolved
  readonly load: (url: string, context: object, next: Load<Loaded>) => Loaded
}) => void

const sync = (nodeModule as unknown as { registerHooks?: RegisterHooks }).registerHooks

/** Whether the hooks are called in this thread. */
export const inThisThread = sync !== undefined

/** Registers the rules for all later imports. `inside` is a file URL inside this package. Call it once. */
export const registerHooks = (inside: string): void => {
  process.setSourceMapsEnabled(true)
  if (sync === undefined) nodeModule.register(import.meta.url, { data: { own: inside } })
  else {
    own = inside
    sync({ resolve: resolveSync, load: (url, context, next) => read(url) ?? next(url, context) })
  }
}
