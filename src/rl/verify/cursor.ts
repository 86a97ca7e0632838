/**
 * A place in the tokens of a formula, and how far reading may go: nodes and levels are bounded.
 *
 * @since 0.1.0
 */
import { NoFormula, type Token } from './tokens.ts'

/** Nodes and levels that a tree may have. */
const mostNodes = 3_000
const mostLevels = 60

/** Where reading stands. */
export class Cursor {
  at = 0
  nodes = 0
  level = 0
  /** Bars that are open: within them, a bar closes. */
  bars = 0
  readonly tokens: Token[]
  constructor(tokens: readonly Token[]) {
    this.tokens = [...tokens]
  }

  get next(): Token | undefined {
    return this.tokens[this.at]
  }
  is(text: string): boolean {
    const token = this.next
    return token !== undefined && token.t !== 'number' && token.text === text
  }
  /** Whether a name stands some tokens further. */
  isName(name: string, further: number): boolean {
    const token = this.tokens[this.at + further]
    return token?.t === 'name' && token.text === name
  }
  take(text: string): boolean {
    if (!this.is(text)) return false
    this.at++
    return true
  }
  need(text: string): void {
    if (!this.take(text)) throw new NoFormula()
  }
  /** Counts a node and a level, so that neither grows without end. */
  deeper<T>(read: () => T): T {
    if (++this.nodes > mostNodes || ++this.level > mostLevels) throw new NoFormula()
    try {
      return read()
    } finally {
      this.level--
    }
  }
}
