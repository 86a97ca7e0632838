/**
 * Where a model's files can be taken from: the hub, a mirror of it, or a folder.
 *
 * @since 0.1.0
 */

/** How a file's content is told: by its SHA-256, or by git's SHA-1 of `blob <size>\0` and the content. */
export interface Checksum {
  readonly kind: 'sha256' | 'git'
  /** Lower-case hexadecimal. */
  readonly hex: string
}

/** A file of a model. */
export interface ShelfFile {
  /** Inside the model's folder, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Undefined where nobody tells it, as in a folder. */
  readonly sum?: Checksum
}

/** A model's files, at one revision. */
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
