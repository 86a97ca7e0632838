/**
 * The words and signs of a written formula, LaTeX or plain. One pass; whatever is no formula gives undefined.
 *
 * @since 0.1.0
 */
import { decimal, type Rational, rational } from './rational.ts'

/** A word or sign. `space` says that space stands before it. */
export type Token =
  | {
      readonly t: 'number'
      readonly value: Rational
      readonly decimal: boolean
      readonly text: string
      readonly space: boolean
    }
  /** A name without its backslash, a letter, or a sign. */
  | { readonly t: 'name' | 'sign'; readonly text: string; readonly space: boolean }
  /** A `\begin` or `\end` with its environment. */
  | { readonly t: 'begin' | 'end'; readonly text: string; readonly space: boolean }

/** Signs of Unicode as they are written otherwise. */
const signs: Readonly<Record<string, string>> = {
  ...{
    '−': '-',
    '–': '-',
    '×': '*',
    '·': '*',
    '∙': '*',
    '÷': '/',
    '∕': '/',
    '≤': '<=',
    '≥': '>=',
    '≠': '!=',
  },
  ...{
    '∪': ' \\cup ',
    '∩': ' \\cap ',
    '∈': ' \\in ',
    '∞': ' \\infty ',
    π: ' \\pi ',
    '√': ' \\sqrt ',
    '±': ' \\pm ',
  },
  ...{
    '°': '^\\circ ',
    '²': '^{2}',
    '³': '^{3}',
    '½': ' \\frac{1}{2}',
    '¼': ' \\frac{1}{4}',
    '¾': ' \\frac{3}{4}',
  },
  ...{ '∅': ' \\emptyset ', θ: ' \\theta ', '％': '%', '，': ',', '（': '(', '）': ')', '：': ':' },
}
const signPattern = new RegExp(`[${Object.keys(signs).join('')}]`, 'gu')

/** LaTeX's names for what has a sign. */
const named: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{
      cdot: '*',
      times: '*',
      ast: '*',
      div: '/',
      le: '<=',
      leq: '<=',
      leqslant: '<=',
      ge: '>=',
      geq: '>=',
    },
    ...{
      geqslant: '>=',
      lt: '<',
      gt: '>',
      ne: '!=',
      neq: '!=',
      in: 'in',
      cup: 'cup',
      cap: 'cap',
      pm: '+-',
      mp: '+-',
    },
    ...{ lbrack: '[', rbrack: ']', lparen: '(', rparen: ')', langle: '(', rangle: ')', vert: '|', mid: '|' },
    ...{
      lvert: '|',
      rvert: '|',
      land: ',',
      lor: ',',
      and: ',',
      or: ',',
      infinity: 'infty',
      inf: 'infty',
      oo: 'infty',
    },
    ...{
      equiv: '=',
      iff: '=',
      implies: '=>',
      Rightarrow: '=>',
      rightarrow: '=>',
      to: '=>',
      approx: '=',
      colon: ':',
    },
  }),
)
const skipped = new Set([
  ...[
    'left',
    'right',
    'big',
    'Big',
    'bigg',
    'Bigg',
    'bigl',
    'bigr',
    'Bigl',
    'Bigr',
    'displaystyle',
    'textstyle',
  ],
  ...[
    'quad',
    'qquad',
    'limits',
    'boldsymbol',
    'mathbf',
    'mathit',
    'mathrm',
    'vec',
    'hat',
    'bar',
    'boxed',
    'fbox',
  ],
  ...[
    'mathcal',
    'mathsf',
    'bm',
    'operatorname',
    'rm',
    'bf',
    'it',
    'nonumber',
    'hline',
    'thinspace',
    'ensuremath',
  ],
])
/** Plain words that are names as they stand. */
const words = new Set([
  ...['sqrt', 'sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'arcsin', 'arccos', 'arctan', 'asin', 'acos', 'atan'],
  ...[
    'sinh',
    'cosh',
    'tanh',
    'ln',
    'log',
    'exp',
    'pi',
    'infty',
    'infinity',
    'inf',
    'oo',
    'abs',
    'floor',
    'ceil',
  ],
  ...['min', 'max', 'and', 'or', 'cup', 'U', 'binom', 'theta', 'alpha', 'beta'],
])

const most = 10_000

const numberAt =
  /(?:(\d{1,3}(?:(?:,|\{,\}|\\,|\\!,|,\\!)\d{3})+|\d+)(\.(?:\d+|(?!\.)))?|(?<!\d)(\.\d+))(?:[eE]([+-]?\d{1,4})(?![A-Za-z\d]))?/y
const plainNumberAt =
  /(?:(\d{1,3}(?:(?:\{,\}|\\,|\\!,|,\\!)\d{3})+|\d+)(\.(?:\d+|(?!\.)))?|(?<!\d)(\.\d+))(?:[eE]([+-]?\d{1,4})(?![A-Za-z\d]))?/y
const repeatingAt = /\\(?:overline|bar|dot)\s*\{\s*(\d{1,40})\s*\}/y
const commandAt = /\\([A-Za-z]+)\*?/y
const wordAt = /[A-Za-z]+/y
const bracedAt = /\s*\{([^{}]{0,80})\}/y
const signAt = /!=|<=|>=|=>|==|\+-|\*\*|[-+*/^_()[\]{}|,;=<>!%:&']/y

const matchAt = (pattern: RegExp, text: string, at: number): RegExpExecArray | null => {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** The value of a numeral, with the digits that repeat without end where there are. */
const numeral = (
  whole: string,
  fraction: string,
  repeating: string | undefined,
  exponent: string | undefined,
) => {
  const plain = decimal(whole.replaceAll(/\D/g, ''), fraction, Number(exponent ?? 0))
  if (repeating === undefined || plain === undefined) return plain
  const scale = 10n ** BigInt(fraction.length)
  const nines = 10n ** BigInt(repeating.length) - 1n
  const tail = rational(BigInt(repeating), scale * nines)
  return tail === undefined ? undefined : rational(plain.n * tail.d + tail.n * plain.d, plain.d * tail.d)
}

const textCommands = new Set([
  'text',
  'textbf',
  'textit',
  'textrm',
  'mbox',
  'mathrm',
  'operatorname',
  'mathbf',
  'hbox',
])

/** The tokens of a formula, or undefined where it has something that no formula has, or is too long. */
export const tokensOf = (formula: string): readonly Token[] | undefined => {
  if (formula.length > most) return undefined
  let text = formula.replaceAll(signPattern, (c) => signs[c]!)
  // what was escaped twice on its way, as \\frac, is read as once where no rows can be meant
  if (!text.includes('\\begin')) text = text.replaceAll(/\\\\(?=[A-Za-z])/g, '\\')
  const tokens: Token[] = []
  let space = false
  let depth = 0
  const put = (t: 'name' | 'sign' | 'begin' | 'end', of: string): void => {
    tokens.push({ t, text: of, space })
    space = false
  }
  for (let i = 0; i < text.length; ) {
    const c = text[i]!
    if (/\s/.test(c) || c === '~' || c === '$') {
      space = true
      i++
      continue
    }
    const number = /[\d.]/.test(c) ? matchAt(depth === 0 ? numberAt : plainNumberAt, text, i) : null
    if (number !== null) {
      const [all, whole = '', tail = '', bare, exponent] = number
      i += all.length
      const repeating =
        bare === undefined && exponent === undefined && tail !== '' ? matchAt(repeatingAt, text, i) : null
      if (repeating !== null) i += repeating[0].length
      const fraction = (bare ?? tail).slice(1)
      const value = numeral(whole, fraction, repeating?.[1], exponent)
      if (value === undefined) return undefined
      const isDecimal = repeating === null && (fraction !== '' || exponent !== undefined)
      tokens.push({ t: 'number', value, decimal: isDecimal, text: whole + fraction, space })
      space = false
      continue
    }
    if (c === '\\') {
      const command = matchAt(commandAt, text, i)
      if (command === null) {
        const escaped = text[i + 1] ?? ''
        i += 2
        if (',;:! '.includes(escaped) || escaped === '$') space = true
        else if (escaped === '{' || escaped === '}') {
          put('sign', `\\${escaped}`)
          depth += escaped === '{' ? 1 : -1
        } else if (escaped === '%') put('sign', '%')
        else if (escaped === '\\') put('sign', '\\\\')
        else if (escaped === '|') put('sign', '|')
        else if (!'()[]'.includes(escaped) || escaped === '') return undefined
        continue
      }
      const name = command[1]!
      i += command[0].length
      if (name === 'begin' || name === 'end') {
        const environment = matchAt(bracedAt, text, i)
        if (environment === null) return undefined
        i += environment[0].length
        put(name, environment[1]!.trim())
        continue
      }
      const braced = textCommands.has(name) ? matchAt(bracedAt, text, i) : null
      if (braced !== null) {
        const content = braced[1]!.trim()
        i += braced[0].length
        if (/^(?:and|or|,)$/.test(content)) put('sign', ',')
        else if (words.has(content) || /^[A-Za-z]'?$/.test(content)) put('name', content)
        else if (content !== '') return undefined
        continue
      }
      if (skipped.has(name)) {
        // \left. and \right. stand for no bracket
        if ((name === 'left' || name === 'right') && text[i] === '.') i++
        continue
      }
      if (name === 'lbrace' || name === 'rbrace') put('sign', name === 'lbrace' ? '\\{' : '\\}')
      else {
        const sign = named.get(name)
        if (sign === undefined) put('name', name)
        else if (/^[a-z]/.test(sign) && sign !== 'in') put('name', sign)
        else put('sign', sign)
        if (sign === '(' || sign === '[') depth++
        if (sign === ')' || sign === ']') depth--
      }
      continue
    }
    const word = matchAt(wordAt, text, i)?.[0]
    if (word !== undefined) {
      i += word.length
      if (words.has(word) && word.length > 1) {
        const sign = named.get(word)
        if (sign === ',') put('sign', ',')
        else put('name', sign ?? word)
      } else {
        // four letters in a row are a word of a language, not a product
        if (word.length > 3) return undefined
        for (const letter of word) put('name', letter)
      }
      continue
    }
    const sign = matchAt(signAt, text, i)?.[0]
    if (sign === undefined) return undefined
    i += sign.length
    if (sign === '(' || sign === '[') depth++
    if (sign === ')' || sign === ']') depth--
    put('sign', sign === '==' ? '=' : sign === '**' ? '^' : sign)
  }
  return tokens
}
