/** What the protocol's two kinds of reply look like, whole and in pieces. */
import type { TextTokenizer } from '../data/index.ts'
import type { Ask } from './ask.ts'
import type { Token } from './batch.ts'
import type { Piece } from './written.ts'

/** One answer as far as it has come. */
export interface Choice {
  readonly index: number
  readonly pieces: readonly Piece[]
}

/** How one kind of request is replied to. */
export interface Replying {
  /** Of an id: `chatcmpl-…`. */
  readonly prefix: string
  /** A whole reply's kind, and a piece's. */
  readonly object: string
  readonly chunk: string
  readonly choice: (c: Choice, promptIds: readonly number[]) => object
  /** A piece of a choice; `first` where the choice begins with it. */
  readonly delta: (c: Choice, promptIds: readonly number[], first: boolean, offset: number) => object
  /** What a whole reply or its first piece says beside. */
  readonly beside: (promptIds: readonly number[], ids: boolean) => object
}

const textOf = (pieces: readonly Piece[]): string => pieces.map((p) => p.text).join('')
const finishOf = (pieces: readonly Piece[]) => pieces.at(-1)?.finish ?? null
const idsOf = (pieces: readonly Piece[]): readonly number[] => pieces.map((p) => p.token.id)

/** Log-probabilities of tokens as a chat tells them. */
const chatLogProbs = (t: TextTokenizer, tokens: readonly Token[]) => {
  const named = ({ id, logProb }: { readonly id: number; readonly logProb: number }) => {
    const token = t.decode([id])
    return { token, logprob: logProb, bytes: [...Buffer.from(token)] }
  }
  return {
    content: tokens.map((token) => ({ ...named(token), top_logprobs: token.top.map(named) })),
    refusal: null,
  }
}

/** Replies to chats. */
export const chatReplying = (ask: Ask, t: TextTokenizer): Replying => {
  const shared = ({ index, pieces }: Choice) => ({
    index,
    logprobs:
      ask.logProbs === undefined
        ? null
        : chatLogProbs(
            t,
            pieces.map((p) => p.token),
          ),
    finish_reason: finishOf(pieces),
    ...(ask.ids ? { token_ids: idsOf(pieces) } : {}),
  })
  return {
    ...{ prefix: 'chatcmpl', object: 'chat.completion', chunk: 'chat.completion.chunk' },
    choice: (c) => ({
      ...shared(c),
      message: { role: 'assistant', content: textOf(c.pieces), refusal: null },
    }),
    delta: (c, _, first) => ({
      ...shared(c),
      delta: { ...(first ? { role: 'assistant' } : {}), content: textOf(c.pieces) },
    }),
    beside: (promptIds, ids) => (ids ? { prompt_token_ids: promptIds } : {}),
  }
}

/** Replies to completions. */
export const completionReplying = (ask: Ask, t: TextTokenizer): Replying => {
  const logProbs = (pieces: readonly Piece[], offset: number) => {
    let at = offset
    return {
      tokens: pieces.map(({ token }) => t.decode([token.id])),
      token_logprobs: pieces.map(({ token }) => token.logProb),
      top_logprobs: pieces.map(({ token }) =>
        ask.logProbs === 0 ? null : Object.fromEntries(token.top.map((d) => [t.decode([d.id]), d.logProb])),
      ),
      text_offset: pieces.map(({ text }) => {
        const here = at
        at += text.length
        return here
      }),
    }
  }
  const shared = (
    { index, pieces }: Choice,
    promptIds: readonly number[],
    first: boolean,
    offset: number,
  ) => ({
    index,
    text: textOf(pieces),
    logprobs: ask.logProbs === undefined ? null : logProbs(pieces, offset),
    finish_reason: finishOf(pieces),
    ...(ask.ids ? { token_ids: idsOf(pieces), ...(first ? { prompt_token_ids: promptIds } : {}) } : {}),
  })
  return {
    ...{ prefix: 'cmpl', object: 'text_completion', chunk: 'text_completion' },
    choice: (c, promptIds) => shared(c, promptIds, true, 0),
    delta: shared,
    beside: () => ({}),
  }
}
