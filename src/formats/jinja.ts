/**
 * Jinja templates as Python renders them: the library that renders them here strips blanks whatever it is told to strip.
 *
 * @since 0.1.0
 */
import { Template } from '@huggingface/jinja'

// --- Python's strip ---------------------------------------------------------------------------------------

/** What Python's `str.strip()` takes away: JavaScript's `trim` takes U+FEFF too, and leaves U+001C to U+001F and U+0085. */
const blanks = new Set(
  '\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
)

/** A text without the characters of a set at the sides that are named. */
const stripped = (text: string, chars: unknown, left: boolean, right: boolean): string => {
  const set = chars == null ? blanks : new Set(String(chars))
  const points = [...text]
  let [begin, end] = [0, points.length]
  while (left && begin < end && set.has(points[begin]!)) begin++
  while (right && end > begin && set.has(points[end - 1]!)) end--
  return points.slice(begin, end).join('')
}

const method = (name: string, left: boolean, right: boolean) => (text: unknown, chars?: unknown) => {
  if (typeof text !== 'string') throw new Error(`${name} of ${text === undefined ? 'nothing' : 'no text'}`)
  return stripped(text, chars, left, right)
}

/** Python's methods, and Jinja's filter `trim`, which first makes a text of what it is given. */
const functions: Readonly<Record<string, (text: unknown, chars?: unknown) => string>> = {
  strip: method('strip', true, true),
  lstrip: method('lstrip', true, false),
  rstrip: method('rstrip', false, true),
  // the library hands over nothing for none too, which it prints as nothing
  trim: (text, chars) => method('trim', true, true)(text ?? '', chars),
}

/** No template can write a name with this character, so that it cannot take ours. */
const ours = (name: string): string => `\ufdd4${name}`

// --- in place of the library's -----------------------------------------------------------------------------

interface Node {
  type: string
  [field: string]: unknown
}

const isNode = (x: unknown): x is Node =>
  typeof x === 'object' && x !== null && typeof (x as Node).type === 'string'

const named = (x: unknown): string | undefined =>
  isNode(x) && x.type === 'Identifier' ? String(x.value) : undefined

/** The function that a node calls in our place, and with what; undefined where it calls another. */
const called = (node: Node): readonly [name: string, args: readonly unknown[]] | undefined => {
  if (node.type === 'CallExpression' && isNode(node.callee)) {
    const { callee } = node
    const name = callee.type === 'MemberExpression' && callee.computed !== true && named(callee.property)
    if (name && name !== 'trim' && Object.hasOwn(functions, name))
      return [name, [callee.object, ...(node.args as readonly unknown[])]]
  }
  if (node.type === 'FilterExpression' && isNode(node.filter)) {
    const { filter } = node
    if (named(filter) === 'trim') return ['trim', [node.operand]]
    if (filter.type === 'CallExpression' && named(filter.callee) === 'trim')
      return ['trim', [node.operand, ...(filter.args as readonly unknown[])]]
  }
  return undefined
}

/** Rewrites a template's tree in place: every strip calls ours. */
const rewrite = (x: unknown): void => {
  if (Array.isArray(x) || x instanceof Map) for (const one of x.values()) rewrite(one)
  else if (isNode(x)) {
    const call = called(x)
    if (call !== undefined) {
      const [name, args] = call
      for (const key of Object.keys(x)) delete x[key]
      Object.assign(x, { type: 'CallExpression', callee: { type: 'Identifier', value: ours(name) }, args })
    }
    for (const key of Object.keys(x)) rewrite(x[key])
  }
}

/**
 * A template, parsed, as a function of its variables. `strip`, `lstrip`, `rstrip` and `trim` take away the characters that
 * they are given, and without any what is a blank to Python.
 *
 * @throws Error where the text is no template
 */
export const jinja = (text: string): ((variables: Readonly<Record<string, unknown>>) => string) => {
  const template = new Template(text)
  rewrite(template.parsed)
  const own = Object.fromEntries(Object.entries(functions).map(([name, f]) => [ours(name), f]))
  return (variables) => template.render({ ...variables, ...own })
}
