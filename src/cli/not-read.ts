/** What a person is told of weights that a model has no place for. */

/** `not read, because the model has no place for it: a, b, c and 4 more`. */
export const notRead = (keys: readonly string[]): string =>
  `not read, because the model has no place for it: ${keys.slice(0, 3).join(', ')}${keys.length > 3 ? ` and ${keys.length - 3} more` : ''}`
