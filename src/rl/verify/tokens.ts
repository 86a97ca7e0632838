/**
 * The words and signs of a written formula, LaTeX or plain, in one pass.
 *
 * @since 0.1.0
 */
import { decimal, type Rational, rational } from './rational.ts'
import { asciiWidth } from './text.ts'

/** Reading ended: this is no formula. */
export class NoFormula extends Error {}

/** A word or sign. `space` says that space stands before it. */
export type Token =
  | {
      readonly t: 'number'
      readonly value: Rational
      readonly decimal: boolean
      readonly text: string
      readonly space: boolean
    }
  /** A name without its backslash, a letter, or a sign; the environment of a `\begin` or `\end`. */
  | { readonly t: 'name' | 'sign' | 'begin' | 'end'; readonly text: string; readonly space: boolean }

/** A table by each of several words: of rows, each with what stands for its words. */
const table = (rows: readonly (readonly [meant: string, words: string])[]): ReadonlyMap<string, string> =>
  new Map(rows.flatMap(([meant, all]) => all.split(' ').map((word) => [word, meant] as const)))
const setOf = (all: string): ReadonlySet<string> => new Set(all.split(/\s+/))

/** Signs of Unicode as they are written otherwise. */
const signs = table([
  ['-', '− – ‐ ‑ ﹣'],
  ['*', '× · ∙ ⋅ ∗'],
  ['/', '÷ ∕ ⁄'],
  ['<=', '≤'],
  ['>=', '≥'],
  ['!=', '≠'],
  ['=', '≡ ≈'],
  ['|', '∣'],
  [' \\cup ', '∪'],
  [' \\cap ', '∩'],
  [' \\in ', '∈'],
  [' \\infty ', '∞'],
  [' \\pi ', 'π'],
  [' \\sqrt ', '√'],
  [' \\pm ', '±'],
  [' \\emptyset ', '∅'],
  [' \\theta ', 'θ'],
  ['^\\circ ', '°'],
  [' \\alpha ', 'α'],
  [' \\beta ', 'β'],
  [' \\mathbb{R} ', 'ℝ'],
  [' \\mathbb{Z} ', 'ℤ'],
  ['%', '﹪'],
])
const signPattern = new RegExp(`[${[...signs.keys()].join('')}]`, 'gu')
const raisedPattern = /[⁰¹²³⁴-⁹⁺⁻]+/g
const loweredPattern = /[₀-₉]+/g
const fractionPattern = /[¼-¾⅐-⅞]/g

/** Raised and lowered digits, one sign's fractions and letters of full width as they are written otherwise. */
const unfolded = (text: string): string =>
  asciiWidth(text)
    .replaceAll(raisedPattern, (run) => `^{${run.normalize('NFKC')}}`)
    .replaceAll(loweredPattern, (run) => `_{${run.normalize('NFKC')}}`)
    .replaceAll(fractionPattern, (c) => ` \\frac{${c.normalize('NFKC').replace('⁄', '}{')}}`)

/** LaTeX's names for what has a sign, or another name. */
const named = table([
  ['*', 'cdot times ast'],
  ['/', 'div'],
  ['<=', 'le leq leqslant'],
  ['>=', 'ge geq geqslant'],
  ['<', 'lt'],
  ['>', 'gt'],
  ['!=', 'ne neq'],
  ['=', 'equiv iff approx'],
  ['=>', 'implies Rightarrow rightarrow to'],
  ['+-', 'pm mp'],
  ['infty', 'infinity inf oo'],
  ['(', 'lparen langle'],
  [')', 'rparen rangle'],
  ['[', 'lbrack'],
  [']', 'rbrack'],
  ['\\{', 'lbrace'],
  ['\\}', 'rbrace'],
  ['|', 'vert mid lvert rvert'],
  [',', 'land lor and or'],
  [':', 'colon'],
  ['setminus', 'backslash'],
])
/** Commands that change how a formula looks and not what it is. */
const skipped =
  setOf(`left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle quad qquad limits boldsymbol mathbf
  mathit mathrm vec hat bar boxed fbox mathcal mathsf bm operatorname rm bf it nonumber hline thinspace ensuremath`)
/** Plain words that are names as they stand. */
const words =
  setOf(`sqrt sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh ln log exp pi infty infinity
  inf oo abs floor ceil min max and or cup U binom theta alpha beta mod`)
/** Functions of one number: no comma parts what they are of. */
const unary = setOf('sqrt sin cos tan cot sec csc ln lg log exp abs floor ceil')
/** Commands whose group is text. */
const textCommands = setOf('text textbf textit textrm mbox mathrm operatorname mathbf hbox')

const most = 10_000

const numberAt =
  /(?:(\d{1,3}(?:(?:,|\{,\}|\\,|\\!,|,\\!)\d{3})+|\d+)(\.(?:\d+|(?!\.)))?|(?<!\d)(\.\d+))(?:[eE]([+-]?\d{1,4})(?![A-Za-z\d]))?/y
const plainNumberAt =
  /(?:(\d{1,3}(?:(?:\{,\}|\\,|\\!,|,\\!)\d{3})+|\d+)(\.(?:\d+|(?!\.)))?|(?<!\d)(\.\d+))(?:[eE]([+-]?\d{1,4})(?![A-Za-z\d]))?/y
const repeatingAt = /\\(?:overline|bar|dot)\s*(?:\{\s*(\d{1,40})\s*\}|(\d))|\((\d{1,40})\)/y
const commandAt = /\\([A-Za-z]+)\*?/y
const wordAt = /[A-Za-z]+/y
const bracedAt = /\s*\{([^{}]{0,80})\}/y
const signAt = /!=|<=|>=|=>|==|\+-|\*\*|[-+*/^_()[\]{}|,;=<>!%:&']/y

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

const opening = setOf('( [ \\{')
const closing = setOf(') ] \\}')

/** Reads a formula from left to right. */
class Scanner {
  readonly text: string
  readonly tokens: Token[] = []
  at = 0
  /** Whether space stands before what comes. */
  space = false
  /** Of brackets and braces that are open, whether a comma parts in them; where it does not it may group digits. */
  readonly parting: boolean[] = []
  constructor(text: string) {
    this.text = text
  }

  /** What a pattern finds here, which is passed. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    this.at += found?.[0].length ?? 0
    return found ?? undefined
  }

  put(t: 'name' | 'sign' | 'begin' | 'end', text: string): void {
    const before = this.tokens.at(-1)
    this.tokens.push({ t, text, space: this.space })
    this.space = false
    if (opening.has(text)) this.parting.push(!(before?.t === 'name' && unary.has(before.text)))
    else if (text === '{') this.parting.push(false)
    if (closing.has(text) || text === '}') this.parting.pop()
  }

  next(): void {
    const c = this.text[this.at]!
    if (/[\s~$]/.test(c)) {
      this.space = true
      this.at++
    } else if (c === '\\') this.backslash()
    else if (!(/[\d.]/.test(c) && this.number()) && !this.word()) this.sign()
  }

  number(): boolean {
    const found = this.take(this.parting.at(-1) === true ? plainNumberAt : numberAt)
    if (found === undefined) return false
    const [, whole = '', tail = '', bare, exponent] = found
    const mayRepeat = bare === undefined && exponent === undefined && tail !== ''
    const [, braced, digit, round] = (mayRepeat ? this.take(repeatingAt) : undefined) ?? []
    const repeating = braced ?? digit ?? round
    const fraction = (bare ?? tail).slice(1)
    const value = numeral(whole, fraction, repeating, exponent)
    if (value === undefined) throw new NoFormula()
    const isDecimal = repeating === undefined && (fraction !== '' || exponent !== undefined)
    this.tokens.push({ t: 'number', value, decimal: isDecimal, text: whole + fraction, space: this.space })
    this.space = false
    return true
  }

  backslash(): void {
    const name = this.take(commandAt)?.[1]
    if (name !== undefined) {
      this.command(name)
      return
    }
    const escaped = this.text[this.at + 1] ?? ''
    this.at += 2
    if (',;:! $'.includes(escaped)) this.space = true
    else if ('{}\\'.includes(escaped)) this.put('sign', `\\${escaped}`)
    else if ('%|'.includes(escaped)) this.put('sign', escaped)
    else if (!'()[]'.includes(escaped)) throw new NoFormula()
  }

  command(name: string): void {
    if (name === 'begin' || name === 'end') {
      const environment = this.take(bracedAt)
      if (environment === undefined) throw new NoFormula()
      this.put(name, environment[1]!.trim())
      return
    }
    const before = this.at
    const braced = textCommands.has(name) ? this.take(bracedAt) : undefined
    if (braced !== undefined) this.textual(braced[1]!.replaceAll(/\\?\$/g, '').trim(), before)
    else if (skipped.has(name)) {
      // \left. and \right. stand for no bracket
      if ((name === 'left' || name === 'right') && this.text[this.at] === '.') this.at++
    } else {
      const meant = named.get(name) ?? name
      this.put(/^[A-Za-z]/.test(meant) && meant !== 'in' ? 'name' : 'sign', meant)
    }
  }

  /** The text of a command such as `\text`, whose braces begin at a place. */
  textual(text: string, at: number): void {
    if (/^(?:and|or|,)$/.test(text)) this.put('sign', ',')
    else if (words.has(text) || /^[A-Za-z]'?$/.test(text)) this.put('name', text)
    else if (text === 'to') this.put('sign', ':')
    // words before a condition
    else if (/^(?:|if|when|for|where)$/.test(text)) this.space = true
    // a formula that only looks otherwise, such as \mathbf{0.5}
    else if (/\d/.test(text) && !/[A-Za-z]/.test(text)) this.at = at
    else throw new NoFormula()
  }

  word(): boolean {
    const word = this.take(wordAt)?.[0]
    if (word === undefined) return false
    if (word.length > 1 && words.has(word)) {
      const meant = named.get(word) ?? word
      this.put(meant === ',' ? 'sign' : 'name', meant)
    }
    // four letters in a row are a word of a language, not a product
    else if (word.length > 3) throw new NoFormula()
    else for (const letter of word) this.put('name', letter)
    return true
  }

  sign(): void {
    const sign = this.take(signAt)?.[0]
    if (sign === undefined) throw new NoFormula()
    // behind a digit it is a factorial: 5!=120
    if (sign === '!=' && /\d/.test(this.text[this.at - 3] ?? '')) {
      this.put('sign', '!')
      this.at--
      return
    }
    this.put('sign', sign === '==' ? '=' : sign === '**' ? '^' : sign)
  }
}

const outwardAt = /([[\]])([^()[\]]+,[^()[\]]+)([[\]])/g

/** Open intervals whose brackets look outward, `]0,1[`, as `(0,1)`. */
const inward = (text: string): string => {
  const brackets = text.replaceAll(/[^[\]]/g, '')
  if (!brackets.startsWith(']') && !brackets.endsWith('[')) return text
  return text.replaceAll(
    outwardAt,
    (_, open, inside, close) => `${open === '[' ? '[' : '('}${inside}${close === ']' ? ']' : ')'}`,
  )
}

/** The tokens of a formula. @throws NoFormula where it has something that no formula has, or is too long */
export const tokensOf = (formula: string): readonly Token[] => {
  if (formula.length > most) throw new NoFormula()
  const text = inward(unfolded(formula))
    .replaceAll(signPattern, (c) => signs.get(c)!)
    .replaceAll(/(?<=\d) (?:x (?=10\^)|to (?=\d))/g, (c) => (c === ' x ' ? '*' : ':'))
  // what was escaped twice on its way, as \\frac, is read as once where no rows can be meant
  const scanner = new Scanner(text.includes('\\begin') ? text : text.replaceAll(/\\\\(?=[A-Za-z])/g, '\\'))
  while (scanner.at < scanner.text.length) scanner.next()
  return scanner.tokens
}
