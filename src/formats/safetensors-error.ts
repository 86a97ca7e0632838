/**
 * What can go wrong with checkpoint files. One tagged error; every message says what, where, and what to do.
 *
 * @since 0.1.0
 */

/**
 * The tags of {@link SafetensorsError}.
 *
 * - `NotFound`, `Io`: the file is missing, or the system refused.
 * - `Truncated`, `TrailingBytes`: the file is shorter or longer than its header says.
 * - `HeaderTooLarge`, `BadHeader`, `DuplicateKey`, `BadMetadata`: the header cannot be read.
 * - `UnknownDtype`, `BadShape`, `BadOffsets`: one tensor's entry is wrong.
 * - `UnknownKey`, `WrongDtype`, `OutOfRange`: the tensor asked for is not there, or not of the kind asked for.
 * - `Changed`: the file was replaced after its header was read.
 * - `BadEntry`: a tensor to be written contradicts itself.
 * - `BadIndex`, `MissingShard`: a sharded checkpoint's index is wrong, or a file that it names is missing.
 *
 * @category model
 */
export type SafetensorsErrorTag =
  | 'NotFound'
  | 'Io'
  | 'Truncated'
  | 'TrailingBytes'
  | 'HeaderTooLarge'
  | 'BadHeader'
  | 'DuplicateKey'
  | 'BadMetadata'
  | 'UnknownDtype'
  | 'BadShape'
  | 'BadOffsets'
  | 'UnknownKey'
  | 'WrongDtype'
  | 'OutOfRange'
  | 'Changed'
  | 'BadEntry'
  | 'BadIndex'
  | 'MissingShard'

/**
 * An error of a checkpoint file. `message` reads `<file>, tensor <key>: <what>; <what to do>`.
 *
 * @category model
 */
export class SafetensorsError extends Error {
  readonly tag: SafetensorsErrorTag
  /** The file's path, or the name given to bytes in memory. */
  readonly file: string
  /** The tensor's key, where one tensor is meant. */
  readonly key: string | undefined
  constructor(
    tag: SafetensorsErrorTag,
    at: { file: string; key?: string },
    what: string,
    todo: string,
    cause?: unknown,
  ) {
    const where = at.key === undefined ? at.file : `${at.file}, tensor ${quote(at.key)}`
    super(`${where}: ${what}; ${todo}`, cause === undefined ? undefined : { cause })
    this.name = 'SafetensorsError'
    this.tag = tag
    this.file = at.file
    this.key = at.key
  }
}

/** A failure of the system as one of this area's errors, said of a file. */
export const systemError =
  (file: string, key?: string) =>
  (e: unknown): SafetensorsError => {
    if (e instanceof SafetensorsError) return e
    const { code, message } = e as NodeJS.ErrnoException
    const at = { file, key }
    return code === 'ENOENT'
      ? new SafetensorsError('NotFound', at, 'there is no such file', 'check the path', e)
      : code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
        ? new SafetensorsError(
            'Io',
            at,
            'the disk is full, or this user’s share of it',
            'free some space and start again',
            e,
          )
        : new SafetensorsError(
            'Io',
            at,
            message ?? String(e),
            'check the file, its permissions, and the free memory and disk',
            e,
          )
  }

/** Any value as a message shows it: quoted, and cut where it is long. */
export const quote = (value: unknown): string => {
  let text: string
  try {
    text = JSON.stringify(value) ?? typeof value
  } catch {
    text = `a ${typeof value} that cannot be shown` // nested too deep, or with a cycle
  }
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`
}
