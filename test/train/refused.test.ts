/** What a recipe cannot be, written by somebody whose file is not type-checked: each is refused before the first step. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, from, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { conversation } from '../../src/data/conversation.ts'
import { processor } from '../../src/data/processor.ts'
import { indexed, listed, type Source } from '../../src/data/source.ts'
import {
  add,
  axis,
  cast,
  everyKey,
  fixed,
  input,
  parameter,
  state,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { exactAnswers } from '../../src/eval/exact-answer.ts'
import { heldOut } from '../../src/eval/held-out.ts'
import { generator } from '../../src/generation/generator.ts'
import { adamWith, muon, type Optimizer } from '../../src/optim/index.ts'
import { after, allOf, type Evaluation, unmeasured } from '../../src/train/evaluation.ts'
import type { Experiment } from '../../src/train/experiment.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { supervised } from '../../src/train/supervised.ts'
import type { SupervisedSettings } from '../../src/train/supervised-settings.ts'
import { orThrow } from '../../src/train/task.ts'
import { loadWeights } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { type Example, exampleAt, meanSquare, parts, regression } from '../support/regression.ts'
import { contextIn, thrown, tinyConversation, tinyModel, tinyProcessor, watched } from '../support/tiny.ts'

const [engine] = await hostEngines()
const test = suite('train: what is refused')
const folders: string[] = []
test.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

/** Values of no type that would compile. */
type Any = Record<string, unknown>
const objective = meanSquare(2)
const start = { name: 'r', seed: 0, model: regression, start: fromScratch, now: 'fresh' }
const settings: SupervisedSettings<'fresh', 'half', Example> = {
  ...{ name: 'one', from: 'fresh', to: 'half', train: [parts.body], steps: 2, learningRate: 0.1 },
  ...{ objective, source: watched(exampleAt) },
}
/** Two stages; what is given changes the second, so that the first would have trained. */
const two = (change: Any, evaluation: unknown = unmeasured, begun: Any = {}): Experiment =>
  experiment(
    pipe(
      begin({ ...start, ...begun }) as never,
      next(supervised(settings)),
      next(supervised({ ...settings, name: 'two', from: 'half', to: 'done', ...change } as never)) as never,
    ) as never,
    evaluation as Evaluation,
  )
/** The loss with one of its numbers as a whole one. */
const casting = (name: 'sum' | 'weight') => (at: { rows: number }) => {
  const terms = objective.terms(at)
  return { ...terms, [name]: cast(terms[name], 'int32') }
}
/** A stage of one's own: the first one, with some of it replaced. */
const own = (change: Any): Experiment =>
  experiment(
    pipe(begin(start) as never, next({ ...supervised(settings), ...change } as never)) as never,
    unmeasured,
  )
const collating = (collate: (made: ReturnType<typeof objective.collate>) => unknown): Any => ({
  objective: { ...objective, collate: (e: readonly Example[]) => collate(objective.collate(e)) },
})
const yielding = (item: (i: number) => unknown): Any => ({
  source: {
    config: 'odd',
    async *open() {
      for (let i = 0; ; i++) yield item(i)
    },
  },
})
const updating = (update: (p: ReadonlyMap<string, Tensor>) => unknown): Any => ({
  optimizer: { config: 'mine', update } as Optimizer,
})
const given = (key: string): Any => ({
  start: {
    config: 'given',
    fresh: everyKey,
    weights: TE.right(new Map([[key, tensorValue('float32', [3], [1, 2, 3])]])),
  },
})
const measuring = (change: Any): Evaluation => ({ ...unmeasured, ...change })
const asked = (questions: Any) =>
  exactAnswers({
    generator: generator(tinyModel, tinyProcessor, { rows: 2, prompt: 8, capacity: 40 }),
    questions: questions as never,
    samples: 2,
  })

/** A held-out measurement, without the functions that the objective has no metric for. */
const held = (source: Source<Example>): Evaluation => ({
  ...heldOut({ family: 'f', stage: 'two', objective, source, batches: 1 }),
  functions: () => ({}),
})

const mistakes: readonly (readonly [what: string, make: () => Experiment, says: RegExp])[] = [
  [
    'a setting that there is not',
    () => two({ learning_rate: 1 }),
    /stage 'two', learning_rate: there is no such setting; there are name, from/,
  ],
  [
    'a setting of AdamW that there is not',
    () => two({ optimizer: adamWith({ betas: [0.9, 0.95] } as never) }),
    /optimizer, betas: there is no such setting; there are beta1, beta2/,
  ],
  [
    'a setting of a group that there is not',
    () => two({ optimizer: adamWith({ groups: [{ match: '**', lr: 1 }] } as never) }),
    /groups\[0\]\.lr: there is no/,
  ],
  [
    'groups that are no list',
    () => two({ optimizer: adamWith({ groups: {} } as never) }),
    /optimizer, groups: it is no list/,
  ],
  [
    'a group that matches no key',
    () => two({ optimizer: adamWith({ groups: [{ match: 'body.**' }, { match: 'haed.**' }] }) }),
    /stage 'two', optimizer\.groups\[1\]: haed\.\*\* matches no parameter of the loss, such as body\.weight/,
  ],
  [
    'a group behind one that takes all its keys',
    () => two({ optimizer: muon({ groups: [{ match: '**' }, { match: 'head.*' }] }) }),
    /groups\[1\]: each key that head\.\* matches belongs to an earlier group/,
  ],
  [
    'a name that leads out of the folder',
    () => two({ name: 'a/../b' }),
    /stage, name: it is "a\/\.\.\/b", and a folder is called by it; leave "\/" out/,
  ],
  ['a name of dots', () => two({ name: '..' }), /leave "\.\." out/],
  ['a name with a line end', () => two({ name: 'a\nb' }), /leave "\\n" out/],
  ['a name that is too long', () => two({ name: 'é'.repeat(101) }), /it has 202 bytes; give at most 200/],
  [
    'names that differ in case',
    () => two({ name: 'ONE' }),
    /two of them are called 'ONE', up to upper and lower case/,
  ],
  ['an own stage’s name', () => own({ name: '../one' }), /stages\[0\]\.name: it is "\.\.\/one"/],
  [
    'stages out of order',
    () => two({ from: 'fresh' }),
    /stage 'two', from: it begins from weights 'fresh', and the recipe has arrived at 'half'/,
  ],
  ['no stage', () => experiment(begin(start), unmeasured), /recipe 'r', stages: there is none/],
  [
    'no recipe',
    () => experiment(undefined as never, unmeasured),
    /it is undefined; give what begin\(…\) and next\(…\) make/,
  ],
  [
    'what is no stage',
    () => experiment(next(settings as never)(begin(start)), unmeasured),
    /stages\[0\]: it is a record without program, preflight, run/,
  ],
  [
    'a promise of a stage',
    () => experiment(next(Promise.resolve() as never)(begin(start)), unmeasured),
    /stages\[0\]: it is a promise; await it first/,
  ],
  [
    'no model',
    () => two({}, unmeasured, { model: { name: 'm', config: {} } }),
    /recipe 'r', model: it is a record without graph/,
  ],
  [
    'an objective without its model',
    () => two({ objective: { ...objective, model: null } }),
    /stage 'two', objective\.model: it is null; give the model that it trains/,
  ],
  [
    'transforms that are no list',
    () => two({ transforms: {} }),
    /stage 'two', transforms: it is a record; give a list/,
  ],
  [
    'a list of evaluations in place of each',
    () => two({}, allOf([unmeasured] as never)),
    /allOf, evaluations\[0\]: it is a list of 1; give an evaluation/,
  ],
  [
    'an evaluation that was not called, after a stage',
    () => two({}, after(['one'], exactAnswers as never)),
    /after, evaluation: it is a function; is it to be called first\?/,
  ],
  [
    'one stage in place of a list',
    () => two({}, after('one' as never, unmeasured)),
    /after, stages: it is 'one'; give a list/,
  ],
  [
    'starting weights without a config',
    () => two({}, unmeasured, { start: { weights: fromScratch.weights } }),
    /start\.config: it is undefined/,
  ],
  [
    'fresh keys by name',
    () => two({}, unmeasured, { start: { ...fromScratch, fresh: 'all' } }),
    /start\.fresh: it is 'all'/,
  ],
  [
    'starting weights of another model, all fresh',
    () => two({}, unmeasured, given('module.body.bias')),
    /none of the 1 keys is one that a stage reads: there is module\.body\.bias, and stage 'one' reads body\.weight/,
  ],
  [
    'a task that gives no Either',
    () => two({}, unmeasured, { start: { config: 'x', weights: async () => new Map() } }),
    /start\.weights: its task gives a record; it gives an Either/,
  ],
  [
    'weights that are no Map',
    () => two({}, unmeasured, { start: { config: 'x', weights: TE.right({}) } }),
    /start\.weights: it gives a record; give a Map by key/,
  ],
  ['no source', () => two({ source: undefined }), /stage 'two', source: it is undefined/],
  [
    'a promise of a source',
    () => two({ source: Promise.resolve(settings.source) }),
    /source: it is a promise; await it first/,
  ],
  [
    'a source without a config',
    () => two({ source: { open: watched(exampleAt).open } }),
    /stage 'two', source\.config: it is undefined/,
  ],
  [
    'open as an async function',
    () => two({ source: { config: 'x', open: async () => watched(exampleAt).open() } }),
    /open gives no iterator: is it async/,
  ],
  [
    'examples without their places',
    () => two(yielding((i) => ({ example: exampleAt(i) }))),
    /an example without next/,
  ],
  ['plain examples', () => two(yielding(exampleAt)), /something without an example/],
  [
    'promises of examples',
    () => two(yielding((i) => ({ example: Promise.resolve(exampleAt(i)), next: i }))),
    /a promise as example/,
  ],
  [
    'places that are no data',
    () => two(yielding((i) => ({ example: exampleAt(i), next: new Map() }))),
    /stage 'two', source, next: it is a Map/,
  ],
  [
    'no micro-batch',
    () => two(collating(() => [])),
    /objective\.collate: it makes 0 micro-batches of 2 examples/,
  ],
  [
    'micro-batches too many',
    () => two(collating((m) => [...m, ...m])),
    /it makes 2 micro-batches of 2 examples; a step takes one, unless accumulate is above 1/,
  ],
  [
    'a promise of micro-batches',
    () => two(collating(async (m) => m)),
    /objective\.collate: it gives a promise; await it first/,
  ],
  [
    'inputs of another name',
    () => two(collating((m) => m.map((b) => ({ ...b, inputs: { ...b.inputs, z: b.inputs.x } })))),
    /stage 'two', objective\.collate: .*unknown input 'z'/,
  ],
  [
    'inputs of another size, also where gradients add up',
    () =>
      two({
        ...collating((m) =>
          m.map((b) => ({ ...b, inputs: { ...b.inputs, x: tensorValue('float32', [1, 4], [1, 2, 3, 4]) } })),
        ),
        accumulate: 2,
      }),
    /function 'accumulate' is not compiled for x \[1, 4\]/,
  ],
  [
    'an Observable as a source',
    () => two({ source: from([1]) }),
    /stage 'two', source: it is a stream; give a source of examples, .*open\(place\)/,
  ],
  [
    'a loss that is a promise',
    () => two({ objective: { ...objective, terms: async () => objective.terms({ rows: 2 }) } }),
    /stage 'two', objective\.terms: it gives a promise/,
  ],
  [
    'a loss of whole numbers, at the line that made it',
    () => two({ objective: { ...objective, terms: casting('sum') } }),
    /stage 'two': objective\.terms gives sum as int32 with .*cast it to float32/,
  ],
  [
    'what a loss is divided by as a whole number',
    () => two({ objective: { ...objective, terms: casting('weight') } }),
    /objective\.terms gives weight as int32/,
  ],
  [
    'an auxiliary loss with axes',
    () =>
      two({
        objective: {
          ...objective,
          terms: (at: { rows: number }) => ({
            ...objective.terms(at),
            auxiliary: { own: input('x', [axis('row', 2)]) },
          }),
        },
      }),
    /objective\.terms gives auxiliary\.own as float32 with .*row/,
  ],
  [
    'a loss without a unit',
    () => two({ objective: { ...objective, unit: undefined } }),
    /objective\.unit: it is undefined/,
  ],
  [
    'a weight by a name of what a stage keeps beside weights, which would be saved with no checkpoint',
    () =>
      two({
        objective: {
          ...objective,
          terms: (at: { rows: number }) => {
            const { sum, weight } = objective.terms(at)
            return { sum: add(sum, parameter('ema.offset', [], zeros)), weight }
          },
        },
      }),
    /stage 'two', objective: its loss has the parameter 'ema\.offset'.*put its layer under another name/,
  ],
  ['an update that is none', () => two(updating(() => undefined)), /optimizer: its update gives undefined/],
  [
    'an update that leaves a parameter out',
    () => two(updating(() => ({ next: new Map() }))),
    /its update leaves out body\./,
  ],
  [
    'an update whose states look like weights',
    () =>
      two(
        updating((p) => ({
          next: new Map<string, Tensor>([...p, ['speed', add(state('speed', [], zeros), 1)]]),
        })),
      ),
    /it keeps the state 'speed'; let the keys of its states begin with 'optimizer\.'/,
  ],
  ['no evaluation', () => two({}, null), /evaluation: it is null; give an evaluation/],
  ['a list of evaluations', () => two({}, [unmeasured]), /evaluation: it is a list of 1/],
  [
    'an evaluation without families',
    () => two({}, measuring({ families: undefined })),
    /evaluation\.families: it is undefined/,
  ],
  [
    'an evaluation that trains',
    () =>
      two({}, measuring({ functions: () => ({ step: fixed(() => ({ outputs: { y: input('x', []) } })) }) })),
    /stage 'one', evaluation: it has a function 'step', which is what the stage trains with/,
  ],
  [
    'nothing held out',
    () => two({}, held(listed<Example>('none', []))),
    /heldOut 'f', source: it has no example/,
  ],
  [
    'held-out examples that cannot be read, among others',
    () =>
      two(
        {},
        allOf(
          unmeasured,
          held(
            indexed<Example>('bad', () => {
              throw new Error('page 3 is missing')
            }),
          ),
        ),
      ),
    /page 3 is missing/,
  ],
  [
    'no question',
    () => two({}, asked({ mine: listed('none', []) })),
    /exactAnswers, questions\.mine: it has no question/,
  ],
  [
    'a question that is too long',
    () =>
      two(
        {},
        {
          ...asked({
            mine: listed('q', [{ conversation: tinyConversation(1), question: 'q', expected: 'red' }]),
          }),
          functions: () => ({}),
        },
      ),
    /sample tiny\/1 has \d+ tokens and a row holds 8/,
  ],
  [
    'questions without a source',
    () => two({}, asked({ mine: undefined })),
    /exactAnswers, questions\.mine: it is undefined/,
  ],
  [
    'an own stage without a program',
    () => own({ program: () => undefined }),
    /stage 'one', program: it gives no program/,
  ],
  [
    'an own stage that trains what there is not',
    () => own({ program: (f: never) => ({ ...supervised(settings).program(f), trained: ['x'] }) }),
    /it says to train 'x', which is no state of its program/,
  ],
  [
    'an own stage that is an async function',
    () => own({ run: async () => ({ loss: 1, samples: 1, seconds: 1 }) }),
    /stage 'one', run: it gives a promise.*'async \*run/,
  ],
  [
    'an own stage that comes to nothing',
    () => own({ async *run() {} }),
    /stage 'one', run: it ended with undefined without loss/,
  ],
  [
    'sizes that are none',
    () => two({ objective: nextToken(tinyModel, tinyProcessor, null as never) }),
    /nextToken, settings: it is null/,
  ],
  [
    'a batch that no array holds',
    () => two({ objective: nextToken(tinyModel, tinyProcessor, { rows: 1e9, tokens: 96 }) }),
    /nextToken, rows: 1000000000 rows of 96 tokens are more than the 2147483647 tokens/,
  ],
  [
    'room for images beside a processor of text alone',
    () => {
      const { image: _, ...text } = tinyProcessor
      return two({ objective: packedNextToken(tinyModel, text, { rows: 1, tokens: 40, images: 2 }) as never })
    },
    /packedNextToken, images: it is 2, and the processor lays out text alone; give 0/,
  ],
  [
    'a size that there is not',
    () =>
      two({ objective: nextToken(tinyModel, tinyProcessor, { rows: 1, tokens: 40, length: 3 } as never) }),
    /nextToken, length: there is no such setting; there are rows, tokens, images/,
  ],
  [
    'a processor that was not called',
    () => two({ objective: nextToken(tinyModel, (() => tinyProcessor) as never, { rows: 1, tokens: 40 }) }),
    /the processor for model 'tiny' is none; give one such as nanoProcessor\(\), called/,
  ],
  [
    'a configuration for a model',
    () => two({ objective: nextToken(tinyModel.config as never, tinyProcessor, { rows: 1, tokens: 40 }) }),
    /the model is none that reads tokens/,
  ],
]

test('texts and tokenizers that are none', async () => {
  const said = async (make: () => unknown): Promise<string> => (await thrown(make)).message
  assert.match(
    await said(() => conversation(tinyProcessor, { id: 'c', request: 'r' } as never)),
    /conversation c: answer is undefined; give a text/,
  )
  assert.match(
    await said(() => processor((() => tinyProcessor.tokenizer) as never)),
    /processor, tokenizer: it is none/,
  )
  const objective = nextToken(tinyModel, tinyProcessor, { rows: 1, tokens: 40 })
  assert.match(
    await said(() => objective.collate([{ id: 'h', ids: [1, 2] } as never])),
    /sample h is no conversation: it needs ids, lossMask and images/,
  )
})

const run = async (e: Experiment) => {
  folders.push(await mkdtemp(join(tmpdir(), 'sailwright-refused-')))
  return firstValueFrom(e.run(contextIn(folders.at(-1)!, engine!)).pipe(toArray()))
}

for (const [what, make, says] of mistakes)
  test(what, async () => {
    let steps = 0
    const error = await thrown(() => {
      const made = make()
      const context = contextIn('/nowhere', engine!)
      return new Promise((resolve, reject) =>
        made.run(context).subscribe({
          next: (e) => {
            if (e.type === 'step') steps++
          },
          error: reject,
          complete: () => resolve(undefined),
        }),
      )
    })
    assert.match(error.message, says)
    assert.is(steps, 0)
  })

test('a loss that is no number at the first step points at weights and data', async () => {
  const odd = (i: number): Example => ({ ...exampleAt(i), x: [Number.NaN, 0, 0, 0] })
  const error = await thrown(() => run(two({ source: watched(odd) })))
  assert.match(
    error.message,
    /stage 'two': at step 1 of 2 the loss is NaN.*look for what is no finite number/,
  )
})

test('an evaluation that is an async function says how it is written', async () => {
  const error = await thrown(() => run(two({}, measuring({ run: async () => undefined }))))
  assert.match(error.message, /recipe 'r', evaluation, run: it gives a promise.*'async \*run/)
})

test('groups of the whole model are good for a stage that trains a part; a rate of 0 moves nothing', async () => {
  const groups = [{ match: 'head.**' }, { match: '**' }]
  await run(two({ optimizer: adamWith({ groups }), train: [parts.head], learningRate: 0 }))
  const weightsOf = (stage: string) =>
    orThrow(loadWeights(join(folders.at(-1)!, 'checkpoints', stage, 'model.safetensors')))
  const [one, after] = [await weightsOf('one'), await weightsOf('two')]
  for (const [key, v] of one) assert.equal(after.get(key)!.data, v.data, key)
})

test.run()
