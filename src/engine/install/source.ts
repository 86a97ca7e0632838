/** What an engine is installed from: a folder, a file, or what pip fetches. */
import { existsSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { type CommandOptions, type Ended, runCommand } from './command.ts'
import { InstallError } from './install-error.ts'

/** What `--from` was understood as. */
export type Source =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'requirement'; readonly requirement: string }

/**
 * A folder or file where the path exists, else a pip requirement.
 *
 * @throws InstallError `NoSuchSource` where it looks like a path and nothing is there
 */
export const sourceOf = (from: string): Source => {
  const path = resolve(from)
  if (existsSync(path)) return { kind: statSync(path).isDirectory() ? 'folder' : 'file', path }
  if (/[/\\]|\.(whl|zip|tgz|gz)$/.test(from))
    throw new InstallError(
      'NoSuchSource',
      `there is no file or folder '${path}'; give a folder, a wheel, an archive, or a pip requirement`,
    )
  return { kind: 'requirement', requirement: from }
}

/**
 * Unpacks a wheel or an archive into a folder.
 *
 * @throws InstallError `BadArchive`
 */
export const unpack = async (file: string, into: string, options: CommandOptions): Promise<void> => {
  const zip = /\.(whl|zip)$/.test(file)
  if (!zip && !/\.(tar\.gz|tgz|tar)$/.test(file))
    throw new InstallError(
      'BadArchive',
      `'${basename(file)}' is neither a wheel (.whl) nor an archive (.tar.gz)`,
    )
  const tools: readonly (readonly [string, ...string[]])[] = zip
    ? [
        ['python3', '-m', 'zipfile', '-e', file, into],
        ['unzip', '-q', '-o', file, '-d', into],
      ]
    : [['tar', '-xf', file, '-C', into]]
  let ended: Ended = { status: 127, output: '' }
  for (const [tool, ...args] of tools) {
    ended = await runCommand(tool, args, options)
    if (ended.status === 0) return
    if (ended.status !== 127) break
  }
  throw new InstallError(
    'BadArchive',
    ended.status === 127
      ? `nothing here unpacks '${basename(file)}': install ${zip ? 'python3 or unzip' : 'tar'}, or unpack it yourself and give the folder`
      : `'${file}' does not unpack; is the download complete?`,
    ended.output,
  )
}

/** How pip fetches. */
export interface PipOptions extends CommandOptions {
  /** More arguments, `--no-deps`. */
  readonly flags?: readonly string[]
}

/**
 * Fetches requirements by pip into a folder, without touching any Python.
 *
 * @throws InstallError `NoPython`, `NotFetched`
 */
export const fetchByPip = async (
  requirements: readonly string[],
  into: string,
  { flags = [], ...options }: PipOptions = {},
): Promise<void> => {
  const python = process.env.PYTHON || 'python3'
  const what = requirements[0]!
  const has = await runCommand(python, ['-m', 'pip', '--version'], options)
  if (has.status !== 0)
    throw new InstallError(
      'NoPython',
      has.status === 127
        ? `'${python}' is not here, and pip is what fetches '${what}': install Python 3 with pip, or download it elsewhere and give it with --from`
        : `'${python}' has no pip (python3-pip on Debian and Ubuntu), which is what fetches '${what}'; or download a wheel and give it with --from`,
      has.output,
    )
  const args = ['-m', 'pip', 'install', '--upgrade', '--target', into, '--no-compile', ...flags]
  const ended = await runCommand(python, [...args, ...requirements], options)
  if (ended.status !== 0)
    throw new InstallError(
      'NotFetched',
      `pip could not fetch '${what}': check the name, whether there is a wheel for this Python and this machine, and the index (pip config list); on a closed network give a wheel's file with --from`,
      ended.output,
    )
}
