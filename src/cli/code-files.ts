/**
 * The files that a user's code consists of, and their checksums: what a run's identity says of code.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageFile } from '../package/index.ts'

/** One file by its path from the experiment's folder, with forward slashes. */
export interface CodeFile {
  readonly file: string
  readonly sha256: string
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** `from 'x'`, `import 'x'`, `import('x')`, `require('x')`, and files beside the code: `new URL('x', import.meta.url)`. */
const imports = [
  /\b(?:from|import|require)\s*\(?\s*(['"`])([^'"`\n]+)\1/g,
  /\bnew\s+URL\s*\(\s*(['"`])([^'"`\n]+)\1\s*,\s*import\.meta\.url/g,
]

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** The file that an import means, as far as it is one and outside of packages. */
const fileOf = (specifier: string, from: string): string | undefined => {
  if (/^(\.\.?\/|\/|file:)/.test(specifier)) {
    const plain = specifier.replace(/[?#].*$/, '')
    const path = plain.startsWith('file:') ? fileURLToPath(plain) : resolve(dirname(from), plain)
    const meant = [
      path,
      path.replace(/js$/, 'ts'),
      ...['.ts', '.mts', '.js', '.mjs', '/index.ts', '/index.js'].map((end) => `${path}${end}`),
    ]
    return meant.find(isFile)
  }
  if (/^sailwright(\/|$)/.test(specifier)) return undefined
  try {
    // a package of the same workspace is linked to from node_modules, and lies elsewhere
    const path = createRequire(from).resolve(specifier)
    return isFile(path) ? path : undefined
  } catch {
    return undefined
  }
}

const code = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.tsx', '.jsx']

/** The folder of the package in `node_modules` that a file belongs to; empty where it belongs to none. */
const packageIn = (path: string): string =>
  /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(path)?.[0] ?? ''

/** Sailwright's own code, which {@link ownCode} stands for. */
const isOwn = (path: string): boolean =>
  ['src', 'dist'].some((folder) => path.startsWith(packageFile(folder) + sep))

/**
 * A file of code and every local file that it imports, and they import, with checksums, sorted by path. Other packages
 * in `node_modules` and Sailwright itself are left out: their versions stand for them. Imports are found by their text: one
 * whose name is computed is not.
 */
export const codeFiles = (path: string): readonly CodeFile[] => {
  const found = new Map<string, string>()
  const own = packageIn(realpathSync(path))
  const isPackage = (real: string): boolean => packageIn(real) !== '' && packageIn(real) !== own
  const visit = (from: string): void => {
    const real = realpathSync(from)
    if (found.has(real) || isPackage(real) || isOwn(real)) return
    const bytes = readFileSync(real)
    found.set(real, sha256(bytes))
    if (!code.includes(extname(real))) return
    const text = bytes.toString('utf8')
    for (const form of imports)
      for (const [, , specifier] of text.matchAll(form)) {
        const next = fileOf(specifier!, real)
        if (next !== undefined) visit(next)
      }
  }
  visit(path)
  const folder = dirname(realpathSync(path))
  return [...found]
    .map(([file, sum]) => ({ file: relative(folder, file).replaceAll(sep, '/'), sha256: sum }))
    .sort((a, b) => (a.file < b.file ? -1 : 1))
}

/** The checksum of Sailwright's code as it runs, be it what was built or the sources. */
export const ownCode = (): string => {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && code.includes(extname(e.name)) && !/\.d\.[mc]?ts$/.test(e.name))
    .map((e) => join(e.parentPath, e.name))
    .sort()
  return sha256(files.map((f) => `${relative(root, f)} ${sha256(readFileSync(f))}\n`).join(''))
}
