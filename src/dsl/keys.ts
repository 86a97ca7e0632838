/**
 * Which parameters are meant: a named predicate over published keys. A model offers its parts as such predicates, and a
 * stage trains some of them.
 *
 * @since 0.1.0
 */

/** Parameters by key. The name is what a person reads and what a run's manifest holds. */
export interface Keys {
  readonly name: string
  readonly has: (key: string) => boolean
}

/**
 * A pattern over keys: `*` stands for any characters but a dot, `**` for any characters at all.
 *
 * @example
 * matches('model.layers.*.mlp.**')('model.layers.3.mlp.up_proj.weight') // true
 * matches('model.*')('model.layers.3') // false
 */
export const matches = (pattern: string): ((key: string) => boolean) => {
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((piece) =>
      piece === '**' ? '.*' : piece === '*' ? '[^.]*' : piece.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'),
    )
    .join('')
  const whole = new RegExp(`^${source}$`, 's')
  return (key) => whole.test(key)
}

/**
 * The parameters whose key matches one of the patterns of {@link matches}.
 *
 * @example
 * const head = keys('head', 'classifier.**', 'norm.weight')
 * head.has('classifier.weight') // true
 *
 * @category keys
 */
export const keys = (name: string, ...patterns: readonly string[]): Keys => {
  const all = patterns.map(matches)
  return { name, has: (key) => all.some((fits) => fits(key)) }
}

/** Every parameter. @category keys */
export const everyKey: Keys = { name: 'all', has: () => true }

/** Those that one of them has. @category keys */
export const anyOf = (all: readonly Keys[]): Keys => ({
  name: all.map((k) => k.name).join(' + ') || 'none',
  has: (key) => all.some((k) => k.has(key)),
})
