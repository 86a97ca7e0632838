/**
 * Where the files of a model or a data set can be taken from: the hub, a mirror of it, or a folder.
 *
 * @since 0.1.0
 */

/** How a file's content is told: by its SHA-256, or by git's SHA-1 of `blob <size>\0` and the content. */
export interface Checksum {
  readonly kind: 'sha256' | 'git'
  /** Lower-case hexadecimal. */
  readonly hex: string
}

/** What a hub keeps, each under `<org>/<name>`. */
export type HubKind = 'model' | 'dataset'

/** A repository of a hub. */
export interface HubRepo {
  readonly kind: HubKind
  /** `<org>/<name>`. */
  readonly name: string
}

/** How the hub's pages and files begin: those of a data set behind `datasets/`. */
export const pathOf = ({ kind, name }: HubRepo): string => (kind === 'model' ? name : `datasets/${name}`)

/** What a kind is called in words. */
export const wordOf = { model: 'model', dataset: 'data set' } as const

/** A file of a repository. */
export interface ShelfFile {
  /** Inside the repository's folder, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Undefined where nobody tells it, as in a folder. */
  readonly sum?: Checksum
}

/** A repository's files, at one revision. */
export interface Shelf {
  /** Where it is, in words for messages. */
  readonly name: string
  /** The commit, where there is one. */
  readonly revision?: string
  readonly files: readonly ShelfFile[]
  /**
   * The bytes of a file from an offset on. Throws `HubError`; `Cut` is tried again.
   *
   * @param signal ends it
   */
  readonly read: (file: ShelfFile, from: number, signal: AbortSignal) => AsyncIterable<Uint8Array>
}
