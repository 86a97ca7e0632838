/**
 * A vision-language model of a few thousand weights and examples for it: what tests of training and measuring run on.
 * Images are 16 × 16 pixels in 8 × 8 patches, so that they take the 16 visual tokens of the nano chat layout.
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Conversation } from '../../src/data/conversation.ts'
import { conversation } from '../../src/data/conversation.ts'
import { type Processor, processor } from '../../src/data/processor.ts'
import type { Placed, Source } from '../../src/data/source.ts'
import type { Keys, Program } from '../../src/dsl/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Engine, Session, TensorValue } from '../../src/engine/session.ts'
import { scalarValue } from '../../src/engine/values.ts'
import { type SailVl2Config, sailVl2Model, sailVl2Parts } from '../../src/models/sail-vl2.ts'
import { random } from '../../src/random/index.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import type { RunContext } from '../../src/train/experiment.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { Stage } from '../../src/train/stage.ts'
import { supervised } from '../../src/train/supervised.ts'
import type { SupervisedSettings } from '../../src/train/supervised-settings.ts'

/** The model. No two weight matrices of different parts have the same sizes under the same names. */
export const tiny: SailVl2Config = {
  vision: {
    imageSize: 16,
    patchSize: 2,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 1,
    heads: 2,
    epsilon: 1e-5,
  },
  language: {
    vocabSize: nanoTokenizer().size,
    hiddenSize: 16,
    intermediateSize: 24,
    layers: 1,
    heads: 2,
    kvHeads: 1,
    headDim: 6,
    ropeTheta: 100,
    epsilon: 1e-6,
    tied: true,
  },
}

/** The same for the rendered families' images, 112 × 112. */
export const tinyRendered: SailVl2Config = {
  ...tiny,
  vision: { ...tiny.vision, imageSize: 112, patchSize: 14 },
}

/** The models as values. */
export const tinyModel = sailVl2Model('tiny', tiny)
export const tinyRenderedModel = sailVl2Model('tiny-rendered', tinyRendered)

/** The nano tokenizer and chat layout around another image size. */
export const tinyProcessor: Processor = processor(nanoTokenizer(), { image: tinyModel.image })
export const tinyRenderedProcessor: Processor = processor(nanoTokenizer(), { image: tinyRenderedModel.image })

const words = ['red', 'green', 'blue', 'no']

/** A conversation about an image of one colour: what it is depends on the image alone. Prompts differ in length. */
export const tinyConversation = (i: number, side = tiny.vision.imageSize): Conversation => {
  const r = random('tiny', i)
  const colour = r.int(0, 3)
  const data = Uint8Array.from({ length: side * side * 3 }, (_, p) =>
    p % 3 === colour ? r.int(200, 255) : r.int(0, 40),
  )
  return conversation(tinyProcessor, {
    id: `tiny/${i}`,
    request: '?'.repeat(1 + (i % 3)),
    answer: words[colour]!,
    images: [{ width: side, height: side, channels: 3, data }],
  })
}

/** Tokens that each of them fits into. */
export const tinyLength = 32

/** A source that keeps account of itself. */
export interface Watched<E> extends Source<E> {
  /** Iterations begun, and those among them that were ended. */
  opened: number
  closed: number
  /** Indices given, in order. */
  readonly given: number[]
}

/** Examples by index, endless or so many. */
export const watched = <E>(at: (i: number) => E, count = Infinity): Watched<E> => {
  const source: Watched<E> = {
    config: { kind: 'watched' },
    opened: 0,
    closed: 0,
    given: [],
    async *open(place): AsyncGenerator<Placed<E>> {
      source.opened++
      try {
        for (let i = (place as number | undefined) ?? 0; i < count; i++) {
          source.given.push(i)
          yield { example: at(i), next: i + 1 }
        }
      } finally {
        source.closed++
      }
    },
  }
  return source
}

/** What a tiny stage may be told: a stage's settings, and the sizes of its objective. */
export interface TinySettings<From extends string, To extends string>
  extends Partial<Omit<SupervisedSettings<From, To, Conversation>, 'name' | 'from' | 'to'>> {
  readonly name?: string
  readonly from?: From
  readonly to?: To
  readonly train?: readonly Keys[]
  /** Conversations a micro-batch; default 4. */
  readonly rows?: number
  /** Tokens a row; default {@link tinyLength}. */
  readonly tokens?: number
}

/** A stage on those conversations: four steps of four, but for what is said otherwise. */
export const tinyStage = <const From extends string = 'fresh', const To extends string = 'tuned'>({
  rows = 4,
  tokens = tinyLength,
  ...some
}: TinySettings<From, To> = {}): Stage<From, To> =>
  supervised<From, To, Conversation>({
    ...{ name: 'tiny', from: 'fresh' as From, to: 'tuned' as To, steps: 4, learningRate: 1e-2 },
    train: Object.values(sailVl2Parts),
    source: watched(tinyConversation),
    objective: nextToken(tinyModel, tinyProcessor, { rows, tokens }),
    ...some,
  })

/** The program of a stage, and nothing that an evaluation calls. */
export const programOf = (stage: Stage): Program => stage.program({}).program

/** What an experiment runs in: paths are under `folder`, images are not kept. */
export const contextIn = (folder: string, engine: Engine, earlier: readonly RunEvent[] = []): RunContext => ({
  engine,
  saveImage: (name) => TE.right(`images/${name}.png`),
  pathOf: (...parts) => [folder, ...parts].join('/'),
  earlier,
})

/** An engine that counts the sessions that are open. */
export const counting = (engine: Engine): Engine & { open: number } => {
  const counted: Engine & { open: number } = {
    ...engine,
    open: 0,
    load: (program, options) =>
      TE.map((session: Session): Session => {
        counted.open++
        return {
          ...session,
          close: () => async () => {
            const closed = await session.close()()
            counted.open--
            return closed
          },
        }
      })(engine.load(program, options)),
  }
  return counted
}

/** What a scripted session answers: outputs, or an error of the engine. */
export type Answer = Readonly<Record<string, TensorValue>> | EngineError

/** A session that runs nothing: each call is answered by a function of its name, its number (from 0) and its inputs. */
export const scripted = (
  program: Program,
  answer: (name: string, n: number, inputs: Readonly<Record<string, TensorValue>>) => Answer,
): Session => {
  let calls = 0
  const none = TE.left<EngineError>({ _tag: 'Failed', message: 'a scripted session has no state' })
  return {
    engine: 'onnx',
    program,
    call: (name, inputs) => async () => {
      const a = answer(name, calls++, inputs)
      return '_tag' in a
        ? { _tag: 'Left', left: a as EngineError }
        : { _tag: 'Right', right: a as Readonly<Record<string, TensorValue>> }
    },
    read: () => none,
    write: () => none,
    snapshot: () => none,
    restore: () => none,
    close: () => TE.right(undefined),
  }
}

/** What a training step answers. */
export const stepAnswer = (loss: number, gradientNorm = 1): Answer => ({
  loss: scalarValue(loss),
  gradientNorm: scalarValue(gradientNorm),
  weight: scalarValue(8),
})

/** All items of an iteration, and its result. */
export const drained = async <A, R>(items: AsyncGenerator<A, R>): Promise<readonly [readonly A[], R]> => {
  const all: A[] = []
  for (;;) {
    const { value, done } = await items.next()
    if (done) return [all, value as R]
    all.push(value as A)
  }
}

/** The message of what is thrown; fails where nothing is. */
export const thrown = async (act: () => unknown): Promise<Error> => {
  try {
    await act()
  } catch (e) {
    return e as Error
  }
  throw new Error('nothing was thrown')
}

/** The message of what is thrown at once. */
export const messageThrown = (act: () => unknown): string => {
  try {
    act()
  } catch (e) {
    return (e as Error).message
  }
  return 'nothing was thrown'
}
