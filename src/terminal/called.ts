/**
 * How the command was called, so that a hint can be typed as it stands.
 *
 * @since 0.1.0
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What runs a package's command, by the first word of the user agent that a package manager says. */
const runners: Readonly<Record<string, string>> = {
  pnpm: 'pnpm exec sailwright',
  yarn: 'yarn sailwright',
  bun: 'bunx sailwright',
}

const isOnPath = (path: string): boolean =>
  path.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, 'sailwright')))

/**
 * The words that call the command in this terminal: `npx sailwright` in a project, after pnpm, yarn and bun as they have it, and
 * `sailwright` where that is on the PATH. A package manager puts its own folder there, so it is asked first.
 *
 * @example
 * called({ npm_command: 'exec', npm_config_user_agent: 'npm/10.8.2 node/v20.20.2' }) // 'npx sailwright'
 * called({ npm_config_user_agent: 'pnpm/9.0.0' }) // 'pnpm exec sailwright'
 */
export const called = (env: Readonly<Record<string, string | undefined>> = process.env): string => {
  const manager = /^\w+/.exec(env.npm_config_user_agent ?? '')?.[0]
  if (manager !== undefined || env.npm_command !== undefined || env.npm_lifecycle_event !== undefined)
    return runners[manager ?? ''] ?? 'npx sailwright'
  return isOnPath(env.PATH ?? '') ? 'sailwright' : 'npx sailwright'
}

/** A command that begins with `sailwright`, as it is to be typed here. */
export const asCalled = (command: string): string => command.replace(/^sailwright\b/, () => called())

/** A word, quoted where a shell wants it to be, so that a printed command can be pasted. */
export const shellWord = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
