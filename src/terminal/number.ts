/**
 * Numbers as a person writes them.
 *
 * @since 0.1.0
 */

/**
 * The number that a text is, such as `0.5`, `-2` or `1e-3`; NaN where it is none. JavaScript's own `Number` takes '', '0x10'
 * and ' 1 ' as well, which are slips.
 */
export const numberIn = (text: string): number =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
