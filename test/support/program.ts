/**
 * What a process of its own runs: the sources as this process runs them, compiled (`npm test`) or through tsx (a file alone).
 */
import { join } from 'node:path'

const tree = join(import.meta.dirname, '..', '..')
const compiled = import.meta.filename.endsWith('.js')

/** For processes that run most of their code seldom: V8 optimises what has run eight times as often as it waits for otherwise. */
export const seldom: readonly string[] = ['--interrupt-budget=1000000']

/** What Node is told before a module, or a program that imports one. */
export const loader: readonly string[] = compiled ? seldom : ['--import', 'tsx']

/** A module of the tree, for an import or a process. */
export const moduleAt = (path: string): string => join(tree, compiled ? path.replace(/\.ts$/, '.js') : path)

/** What Node is told for the command. */
export const command: readonly string[] = [...loader, moduleAt('src/cli/start.ts')]
