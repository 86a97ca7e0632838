/**
 * What can go wrong while the files of a model or a data set are fetched.
 *
 * @since 0.1.0
 */

/**
 * The tags of {@link HubError}.
 *
 * - `BadName`: no `<org>/<name>`, or a token of no kind.
 * - `NotFound`: there is no such model, data set, revision or file.
 * - `Refused`: 401 or 403: gated, private, or the token does not open it.
 * - `Unreachable`: nobody answers, or only with failures of their own.
 * - `Cut`: the connection ended again and again; what has come stays for the next try.
 * - `Checksum`: what came twice is not what the hub says it is.
 * - `DiskFull`: no room, seen before the first byte where it can be.
 * - `NoModel`: nothing that can be read as a model: no `config.json`, or no safetensors.
 * - `BadListing`: an answer that is not the hub's.
 * - `Io`: the file system.
 * - `Interrupted`: the signal said so; what has come stays for the next try.
 *
 * @category model
 */
export type HubErrorTag =
  | 'BadName'
  | 'NotFound'
  | 'Refused'
  | 'Unreachable'
  | 'Cut'
  | 'Checksum'
  | 'DiskFull'
  | 'NoModel'
  | 'BadListing'
  | 'Io'
  | 'Interrupted'

/**
 * Why a model or a data set could not be fetched: what happened, to which file, and what to do.
 *
 * @category model
 */
export class HubError extends Error {
  readonly tag: HubErrorTag
  constructor(tag: HubErrorTag, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'HubError'
    this.tag = tag
  }
}

const full = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** Whatever was thrown, as one of this area's errors, said of a file or a place. */
export const hubErrorOf =
  (what: string) =>
  (e: unknown): HubError => {
    if (e instanceof HubError) return e
    const { code, message } = e as NodeJS.ErrnoException
    return full.includes(code ?? '')
      ? new HubError(
          'DiskFull',
          `${what}: the disk is full, or this user’s share of it; free some space and start again: it goes on where it ended`,
          e,
        )
      : new HubError('Io', `${what}: ${message ?? String(e)}`, e)
  }
