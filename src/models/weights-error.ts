/**
 * What is wrong with weights that are to make a model.
 *
 * @since 0.1.0
 */

/** Weights that do not make a model: they lack keys that it reads and that may not begin fresh, or have others' shapes. */
export class WeightsError extends Error {
  readonly tag: 'MissingKeys' | 'OtherShape'
  /** The model's keys at fault, all of them. */
  readonly keys: readonly string[]
  constructor(tag: WeightsError['tag'], keys: readonly string[], message: string) {
    super(message)
    this.name = 'WeightsError'
    this.tag = tag
    this.keys = keys
  }
}
