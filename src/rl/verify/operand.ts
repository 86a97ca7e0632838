/**
 * What stands between the operators of a formula: numbers, names, groups, fractions, roots, functions, matrices.
 *
 * @since 0.1.0
 */
import { Cursor } from './cursor.ts'
import { type Fn, functionNames, type Node } from './expression.ts'
import { decimal } from './rational.ts'
import { NoFormula } from './tokens.ts'

const functions: ReadonlySet<string> = new Set(functionNames.filter((f) => f.length > 2 && f !== 'root'))
const aliases: Readonly<Record<string, Fn>> = {
  asin: 'arcsin',
  acos: 'arccos',
  atan: 'arctan',
  lg: 'log',
  ln: 'ln',
}
/** Commands that take a numerator and a denominator. */
export const fractions: ReadonlySet<string> = new Set(['frac', 'dfrac', 'tfrac', 'cfrac'])
/** Names that no factor begins with. */
const closing: ReadonlySet<string> = new Set(
  'cup cap rfloor rceil circ degree pmod bmod mod over choose setminus'.split(' '),
)
const matrices = /^(?:[pbBvV]?matrix|array|smallmatrix|d?cases)$/

const fnOf = (name: string): Fn | undefined =>
  Object.hasOwn(aliases, name) ? aliases[name] : functions.has(name) ? (name as Fn) : undefined

/** A function of operands. */
export const call = (fn: Fn, ...of: readonly Node[]): Node => ({ t: 'call', fn, of })
const number = (text: string): Node => ({ t: 'number', value: decimal(text, '', 0)!, decimal: false })

/** Reads operands. What stands in their groups is read by those who know the operators. */
export abstract class Operands extends Cursor {
  abstract statement(): Node
  abstract sum(): Node
  abstract factor(): Node

  /** Statements with commas, semicolons or `and` between them. */
  list(ends: () => boolean): { readonly of: readonly Node[]; readonly trailing: boolean } {
    const of: Node[] = []
    let trailing = false
    while (!ends()) {
      of.push(this.statement())
      trailing = false
      if (ends()) break
      if (!this.take(',')) this.need(';')
      // "a, and b" has two signs in a row
      while (this.take(',')) {}
      trailing = true
    }
    return { of, trailing }
  }

  /** Whether a factor may begin here without a sign before it. */
  begins(): boolean {
    const token = this.next
    if (token === undefined) return false
    if (token.t === 'number' || token.t === 'begin') return true
    if (token.t === 'name') return !closing.has(token.text) && !(token.text === 'U' && token.space)
    return (
      (token.text === '(' && !this.isName('mod', 1)) ||
      token.text === '{' ||
      token.text === '[' ||
      (token.text === '|' && this.bars === 0)
    )
  }

  times(a: Node, b: Node): Node {
    return { t: 'product', of: [...(a.t === 'product' ? a.of : [a]), b] }
  }

  exponent(): Node {
    if (this.is('{')) return this.braces()
    if (this.take('-')) return { t: 'negative', of: this.exponent() }
    const base = this.base()
    return this.take('^') ? { t: 'power', a: base, b: this.exponent() } : base
  }

  braces(): Node {
    this.need('{')
    const { of } = this.list(() => this.is('}') || this.is('over') || this.is('choose'))
    const infix = this.take('over') ? 'over' : this.take('choose') ? 'choose' : undefined
    if (infix !== undefined) {
      const [a, b] = [of.length === 1 ? of[0]! : undefined, this.sum()]
      this.need('}')
      if (a === undefined) throw new NoFormula()
      return infix === 'over' ? { t: 'quotient', a, b } : call('binomial', a, b)
    }
    this.need('}')
    return of.length === 1 ? of[0]! : { t: 'list', of }
  }

  /** What LaTeX takes as an argument: a group, or one digit or letter. */
  argument(): Node {
    if (this.is('{')) return this.braces()
    const token = this.next
    if (token?.t === 'number' && /^\d{2,}$/.test(token.text)) {
      const rest = token.text.slice(1)
      this.tokens[this.at] = { ...token, text: rest, value: decimal(rest, '', 0)!, space: false }
      return number(token.text[0]!)
    }
    return this.base()
  }

  base(): Node {
    return this.deeper(() => {
      const token = this.next
      if (token === undefined) throw new NoFormula()
      if (token.t === 'number') {
        this.at++
        if (!this.take('_')) return { t: 'number', value: token.value, decimal: token.decimal }
        // digits with their base are a name, since another base is another answer
        const base = this.argument()
        if (token.decimal || base.t !== 'number') throw new NoFormula()
        return { t: 'symbol', name: `${token.text}_${base.value.n}` }
      }
      if (token.t === 'begin') return this.matrix()
      if (token.t === 'name') return this.name(token.text)
      switch (token.text) {
        case '{':
          return this.braces()
        case '\\{': {
          this.at++
          const built = this.builds()
          const { of } = this.list(() => this.is('\\}'))
          this.need('\\}')
          if (built) return of.length === 1 ? of[0]! : { t: 'intersection', of }
          return { t: 'set', of }
        }
        case '(':
        case '[':
          return this.bracket(token.text)
        case '|': {
          this.at++
          this.bars++
          const inside = this.sum()
          this.need('|')
          this.bars--
          return call('abs', inside)
        }
        default:
          throw new NoFormula()
      }
    })
  }

  /** Passes `x \mid` or `x \in \mathbb{R} :`, which leave what holds of `x`; whether it stands here. */
  builds(): boolean {
    const [symbol, next] = this.tokens.slice(this.at, this.at + 2)
    if (symbol?.t !== 'name' || next?.t !== 'sign') return false
    const begin = this.at
    this.at++
    const within = this.take('in') ? this.base() : undefined
    const all = within === undefined || (within.t === 'numbers' && within.name === 'R')
    if (all && (this.take('|') || this.take(':'))) return true
    this.at = begin
    return false
  }

  bracket(open: '(' | '['): Node {
    this.at++
    const bars = this.bars
    this.bars = 0
    const { of, trailing } = this.list(() => this.is(')') || this.is(']'))
    const close = this.is(')') ? ')' : ']'
    this.need(close)
    this.bars = bars
    const group = of.length === 1 && !trailing && (open === '(') === (close === ')')
    return group ? of[0]! : { t: 'tuple', open, close, of }
  }

  matrix(): Node {
    const environment = this.next!.text
    if (!matrices.test(environment)) throw new NoFormula()
    this.at++
    if (environment === 'array' && this.is('{')) while (this.next !== undefined && !this.take('}')) this.at++
    const rows: Node[][] = [[]]
    const ended = () => this.next?.t === 'end'
    while (!ended()) {
      if (this.take('\\\\')) rows.push([])
      // a comma before a condition
      else if (!this.take('&') && !this.take(',')) rows.at(-1)!.push(this.statement())
    }
    this.at++
    const filled = rows.filter((row) => row.length > 0)
    if (filled.length === 0) throw new NoFormula()
    return { t: 'matrix', rows: filled }
  }

  name(name: string): Node {
    this.at++
    if (fractions.has(name)) return { t: 'quotient', a: this.argument(), b: this.argument() }
    if (name === 'binom' || name === 'dbinom' || name === 'tbinom')
      return call('binomial', this.argument(), this.argument())
    if (name === 'sqrt') {
      if (!this.take('['))
        return call('sqrt', this.is('(') ? this.base() : this.is('{') ? this.braces() : this.base())
      const degree = this.sum()
      this.need(']')
      return call('root', this.argument(), degree)
    }
    if (name === 'overline' || name === 'underline') return this.argument()
    if (name === 'lfloor' || name === 'lceil') {
      const inside = this.sum()
      this.need(name === 'lfloor' ? 'rfloor' : 'rceil')
      return call(name === 'lfloor' ? 'floor' : 'ceil', inside)
    }
    if (name === 'pi' || name === 'e' || name === 'i') return this.subscripted({ t: 'constant', name }, name)
    if (name === 'infty') return { t: 'constant', name: 'infinity' }
    if (name === 'emptyset' || name === 'varnothing') return { t: 'set', of: [] }
    if (name === 'mathbb') {
      const letter = this.is('{') ? this.braces() : this.base()
      if (letter.t === 'symbol' && /^[CNQRZ]$/.test(letter.name)) return { t: 'numbers', name: letter.name }
      throw new NoFormula()
    }
    const fn = fnOf(name)
    if (fn !== undefined) return this.applied(fn)
    return this.subscripted({ t: 'symbol', name }, name)
  }

  /** `x_1`, `x_{12}`, `x'` are symbols of their own. */
  subscripted(plain: Node, name: string): Node {
    let written = name
    if (this.take('_')) {
      let depth = 0
      do {
        const token = this.next
        if (token === undefined || token.t === 'begin' || token.t === 'end') throw new NoFormula()
        if (token.text === '{') depth++
        else if (token.text === '}') depth--
        else written += `_${token.text}`
        this.at++
      } while (depth > 0)
    }
    while (this.take("'")) written += "'"
    return written === name ? plain : { t: 'symbol', name: written }
  }

  applied(fn: Fn): Node {
    let base: Node | undefined
    let exponent: Node | undefined
    for (;;) {
      if (fn === 'log' && this.take('_')) base = this.argument()
      else if (this.take('^')) exponent = this.exponent()
      else break
    }
    const of = this.operands(fn)
    const inverse = exponent?.t === 'negative' && exponent.of.t === 'number' && exponent.of.value.n === 1n
    const arc = inverse ? fnOf(`arc${fn}`) : undefined
    if (arc !== undefined) return call(arc, ...of)
    const value = base === undefined ? call(fn, ...of) : call('log', of[0]!, base)
    return exponent === undefined ? value : { t: 'power', a: value, b: exponent }
  }

  operands(fn: Fn): readonly Node[] {
    if (this.is('(')) {
      const inside = this.bracket('(')
      return inside.t === 'tuple' ? inside.of : [inside]
    }
    if (this.is('{')) return [this.braces()]
    if (this.is('|')) return [this.base()]
    if (fn === 'min' || fn === 'max') throw new NoFormula()
    let operand = this.factor()
    while (this.begins() && !this.startsFunction() && !this.is('(') && !this.is('|') && !this.is('['))
      operand = this.times(operand, this.factor())
    return [operand]
  }

  startsFunction(): boolean {
    const token = this.next
    return token?.t === 'name' && fnOf(token.text) !== undefined
  }
}
