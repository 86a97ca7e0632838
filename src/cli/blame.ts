/**
 * What went wrong in a user's file, in words: what, where, and what to do.
 *
 * @since 0.1.0
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { packageFile } from '../package/index.ts'
import { didYouMean } from '../terminal/index.ts'
import { type CliError, failed, messageOf } from './command.ts'

/** The files that a user's file imports by path, itself first, each once. */
const importedFrom = (path: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(path) || !existsSync(path)) return seen
  seen.add(path)
  const text = readFileSync(path, 'utf8')
  for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*['"](\.\.?\/[^'"]+)['"]/g))
    importedFrom(resolve(dirname(path), specifier!), seen)
  return seen
}

/** Node says what is wrong with JavaScript and not where: the place, found by reading the files again. */
const misspelt = async (path: string): Promise<string | undefined> => {
  const { syntaxErrorIn } = await import('./typescript.ts')
  for (const file of importedFrom(path)) {
    const found = syntaxErrorIn(readFileSync(file, 'utf8'), file)
    if (found !== undefined) return found
  }
  return undefined
}

/** What is said of a name that is imported and that its module does not export: the module, and the name. */
const notExported = (message: string): readonly [module: string, name: string] | undefined => {
  const found = /requested module '([^']+)' does not provide an export named '([^']+)'/.exec(message)
  return found === null ? undefined : [found[1]!, found[2]!]
}

/** The line on which a name is imported that its module does not export. */
const importing = (path: string, message: string): string | undefined => {
  const missing = notExported(message)
  if (missing === undefined) return undefined
  const [module, name] = missing
  for (const file of importedFrom(path)) {
    const lines = readFileSync(file, 'utf8').split('\n')
    const from = lines.findIndex((l) => l.includes(`'${module}'`) || l.includes(`"${module}"`))
    if (from < 0) continue
    const word = new RegExp(`\\b${name.replaceAll('$', '\\$')}\\b`)
    const at = lines.findLastIndex((l, i) => i <= from && word.test(l))
    if (at >= 0) return `${file}:${at + 1}`
  }
  return undefined
}

/** The line of a stack that names a file of the user's: of the experiment itself, else of what it imports. */
const userLine = (path: string, stack: string): string | undefined => {
  const lines = stack.split('\n').filter((l) => /^\s+at /.test(l))
  return (
    lines.find((l) => l.includes(path)) ??
    lines.find(
      (l) => /file:\/\/|\(\/|at \//.test(l) && !l.includes('node_modules') && !l.includes(packageFile()),
    )
  )?.trim()
}

const entryPoints = (): readonly string[] => {
  const { exports } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, unknown>>
  }
  return Object.keys(exports)
    .filter((e) => !e.endsWith('.json'))
    .map((e) => `sailwright${e.slice(1)}`)
}

/** More about an import that does not resolve, where it is one of ours or of a package. */
const importHint = async (code: string | undefined, message: string): Promise<string> => {
  const missing = notExported(message)
  if (missing !== undefined) {
    const [module, name] = missing
    if (!entryPoints().includes(module)) return ''
    const names = Object.keys((await import(module)) as object)
    const elsewhere: string[] = []
    for (const other of entryPoints())
      if (name in ((await import(other)) as object) && other !== module) elsewhere.push(other)
    return elsewhere.length > 0 ? ` It is in ${elsewhere.join(', ')}.` : didYouMean(name, names)
  }
  const subpath = /subpath '\.\/([^']+)'/.exec(message)?.[1]
  if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' && subpath !== undefined && message.includes(packageFile('')))
    return `.${didYouMean(`sailwright/${subpath}`, entryPoints())} There are ${entryPoints().join(', ')}.`
  const bare = /Cannot find package '([^']+)'/.exec(message)?.[1]
  return bare === undefined ? '' : `\n  To have it: npm install ${bare}`
}

/** What went wrong in a user's file: the message, and the user's own line where the stack knows one. */
export const blamed = async (path: string, e: unknown): Promise<string> => {
  if (e === undefined || e === null) return `the file threw ${e}; throw an Error that says what is wrong`
  const message = messageOf(e)
  const code = (e as { code?: string }).code
  if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(packageFile('dist')))
    return 'Sailwright is not built: npm run build'
  const stack = e instanceof Error ? (e.stack ?? '') : ''
  if (e instanceof SyntaxError) {
    if (e.cause === 'located' || /:\d+:\d+: /.test(message)) return message
    const said = `${message}.${await importHint(code, message)}`
    const place = importing(path, message)
    if (place !== undefined) return `${said}\n  at ${place}`
    const where = `in ${path}, or in a file that it imports`
    const common = /outside a module|^Unexpected token 'export'/.test(message)
      ? ` For Node a file that ends in .js is CommonJS where the package.json above it does not say "type": "module"; say so there, or call the file .mjs or .ts.`
      : ''
    return (await misspelt(path)) ?? `${said}${common}\n  ${where}`
  }
  if (e instanceof ReferenceError && /^(module|exports|require) is not defined/.test(message))
    return `${message.split('.')[0]}: an experiment file is an ES module, with 'import' and 'export default' in place of require and module.exports\n  in ${path}`
  const hint = await importHint(code, message)
  const line = userLine(path, stack)
  return `${message}${hint}${line === undefined || message.includes(path) ? '' : `\n  ${line}`}`
}

/**
 * What a promise gives that asks a user's file, where there is one; where it rejects, the command has failed with the message
 * and the user's line.
 */
export const attemptOf =
  <A>(path: string | undefined, make: () => Promise<A>): TE.TaskEither<CliError, A> =>
  () =>
    make().then(E.right, async (e: unknown) =>
      E.left(failed(path === undefined ? messageOf(e) : await blamed(path, e))),
    )
