/**
 * The tests as plain JavaScript, so that no process that runs them pays for a loader: types are blanked out, lines and columns
 * stay, and stacks name the source. Their imports of `src` lead to what `npm run build` made of it.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transformSync } from '@swc/wasm-typescript'

const own = fileURLToPath(import.meta.url)
const root = fileURLToPath(new URL('../', import.meta.url))

/** What tests import and are run by; `src` is a link to its build. */
const folders = ['test', 'examples', 'scripts'] as const

/** The end of an import statement, or a module that is awaited: what stands before its path, the path, and what follows it. */
const imports = /^((?:import|export|\}) (?:.* )?'|(?: *const .* = )?await import\(')(\.[^']*\.ts)('\)?)$/gm

/** A module's JavaScript: `import.meta.url` stays the source's, and a stack names it. */
const compiled = (source: string, path: string): string => {
  const { code } = transformSync(source, { mode: 'strip-only', module: true, filename: path })
  const linked = code.replaceAll(imports, (all, before: string, to: string, after: string) =>
    // what is not there stands in a text: a program that the test writes
    existsSync(resolve(dirname(path), to)) ? `${before}${to.replace(/ts$/, 'js')}${after}` : all,
  )
  const url = JSON.stringify(pathToFileURL(path).href)
  return `import.meta.url = ${url}; ${linked}\n//# sourceURL=${path}\n`
}

/** Compiles what has changed into a folder, which it gives back. */
export const compiledTests = (into: string): string => {
  mkdirSync(into, { recursive: true })
  const link = join(into, 'src')
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined)
    symlinkSync(join(root, 'dist', 'src'), link, 'junction')
  for (const folder of folders)
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue
      const [from, to] = [join(root, folder, file), join(into, folder, file.replace(/\.ts$/, '.js'))]
      const made = statSync(to, { throwIfNoEntry: false })
      if (made !== undefined && [from, own].every((f) => statSync(f).mtimeMs < made.mtimeMs)) continue
      mkdirSync(dirname(to), { recursive: true })
      writeFileSync(to, compiled(readFileSync(from, 'utf8'), from))
    }
  return into
}
