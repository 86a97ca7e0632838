/**
 * Answers to any number of prompts through the rows of one cache: a row whose answer has ended takes the next prompt
 * while the others go on.
 *
 * @since 0.1.0
 */
import {
  CollateError,
  type Conversation,
  collateImages,
  collateText,
  fitting,
  type Processor,
  tilesOf,
} from '../data/index.ts'
import { buckets, type FunctionSpec, fixed } from '../dsl/index.ts'
import { type Session, scalarValue, type TensorValue } from '../engine/index.ts'
import {
  type CausalLm,
  extend,
  extendLoop,
  fillCache,
  type GenerationSizes,
  imagesOf,
} from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { bools, callWith, floats, imageValues, ints, textValues } from '../train/internal.ts'
import { biasOf, filterInputs, LogitsError, type Settled, unfiltered } from './sampling.ts'
import type { Uniforms } from './uniforms.ts'

/** Sizes of a decoding: {@link GenerationSizes}, of which `images` is for as many prompts as there are rows. */
export type DecodingSizes = Pick<GenerationSizes, 'rows' | 'prompt' | 'capacity' | 'images'>

/** What a decoding may be told. */
export interface DecodingOptions {
  /** Stands before the names of its functions and in the keys of its cache, where a program has more than one; default none. */
  readonly name?: string
}

/** What one run of answers may be told. */
export interface AnswersOptions<V> {
  readonly sampling: Settled
  /** Asked when a prompt is read; its answer carries it. */
  readonly version?: () => V
  /** Tokens that are never drawn; default none. */
  readonly never?: readonly number[]
  /** Asked before each call: whether to end without more answers. */
  readonly stopped?: () => boolean
}

/** One answer that is asked for. */
export interface Asked {
  /** Of which the first `promptLength` tokens and the images are read. */
  readonly prompt: Conversation
  /** What its tokens are drawn by. */
  readonly uniforms: Uniforms
}

/** An answer that has ended. */
export interface Answer<V = undefined> {
  /** Its place among those that were asked for. */
  readonly index: number
  /** The tokens that were drawn, with the one that ended it. */
  readonly ids: readonly number[]
  /** Natural logarithm of each token's probability. */
  readonly logProbs: readonly number[]
  /** Whether a token ended it; else it may not be longer. */
  readonly ended: boolean
  /** What `version` gave when its prompt was read. */
  readonly version: V
}

/** What answers need of a program, and how they are made with a session of it. */
export interface Decoding {
  /** Everything that determines it, as plain JSON data. */
  readonly config: unknown
  readonly processor: Processor
  readonly sizes: Required<DecodingSizes>
  /** To be put into a program, with their cache as its state. */
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * Sees that prompts fit, without running anything.
   *
   * @throws CollateError where one does not, naming it
   */
  readonly check: (prompts: readonly Conversation[]) => void
  /**
   * Answers in the order in which they end. Ending the iteration ends the work after the call in progress. A second run
   * over the same session begins when the first has ended, because they share the cache.
   *
   * @throws CollateError where a prompt does not fit; what the session's calls fail with; LogitsError
   */
  readonly answers: <V = undefined>(
    session: Session,
    asked: readonly Asked[],
    options: AnswersOptions<V>,
  ) => AsyncGenerator<Answer<V>>
}

/** A row of the cache at work. */
interface Row<V> {
  readonly index: number
  readonly version: V
  readonly ids: number[]
  readonly logProbs: number[]
  /** Most tokens of its answer. */
  readonly most: number
  readonly promptLength: number
  /** The prompt's last token, which the answer's first one follows. */
  readonly before: number
}

const answerOf = <V>({ index, ids, logProbs, version }: Row<V>, ended: boolean): Answer<V> => ({
  ...{ index, ids, logProbs, ended, version },
})

/** What one call wrote, step by step and row by row in each. */
interface Extended {
  readonly ids: ArrayLike<number>
  readonly logProbs: ArrayLike<number>
  /** Steps. */
  readonly ran: number
}

/** The size of one call that reads prompts. */
interface Reading {
  readonly prompts: number
  readonly images: number
}

/** Prompts that one call reads into rows. */
interface Group {
  /** One a row. */
  readonly taken: readonly Conversation[]
  /** Each of them once: the answers to one prompt share what is read of it, its images too. */
  readonly prompts: readonly Conversation[]
  readonly shape: Reading
}

/** The prompt alone. @throws CollateError `BadMask` where it is empty or ends outside the conversation */
const promptOf = (c: Conversation): Conversation => {
  const { id, ids, promptLength, lossMask } = c
  if (!(Number.isSafeInteger(promptLength) && promptLength >= 1 && promptLength <= ids.length))
    throw new CollateError(
      'BadMask',
      id,
      `conversation '${id}' has ${ids.length} tokens, and its promptLength is ${promptLength}; give how many stand before the answer, at least one, which the answer follows`,
    )
  return { ...c, ids: ids.slice(0, promptLength), lossMask: lossMask.slice(0, promptLength) }
}

/** Sizes of the calls that read prompts, smallest first: for a sixteenth of the rows, a quarter, and all of them. */
const reads = ({ rows, images }: Required<DecodingSizes>): readonly Reading[] =>
  [...new Set([16, 4, 1].map((part) => Math.ceil(rows / part)))].map((prompts) => ({
    prompts,
    images: Math.ceil((images * prompts) / rows),
  }))

/**
 * Tokens a row of one call that draws them itself. With eight a call cost as much a token, took twice as long to compile,
 * and left more tokens behind an answer's end.
 */
const steps = 4

/** Tokens a row of one call on a device, whose own loop costs it nothing: there the call from here is what takes time. */
const looped = 64

/** The end of the last run of answers over each session, by the name of its cache. */
const turns = new WeakMap<Session, Map<string, Promise<void>>>()

/** Waits until those before have ended, and answers what tells the next one that this one has. */
const takeTurn = async (session: Session, name: string): Promise<() => void> => {
  const byName = turns.get(session) ?? new Map<string, Promise<void>>()
  turns.set(session, byName)
  const before = byName.get(name)
  let end = (): void => undefined
  const own = new Promise<void>((resolve) => {
    end = resolve
  })
  byName.set(name, own)
  await before
  return end
}

/**
 * Decoding with a model.
 *
 * @throws ProcessorError where the processor does not make what the model reads; RecipeError where there are no sizes
 * @category generation
 */
export const decoding = (
  model: CausalLm,
  processor: Processor,
  given: DecodingSizes,
  options: DecodingOptions = {},
): Decoding => {
  const { name = '' } = onlySettings('decoding', options, ['name'])
  onlySettings('decoding', given, ['rows', 'prompt', 'capacity', 'images'], 'sizes')
  fitting(processor, model)
  const sizes: Required<DecodingSizes> = {
    ...{ rows: given.rows, prompt: given.prompt, capacity: given.capacity },
    images: imagesOf(model, given),
  }
  const { rows, prompt: tokens, capacity } = sizes
  const shapes = reads(sizes)
  const least = Math.ceil(rows / 4)
  const called = (f: string): string => (name === '' ? f : `${name}.${f}`)
  const graph: GenerationSizes = { ...sizes, ...(name === '' ? {} : { name }) }

  const textOf = (prompts: readonly Conversation[], count: number) => {
    for (const { id, ids } of prompts)
      if (ids.length > 0 && ids.at(-1) === processor.image?.placeholder)
        throw new CollateError(
          'ImageTokens',
          id,
          `conversation '${id}': its prompt ends in an image; an answer follows text, so let a token of the turn come after it`,
        )
    return collateText(prompts, { rows: count, tokens }, processor)
  }
  const imagesIn = (prompts: readonly Conversation[]): number =>
    prompts.reduce((n, p) => n + tilesOf(processor, p.images), 0)

  /** The first prompts that one call can read, at most so many: what it reads of them, and its size. */
  const group = (waiting: readonly Conversation[], most: number): Group => {
    let count = Math.min(most, waiting.length)
    for (;;) {
      const taken = waiting.slice(0, count)
      const prompts = [...new Set(taken)]
      const images = imagesIn(prompts)
      const shape = shapes.find(
        // prompts that share nothing wait until they fill a larger call
        (s) =>
          s.prompts >= (prompts.length < count ? 1 : least) &&
          s.prompts >= prompts.length &&
          s.images >= images,
      )
      // a prompt with more images than any call takes goes on, to be refused by name
      if (shape !== undefined || count === 1) return { taken, prompts, shape: shape ?? shapes.at(-1)! }
      count--
    }
  }

  const call = (session: Session, f: string, inputs: Readonly<Record<string, TensorValue>>) =>
    callWith(session, called(f), inputs)

  /** Reads prompts into rows. */
  const read = async (
    session: Session,
    { taken, prompts, shape }: Group,
    into: readonly number[],
  ): Promise<void> => {
    const size = { rows: shape.prompts, tokens, images: shape.images }
    const source = new Int32Array(rows).fill(-1)
    taken.forEach((p, i) => {
      source[into[i]!] = prompts.indexOf(p)
    })
    await call(session, 'prefill', {
      ...textValues(textOf(prompts, size.rows), size),
      ...imageValues(collateImages(prompts, size, processor), size, processor),
      source: ints(source, rows),
    })
  }

  async function* answers<V>(
    session: Session,
    asked: readonly Asked[],
    options: AnswersOptions<V>,
  ): AsyncGenerator<Answer<V>> {
    const end = await takeTurn(session, name)
    try {
      yield* inTurn(session, asked, options)
    } finally {
      end()
    }
  }

  async function* inTurn<V>(
    session: Session,
    asked: readonly Asked[],
    { sampling, version, never, stopped = () => false }: AnswersOptions<V>,
  ): AsyncGenerator<Answer<V>> {
    const each = new Map(asked.map(({ prompt }) => [prompt, promptOf(prompt)]))
    const prompts = asked.map(({ prompt }) => each.get(prompt)!)
    const working: (Row<V> | undefined)[] = Array.from({ length: rows }, () => undefined)
    /** Prompts that were read. */
    let begun = 0
    const vocab = model.vocabSize
    const { temperature } = sampling
    const plain = sampling.repetitionPenalty === 1 && (temperature === 0 || unfiltered(sampling, vocab))
    /** The tokens that each row has. */
    const seen = new Uint8Array(plain ? 0 : rows * vocab)
    const ends = new Set([processor.end, ...sampling.stopIds])
    const onDevice = session.engine === 'xla'
    const most = onDevice ? looped : steps
    const extending = `extend${onDevice ? 'Loop' : ''}${plain ? '' : 'Filtered'}`
    /** What each call is told alike. */
    const how = {
      scale: scalarValue(temperature === 0 ? 1 : 1 / temperature),
      greedy: bools(Uint8Array.of(temperature === 0 ? 1 : 0)),
      bias: biasOf(vocab, never),
      ...(plain ? {} : filterInputs(Array<Settled>(rows).fill(sampling), vocab, seen)),
      ends: bools(
        Uint8Array.from({ length: vocab }, (_, id) => (ends.has(id) ? 1 : 0)),
        vocab,
      ),
    }

    /** Reads the next prompts into free rows; an answer that has no room ends at once. */
    async function* taken(free: readonly number[]): AsyncGenerator<Answer<V>> {
      const found = group(prompts.slice(begun, begun + free.length), free.length)
      const now = version?.() as V
      await read(session, found, free)
      for (const [i, p] of found.taken.entries()) {
        const at = free[i]!
        const row: Row<V> = {
          ...{ index: begun++, version: now, ids: [], logProbs: [], promptLength: p.ids.length },
          most: Math.min(sampling.maxNewTokens, capacity - p.ids.length),
          before: p.ids.at(-1) ?? processor.pad,
        }
        if (!plain) {
          seen.fill(0, at * vocab, (at + 1) * vocab)
          for (const id of p.ids) seen[at * vocab + id] = 1
        }
        if (row.most > 0) working[at] = row
        else yield answerOf(row, false)
      }
    }

    /** The next tokens of every row: `[step, row]`, as many steps as `ran`. */
    const drawn = async (): Promise<Extended> => {
      const ints32 = (of: (row: Row<V> | undefined) => number) => ints(Int32Array.from(working, of), rows)
      const uniform = new Float32Array(most * rows)
      for (const [at, row] of working.entries())
        if (row !== undefined) {
          const wanted = Math.min(most, row.most - row.ids.length)
          for (let i = 0; i < wanted; i++)
            uniform[i * rows + at] = asked[row.index]!.uniforms(row.ids.length + i)
        }
      const { ids, log_probs, ran } = await call(session, extending, {
        ...how,
        input_ids: ints32((row) => row?.ids.at(-1) ?? row?.before ?? processor.pad),
        position: ints32((row) => (row === undefined ? 0 : row.promptLength + row.ids.length - 1)),
        left: ints32((row) => (row === undefined ? 0 : row.most - row.ids.length)),
        uniform: floats(uniform, most, rows),
      })
      return { ids: ids!.data, logProbs: log_probs!.data, ran: ran?.data[0] ?? steps }
    }

    /** Adds tokens to every row at work; what comes behind an answer's end is nobody's. */
    async function* extended(): AsyncGenerator<Answer<V>> {
      const { ids, logProbs, ran } = await drawn()
      for (const [at, row] of working.entries())
        for (let i = 0; i < ran && row !== undefined && working[at] === row; i++) {
          const id = ids[i * rows + at]!
          const logProb = logProbs[i * rows + at]!
          if (Number.isNaN(logProb)) throw new LogitsError(id, logProb, asked[row.index]!.prompt.id)
          row.ids.push(id)
          row.logProbs.push(logProb)
          if (!plain) seen[at * vocab + id] = 1
          const ended = ends.has(id)
          if (!ended && row.ids.length < row.most) continue
          working[at] = undefined
          yield answerOf(row, ended)
        }
    }

    while (!stopped()) {
      const free = working.flatMap((row, at) => (row === undefined ? [at] : []))
      const left = prompts.length - begun
      if (left === 0 && free.length === rows) return
      // few free rows wait until a call that reads prompts is filled by them
      yield* left > 0 && free.length >= Math.min(left, least) ? taken(free) : extended()
    }
  }

  return {
    config: { model: model.config, processor: processor.config, sizes },
    processor,
    sizes,
    functions: {
      [called('prefill')]: buckets(shapes, (shape) => fillCache(model, { ...graph, ...shape })),
      [called('extend')]: fixed(() => extend(model, graph, steps), { engines: ['onnx', 'tensorflow'] }),
      [called('extendFiltered')]: fixed(() => extend(model, graph, steps, { filtered: true }), {
        engines: ['onnx', 'tensorflow'],
      }),
      [called('extendLoop')]: fixed(() => extendLoop(model, graph, looped), { engines: ['xla'] }),
      [called('extendLoopFiltered')]: fixed(() => extendLoop(model, graph, looped, { filtered: true }), {
        engines: ['xla'],
      }),
    },
    check: (prompts) => {
      for (const p of prompts.map(promptOf)) {
        textOf([p], 1)
        // its own images alone: those of all rows would be made into numbers for each prompt
        const images = Math.min(sizes.images, imagesIn([p]))
        collateImages([p], { rows: 1, tokens, images }, processor)
      }
    },
    answers,
  }
}
