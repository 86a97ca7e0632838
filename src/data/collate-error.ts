/** A batch that cannot be made. */

/** What can be wrong with a batch. */
export type CollateErrorTag =
  | 'TooLong'
  | 'TooMany'
  | 'BadImage'
  | 'ImageTokens'
  | 'BadToken'
  | 'BadMask'
  | 'NothingToLearn'

/** A batch that cannot be made; the message names the sample. */
export class CollateError extends Error {
  readonly tag: CollateErrorTag
  /** The sample at fault. */
  readonly sample: string
  constructor(tag: CollateErrorTag, sample: string, message: string) {
    super(message)
    this.name = 'CollateError'
    this.tag = tag
    this.sample = sample
  }
}
