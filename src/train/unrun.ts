/**
 * An experiment file that is started by itself (`node my.ts`, `tsx my.ts`) only defines an experiment, and would end without
 * a word: this says how it is run.
 */
import { readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { engineUsed } from '../engine/index.ts'
import { called } from '../terminal/index.ts'

/** The file that Node was started with, where it exports an experiment as far as its text says. */
const startedFile = (): string | undefined => {
  const file = process.argv[1]
  if (file === undefined || !/\.[mc]?[jt]s$/.test(file)) return undefined
  try {
    const text = readFileSync(file, 'utf8')
    const imports = /(?:from|import|require)\s*\(?\s*['"]sailwright\/train['"]/.test(text)
    const exports = /^\s*export\s+default\b|\bas\s+default\b|^\s*module\.exports\s*=/m.test(text)
    return imports && exports ? file : undefined
  } catch {
    return undefined
  }
}

if (isMainThread)
  process.once('beforeExit', () => {
    const file = startedFile()
    if (file === undefined || engineUsed()) return
    const path = relative(process.cwd(), file)
    process.stderr.write(
      `${basename(file)} defines an experiment, and nothing has run it: ${called()} run ${path.startsWith('..') ? file : path}\n`,
    )
    process.exitCode = 1
  })
