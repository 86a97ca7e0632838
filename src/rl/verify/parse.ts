/**
 * A written answer read as a tree: LaTeX as models write it, and plain formulas. Recursion and size are bounded; what is no
 * formula gives undefined, and nothing is thrown.
 *
 * @since 0.1.0
 */
import type { Node, Relation } from './expression.ts'
import { call, fractions, Operands } from './operand.ts'
import { isWhole, rational } from './rational.ts'
import { NoFormula, tokensOf } from './tokens.ts'

const relations: ReadonlySet<string> = new Set(['=', '<', '>', '<=', '>=', '!=', 'in'])

/** Reads operators, from those that bind least to those that bind most. */
class Reader extends Operands {
  statement(): Node {
    return this.deeper(() => {
      const of = [this.sets()]
      const by: Relation[] = []
      for (;;) {
        const token = this.next
        if (token === undefined || token.t !== 'sign') break
        if (token.text === '=>') {
          // what follows from it is the answer
          this.at++
          return this.statement()
        }
        if (!relations.has(token.text)) break
        this.at++
        by.push(token.text as Relation)
        of.push(this.sets())
      }
      const said: Node = by.length === 0 ? of[0]! : { t: 'relation', by, of }
      const modulus = this.modulus()
      return modulus === undefined ? said : { t: 'modulo', a: said, b: modulus }
    })
  }

  /** `\pmod{7}`, `\bmod 7`, `(mod 7)` */
  modulus(): Node | undefined {
    if (this.take('pmod') || this.take('bmod') || this.take('mod')) return this.factor()
    if (!this.is('(') || !this.isName('mod', 1)) return undefined
    this.at += 2
    const modulus = this.sum()
    this.need(')')
    return modulus
  }

  sets(): Node {
    const join = (name: string, t: 'union' | 'intersection', read: () => Node): Node => {
      const of = [read()]
      while (this.is(name) || (t === 'union' && this.is('U') && of[0]!.t === 'tuple')) {
        this.at++
        of.push(read())
      }
      return of.length === 1 ? of[0]! : { t, of }
    }
    const left = join('cup', 'union', () => join('cap', 'intersection', () => this.ratio()))
    if (!this.take('setminus')) return left
    return { t: 'intersection', of: [left, { t: 'complement', of: this.ratio() }] }
  }

  ratio(): Node {
    const of = [this.sum()]
    while (this.take(':')) of.push(this.sum())
    return of.length === 1 ? of[0]! : { t: 'ratio', of }
  }

  sum(): Node {
    return this.deeper(() => {
      let total: Node | undefined
      const of: Node[] = []
      for (;;) {
        if (this.take('+-')) {
          const a = of.length === 0 ? total : total === undefined ? { t: 'sum' as const, of: [...of] } : total
          total = { t: 'plusMinus', a, b: this.product() }
          of.length = 0
          of.push(total)
        } else {
          let negative = false
          let signed = false
          while (this.is('+') || this.is('-')) {
            if (this.is('-')) negative = !negative
            signed = true
            this.at++
          }
          if (of.length > 0 && !signed) break
          const term = this.product()
          of.push(negative ? { t: 'negative', of: term } : term)
          total = undefined
        }
        if (!(this.is('+') || this.is('-') || this.is('+-'))) break
      }
      return of.length === 1 ? of[0]! : { t: 'sum', of }
    })
  }

  product(): Node {
    return this.deeper(() => {
      let left = this.factor()
      for (;;) {
        if (this.take('*')) left = this.times(left, this.signed())
        else if (this.take('/')) left = { t: 'quotient', a: left, b: this.signed() }
        else if (this.begins()) {
          const token = this.next!
          const before = this.tokens[this.at - 1]
          // two numerals side by side are a mixed number or nothing
          if (token.t === 'number' && before?.t === 'number') {
            left = this.mixed(left)
            continue
          }
          const fraction = token.t === 'name' && fractions.has(token.text) && before?.t === 'number'
          const right = this.factor()
          const mixed = fraction && left.t === 'number' && isWhole(left.value) && isProper(right)
          left = mixed ? { t: 'sum', of: [left, right] } : this.times(left, right)
        } else return left
      }
    })
  }

  /** `3 1/2` */
  mixed(whole: Node): Node {
    const a = this.factor()
    if (!this.take('/') || this.next?.t !== 'number') throw new NoFormula()
    const right: Node = { t: 'quotient', a, b: this.factor() }
    if (whole.t !== 'number' || !isWhole(whole.value) || !isProper(right)) throw new NoFormula()
    return { t: 'sum', of: [whole, right] }
  }

  signed(): Node {
    if (this.take('-')) return { t: 'negative', of: this.signed() }
    if (this.take('+')) return this.signed()
    return this.factor()
  }

  factor(): Node {
    return this.deeper(() => {
      let base = this.base()
      for (;;) {
        if (this.take('^')) {
          if (this.take('circ') || (this.is('{') && this.degree())) base = { t: 'degrees', of: base }
          else base = { t: 'power', a: base, b: this.exponent() }
        } else if (this.take('degree') || this.take('circ')) base = { t: 'degrees', of: base }
        else if (this.take('%')) base = { t: 'percent', of: base }
        else if (this.take('!')) base = call('factorial', base)
        else return base
      }
    })
  }

  /** `{\circ}` */
  degree(): boolean {
    const [, circ, close] = this.tokens.slice(this.at, this.at + 3)
    if (circ?.t !== 'name' || circ.text !== 'circ' || close?.t !== 'sign' || close.text !== '}') return false
    this.at += 3
    return true
  }
}

const isProper = (node: Node): boolean =>
  node.t === 'quotient' &&
  node.a.t === 'number' &&
  node.b.t === 'number' &&
  isWhole(node.a.value) &&
  isWhole(node.b.value)

const moment = /^\s*(?:\d{4}-\d\d-\d\d|\d{1,2}\/\d{1,2}\/\d{4}|(\d{1,2}):([0-5]\d))\s*$/

/** Whether a text is a date or a time of day, which are words. A ratio is in lowest terms: `5:12` is one, `12:30` and `3:05` are none. */
const isMoment = (text: string): boolean => {
  const found = moment.exec(text)
  if (found?.[2] === undefined) return found !== null
  const reduced = rational(BigInt(found[1]!), BigInt(found[2]))
  return found[2].startsWith('0') || reduced?.d !== BigInt(found[2])
}

/** The tree of a written answer, several answers as a list; undefined where it is no formula, or too large a one. */
export const parseAnswer = (text: string): Node | undefined => {
  if (isMoment(text)) return undefined
  try {
    const reader = new Reader(tokensOf(text))
    // what an equation leaves out on its left
    reader.take('=')
    if (reader.next === undefined) return undefined
    const { of } = reader.list(() => reader.next === undefined)
    return of.length === 1 ? of[0] : { t: 'list', of }
  } catch (e) {
    if (e instanceof NoFormula || e instanceof RangeError) return undefined
    throw e
  }
}
