/**
 * Answers to requests that come at any time, through the rows of one cache: each takes a free row, with its own way of
 * drawing tokens, and gives it back when it has ended or nobody waits for it any more.
 *
 * @since 0.1.0
 */
import { Observable, type Subscriber } from 'rxjs'
import {
  type Conversation,
  collateImages,
  collateText,
  fitting,
  type Processor,
  tilesOf,
} from '../data/index.ts'
import { buckets, type FunctionSpec, fixed } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import {
  biasOf,
  type Drawn,
  draw,
  LogitsError,
  neverDrawn,
  type Settled,
  settled,
  type Uniforms,
  unfiltered,
} from '../generation/index.ts'
import { filterInputs } from '../generation/internal.ts'
import { type CausalLm, decode, extend, prefill } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { bools, callWith, floats, imageValues, ints, textValues } from '../train/internal.ts'
import { likeliest } from './likeliest.ts'

/** Sizes of what answers. */
export interface BatchingSizes {
  /** Answers at once. */
  readonly rows: number
  /** Tokens of prompt and answer together. */
  readonly context: number
  /**
   * Images of one prompt at most; 0 for a model that reads text alone. Where it reads images of any size their squares, which
   * are its visual tokens.
   */
  readonly images: number
}

/** One answer that is asked for. */
export interface Job {
  readonly prompt: Conversation
  readonly sampling: Settled
  readonly uniforms: Uniforms
  /** How many of the likeliest tokens are told beside each; default none. */
  readonly top?: number
}

/** A token of an answer. */
export interface Token extends Drawn {
  /** The likeliest tokens at its place, the likeliest first. */
  readonly top: readonly Drawn[]
  /** Why it is the last: it ends the turn, or the answer may not be longer. */
  readonly last?: 'end' | 'length'
}

/** What answers, over a session. */
export interface Batch {
  /**
   * One answer, token by token. It waits for a free row; unsubscribing frees the row before the next call. The stream's error
   * is what the session's call failed with, or a LogitsError.
   */
  readonly answer: (job: Job) => Observable<Token>
  /** Rows that are at work, and answers that wait for one. */
  readonly busy: () => { readonly rows: number; readonly waiting: number }
}

/** What a program needs so that its session answers, and how it does. */
export interface Batching {
  readonly sizes: BatchingSizes
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * Sees that a prompt can be read.
   *
   * @throws CollateError where it does not fit or has tokens that there are not
   */
  readonly check: (prompt: Conversation) => void
  readonly open: (session: Session) => Batch
}

/** One answer on its way. */
interface Asked {
  readonly job: Job
  readonly to: Subscriber<Token>
  readonly ids: number[]
  readonly seen: Set<number> | undefined
  /** Most tokens. */
  readonly most: number
}

const rowOf = (logits: TensorValue, r: number): Float32Array => {
  const vocab = logits.shape[1]!
  return (logits.data as Float32Array).subarray(r * vocab, (r + 1) * vocab)
}

/** How a row that is not at work draws what nobody reads. */
const idle = settled({ maxNewTokens: 1 })

/** Tokens a row of one call, where nobody wants to be told others beside them. */
const steps = 4

/** Sizes of a call that reads one prompt: short or long, without, with one or with many images (few or many squares). */
const readings = ({ context, images }: BatchingSizes, squares: boolean) =>
  [...new Set([Math.ceil(context / 4), context])].flatMap((tokens) =>
    [...new Set([0, squares ? Math.ceil(images / 4) : Math.min(1, images), images])].map((count) => ({
      ...{ tokens, images: count },
    })),
  )

/** What a batch answers with, whatever its session. */
interface Answering extends Pick<BatchingSizes, 'rows' | 'context'> {
  readonly processor: Processor
  readonly vocab: number
  /** Tokens that are never drawn, and what keeps a graph from drawing them. */
  readonly never: readonly number[]
  readonly bias: TensorValue
  /** A prompt as inputs of a call that reads it. */
  readonly promptInputs: (prompt: Conversation) => Readonly<Record<string, TensorValue>>
}

const opened = (session: Session, b: Answering): Batch => {
  const { processor, rows, context, vocab, never, bias, promptInputs } = b
  const waiting: Asked[] = []
  const working: (Asked | undefined)[] = Array.from({ length: rows }, () => undefined)
  let running = false

  /** Says the next token of a row; what makes it may throw. */
  const grow = (at: number, next: (row: Asked) => Drawn & Pick<Token, 'top'>): void => {
    const row = working[at]!
    const { stopIds } = row.job.sampling
    try {
      const token = next(row)
      row.ids.push(token.id)
      row.seen?.add(token.id)
      const ended = token.id === processor.end || stopIds.includes(token.id)
      const last = ended ? 'end' : row.ids.length >= row.most ? 'length' : undefined
      if (last !== undefined) working[at] = undefined
      row.to.next({ ...token, ...(last === undefined ? {} : { last }) })
      if (last !== undefined) row.to.complete()
    } catch (e) {
      working[at] = undefined
      row.to.error(e)
    }
  }
  /** Draws it from these logits. */
  const by =
    (logits: Float32Array) =>
    ({ job, ids, seen }: Asked): Drawn & Pick<Token, 'top'> => {
      const { sampling, uniforms, top = 0 } = job
      return {
        ...draw(logits, sampling, uniforms(ids.length), { seen, never }),
        top: top === 0 ? [] : likeliest(logits, sampling.temperature, top),
      }
    }

  /** Reads a prompt into a row. */
  const read = async (asked: Asked, at: number): Promise<void> => {
    working[at] = asked
    const { prompt } = asked.job
    const source = new Int32Array(rows).fill(-1)
    source[at] = 0
    const inputs = { ...promptInputs(prompt), source: ints(source, rows) }
    const { logits } = await callWith(session, 'prefill', inputs)
    grow(at, by(rowOf(logits!, 0)))
  }

  /** Whether a row's tokens are drawn by its temperature alone. */
  const plainly = (row: Asked | undefined): boolean =>
    row === undefined || (row.seen === undefined && unfiltered(row.job.sampling, vocab))

  /** How each row filters its tokens and makes them less likely. */
  const filters = (): Readonly<Record<string, TensorValue>> => {
    const seen = new Uint8Array(rows * vocab)
    for (const [at, row] of working.entries()) for (const id of row?.seen ?? []) seen[at * vocab + id] = 1
    const how = working.map((row) => row?.job.sampling ?? idle)
    return filterInputs(how, vocab, seen)
  }

  /** Adds several tokens to every row at work; what comes behind an answer's end is nobody's. */
  const severalSteps = async (inputs: Readonly<Record<string, TensorValue>>): Promise<void> => {
    const plain = working.every(plainly)
    const temperatures = Float32Array.from(working, (row) => row?.job.sampling.temperature ?? 0)
    const uniform = new Float32Array(steps * rows)
    for (const [at, row] of working.entries())
      if (row !== undefined)
        for (let i = 0; i < steps; i++) uniform[i * rows + at] = row.job.uniforms(row.ids.length + i)
    const { ids, log_probs } = await callWith(session, plain ? 'extend' : 'extendFiltered', {
      ...{ ...inputs, ...(plain ? {} : filters()), bias },
      uniform: floats(uniform, steps, rows),
      scale: floats(
        temperatures.map((t) => (t === 0 ? 1 : 1 / t)),
        rows,
      ),
      greedy: bools(
        Uint8Array.from(temperatures, (t) => (t === 0 ? 1 : 0)),
        rows,
      ),
    })
    for (const [at, row] of working.entries())
      for (let i = 0; i < steps; i++) {
        if (row === undefined || working[at] !== row || row.to.closed) break
        const [id, logProb] = [ids!.data[i * rows + at]!, log_probs!.data[i * rows + at]!]
        grow(at, () => {
          if (Number.isNaN(logProb)) throw new LogitsError(id, logProb, row.job.prompt.id)
          return { id, logProb, top: [] }
        })
      }
  }

  /** Adds a token or several to every row at work. */
  const step = async (): Promise<void> => {
    const ids = Int32Array.from(working, (row) => row?.ids.at(-1) ?? processor.pad)
    const places = Int32Array.from(working, (row) =>
      row === undefined ? 0 : row.job.prompt.ids.length + row.ids.length - 1,
    )
    const inputs = { input_ids: ints(ids, rows), position: ints(places, rows) }
    if (working.every((row) => !row?.job.top)) return severalSteps(inputs)
    const { logits } = await callWith(session, 'decode', inputs)
    for (const at of working.keys()) if (working[at] !== undefined) grow(at, by(rowOf(logits!, at)))
  }

  /** Works until nobody waits for an answer. */
  const work = async (): Promise<void> => {
    if (running) return
    running = true
    try {
      for (;;) {
        for (const [at, row] of working.entries()) if (row?.to.closed === true) working[at] = undefined
        const free = working.indexOf(undefined)
        const next = free < 0 ? undefined : waiting.shift()
        if (next !== undefined) await read(next, free)
        else if (working.every((row) => row === undefined)) break
        else await step()
      }
    } catch (e) {
      const all = [...working.splice(0, rows, ...working.map(() => undefined)), ...waiting.splice(0)]
      for (const asked of all) asked?.to.error(e)
    } finally {
      running = false
    }
  }

  return {
    answer: (job) =>
      new Observable((to) => {
        const most = Math.min(job.sampling.maxNewTokens, context - job.prompt.ids.length)
        const seen = job.sampling.repetitionPenalty === 1 ? undefined : new Set(job.prompt.ids)
        const asked: Asked = { job, to, ids: [], seen, most }
        waiting.push(asked)
        void work()
        return () => {
          const at = waiting.indexOf(asked)
          if (at >= 0) waiting.splice(at, 1)
        }
      }),
    busy: () => ({
      rows: working.filter((row) => row !== undefined && !row.to.closed).length,
      waiting: waiting.length,
    }),
  }
}

/**
 * Answers of a model to requests that come at any time.
 *
 * @throws ProcessorError where the processor does not make what the model reads; GraphError where a size is none
 * @category serving
 */
export const batching = (model: CausalLm, processor: Processor, sizes: BatchingSizes): Batching => {
  onlySettings('batching', sizes, ['rows', 'context', 'images'])
  fitting(processor, model)
  const { rows, context } = sizes
  const shapes = readings(sizes, processor.image?.patchSize !== undefined)
  const graph = { rows, capacity: context }
  const each = { ...graph, prompt: context, images: 0 }

  const inputsOf = (prompt: Conversation, shape: (typeof shapes)[number]) => {
    const size = { rows: 1, ...shape }
    return {
      ...textValues(collateText([prompt], size, processor), size),
      ...imageValues(collateImages([prompt], size, processor), size, processor),
      last: ints(Int32Array.of(prompt.ids.length - 1), 1),
    }
  }
  /** The smallest size that takes a prompt; the largest where none does, to be refused by name. */
  const shapeOf = (p: Conversation) =>
    shapes.find((s) => s.tokens >= p.ids.length && s.images >= tilesOf(processor, p.images)) ?? shapes.at(-1)!

  const never = neverDrawn({ model, processor })
  const vocab = model.vocabSize
  const answering: Answering = {
    ...{ processor, rows, context, vocab, never, bias: biasOf(vocab, never) },
    promptInputs: (prompt) => inputsOf(prompt, shapeOf(prompt)),
  }

  return {
    sizes,
    functions: {
      prefill: buckets(shapes, ({ tokens, images }) =>
        prefill(model, { ...graph, prompt: tokens, prompts: 1, images }),
      ),
      decode: fixed(() => decode(model, each)),
      extend: fixed(() => extend(model, each, steps, { each: true })),
      extendFiltered: fixed(() => extend(model, each, steps, { each: true, filtered: true })),
    },
    check: (prompt) => void inputsOf(prompt, shapes.at(-1)!),
    open: (session) => opened(session, answering),
  }
}
