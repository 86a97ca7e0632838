/** Requests as answers: whole, or in pieces. */
import { randomUUID } from 'node:crypto'
import { map, merge, type Observable } from 'rxjs'
import { uniforms } from '../generation/index.ts'
import type { Ask, Offered } from './ask.ts'
import type { Batch } from './batch.ts'
import { chatReplying, completionReplying, type Replying } from './reply.ts'
import { type Piece, written } from './written.ts'

/** A piece of one of the answers to a request. */
export interface Part {
  /** The choice. */
  readonly index: number
  readonly piece: Piece
}

/** All answers to a request, piece by piece, as they come. Unsubscribing frees their rows. */
export const answered = (ask: Ask, { processor }: Offered, batch: Batch): Observable<Part> =>
  merge(
    ...ask.prompts.flatMap((prompt, p) =>
      Array.from({ length: ask.n }, (_, k) => {
        const index = p * ask.n + k
        const job = {
          prompt,
          sampling: ask.sampling,
          uniforms: uniforms(ask.seed, 'served', index),
          top: ask.logProbs ?? 0,
        }
        return written(batch, processor, job, { stops: ask.stops, skipSpecial: ask.skipSpecial }).pipe(
          map((piece) => ({ index, piece })),
        )
      }),
    ),
  )

/** Makes the objects of one reply. */
export interface Writer {
  /** One piece; undefined where there is nothing to say yet. */
  readonly chunk: (part: Part) => object | undefined
  /** The last piece of a stream that tells how many tokens were used. */
  readonly usage: () => object
  /** The whole reply, of every piece that `chunk` was given. */
  readonly whole: () => object
}

/** Begins a reply. */
export const writer = (kind: 'chat' | 'completion', ask: Ask, { name, processor }: Offered): Writer => {
  const replying: Replying = (kind === 'chat' ? chatReplying : completionReplying)(ask, processor.tokenizer)
  const all: Piece[][] = Array.from({ length: ask.prompts.length * ask.n }, () => [])
  /** Characters that were told of each choice. */
  const told = all.map(() => 0)
  const begun = new Set<number>()
  const head = {
    id: `${replying.prefix}-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: name,
  }
  const promptOf = (index: number): readonly number[] => ask.prompts[Math.floor(index / ask.n)]!.ids
  const used = () => {
    const prompt = ask.prompts.reduce((n, p) => n + p.ids.length, 0)
    const completion = all.reduce((n, pieces) => n + pieces.length, 0)
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
  }
  return {
    chunk: ({ index, piece }) => {
      all[index]!.push(piece)
      const first = !begun.has(index)
      if (!first && piece.text === '' && piece.finish === undefined && !ask.ids && ask.logProbs === undefined)
        return undefined
      const offset = told[index]!
      told[index] = offset + piece.text.length
      begun.add(index)
      return {
        ...head,
        object: replying.chunk,
        choices: [replying.delta({ index, pieces: [piece] }, promptOf(index), first, offset)],
        ...(first ? replying.beside(promptOf(index), ask.ids) : {}),
        ...(ask.usage ? { usage: null } : {}),
      }
    },
    usage: () => ({ ...head, object: replying.chunk, choices: [], usage: used() }),
    whole: () => ({
      ...head,
      object: replying.object,
      choices: all.map((pieces, index) => replying.choice({ index, pieces }, promptOf(index))),
      usage: used(),
      ...replying.beside(promptOf(0), ask.ids),
    }),
  }
}
