/**
 * Answers as text: the tokens of an answer with what each makes readable.
 *
 * @since 0.1.0
 */
import { Observable } from 'rxjs'
import type { Processor } from '../data/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Batch, Job, Token } from './batch.ts'
import { textStream } from './text-stream.ts'

/** A token of an answer, and what of the answer's text it makes readable. */
export interface Piece {
  readonly token: Token
  readonly text: string
  /** Why it is the last: the model ended its turn or wrote a text at which it was to stop, or it may not be longer. */
  readonly finish?: 'stop' | 'length'
}

/** How tokens become text. */
export interface WrittenOptions {
  /** Texts at which the answer stops; they are not in it. */
  readonly stops?: readonly string[]
  /** Whether special tokens have no text, as with vLLM; those around a thought have theirs. Default true. */
  readonly skipSpecial?: boolean
}

/** The special tokens but those around a thought, by which a reader tells it from the answer. */
const hiddenIds = ({ tokenizer, thought }: Processor): ReadonlySet<number> => {
  const { open, close } = thought ?? { open: tokenizer.idOf('<think>'), close: tokenizer.idOf('</think>') }
  const ids = (tokenizer.special ?? []).flatMap((text) => tokenizer.idOf(text) ?? [])
  return new Set(ids.filter((id) => id !== open && id !== close))
}

/**
 * An answer piece by piece:
 *
 * ```
 * tokens  --a--b--c--|        written  --A--B--C--|
 * stops at b's text:          written  --A--B|          and the row is free
 * ```
 *
 * The token that ends a turn has no text. Unsubscribing frees the row.
 *
 * @category serving
 */
export const written = (
  batch: Batch,
  processor: Processor,
  job: Job,
  options: WrittenOptions = {},
): Observable<Piece> => {
  const { stops, skipSpecial = true } = onlySettings('written', options, ['stops', 'skipSpecial'])
  return new Observable((to) => {
    const stream = textStream(processor.tokenizer, stops, skipSpecial ? hiddenIds(processor) : undefined)
    const tokens = batch.answer(job).subscribe({
      next: (token) => {
        const shown = token.last === 'end' ? '' : stream.push(token.id)
        const text = token.last === undefined ? shown : shown + stream.end()
        const finish =
          token.last === 'end' || stream.stopped() ? 'stop' : token.last === 'length' ? 'length' : undefined
        to.next({ token, text, ...(finish === undefined ? {} : { finish }) })
        if (finish !== undefined) to.complete()
      },
      error: (e) => to.error(e),
    })
    return () => tokens.unsubscribe()
  })
}
