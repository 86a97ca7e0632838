/**
 * What a process of its own runs: the sources as this process runs them, compiled (`npm test`) or through tsx (a file alone).
 */
import { join } from 'node:path'

const tree = join(import.meta.dirname, '..', '..')
const compiled = import.meta.filename.endsWith('.js')

/** What Node is told before a module, or a program that imports one: compiled, it optimises as late as in `scripts/test.ts`. */
export const loader: readonly string[] = compiled ? ['--interrupt-budget=1000000'] : ['--import', 'tsx']

/** A module of the tree, for an import or a process. */
export const moduleAt = (path: string): string => join(tree, compiled ? path.replace(/\.ts$/, '.js') : path)

/** What Node is told for the command. */
export const command: readonly string[] = [...loader, moduleAt('src/cli/start.ts')]
