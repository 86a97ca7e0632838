/** A model that learns from another: the divergence, and a teacher that never learns, is read anew and is in no checkpoint. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { packed } from '../../src/data/index.ts'
import {
  add,
  at,
  axis,
  everyKey,
  type FunctionSpec,
  gradient,
  input,
  keys,
  linear,
  parametersOf,
  program,
  rmsNorm,
  type Scalar,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import type { Engine, TensorValue } from '../../src/engine/index.ts'
import { tensorValue } from '../../src/engine/index.ts'
import { heldOut } from '../../src/eval/index.ts'
import { openCheckpoint, readSafetensors } from '../../src/formats/index.ts'
import { type SailVl2Config, sailVl2Model } from '../../src/models/index.ts'
import { random } from '../../src/random/index.ts'
import type { EventOf, RunEvent } from '../../src/run/index.ts'
import {
  begin,
  type DistillationSettings,
  distillation,
  experiment,
  exportSavedModel,
  type Frozen,
  fromScratch,
  frozen,
  type Learnt,
  learnerProgram,
  next,
  nextToken,
  type Objective,
  orThrow,
  packedNextToken,
  ratioOf,
  type Start,
  type StoredWeights,
  supervised,
  type Teacher,
  unmeasured,
  update,
  withLora,
} from '../../src/train/index.ts'
import { openFrozen } from '../../src/train/opened-frozen.ts'
import { inMemory } from '../../src/train/weights.ts'
import { presentEngines } from '../support/engines.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'
import { onEngine } from '../support/on-engine.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  messageThrown,
  thrown,
  tiny,
  tinyConversation,
  tinyModel,
  tinyProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'

const present = await presentEngines()
/** What compiles quickly. */
const engines = present.filter((e) => e.name !== 'xla')
const test = suite(`train: distillation on ${present.map((e) => e.name).join(' and ')}`)
const { folder, remove } = temporaryFolders('sailwright-distillation-')
test.after(remove)

// --- the divergence -----------------------------------------------------------------------------------------

const c = loadCase('distillation')
const [rows, places, words] = c.shape('student') as [number, number, number]
const logits = (name: string) =>
  input(name, [axis('batch', rows), axis('token', places), axis('vocab', words)])
const someTeacher: Teacher = { model: tinyModel, config: 'some', weights: TE.right(new Map()) }
const termsOf = (settings: Omit<DistillationSettings, 'teacher'>) =>
  distillation({ teacher: someTeacher, ...settings }).terms(
    logits('student'),
    logits('teacher'),
    input('labels', [axis('batch', rows), axis('token', places)], 'int32'),
  )
const fed = { student: c.floats('student'), teacher: c.floats('teacher'), labels: c.ints('labels') }

for (const engine of engines)
  for (const [i, { beta, temperature }] of (
    c.case.settings.cases as readonly { beta: number; temperature: number }[]
  ).entries())
    test(`${engine.name}: β ${beta}, temperature ${temperature}, as TRL computes it, and its gradient`, async () => {
      const loss = ratioOf(termsOf({ beta, temperature }))
      const student = logits('student')
      const root = ratioOf(
        distillation({ teacher: someTeacher, beta, temperature }).terms(
          student,
          logits('teacher'),
          input('labels', [axis('batch', rows), axis('token', places)], 'int32'),
        ),
      )
      const [value, slope] = await onEngine(engine, [loss, gradient(root, [student])[0]!], fed)
      const square = temperature ** 2
      const wanted = (name: string): Float32Array => c.floats(name).map((x) => x * square)
      assert.ok(maxRelativeError(Float32Array.from(value!), wanted(`loss:${i}`)) < 1e-4)
      assert.ok(maxRelativeError(Float32Array.from(slope!), wanted(`grad:${i}`)) < 1e-4)
    })

test('labels have the share of the loss that is said, and metrics are of both', async () => {
  const engine = engines[0]!
  const of = (labels: number): Scalar => ratioOf(termsOf({ temperature: 2, labels }))
  const some = termsOf({ temperature: 2, labels: 0.25 })
  const { agreement, crossEntropy } = some.metrics!()
  const measured = [agreement!, crossEntropy!].map(ratioOf)
  const [soft, hard, mixed, agree, entropy] = (
    await onEngine(engine, [of(0), of(1), ratioOf(some), ...measured], fed)
  ).map((x) => x[0]!)
  assert.ok(Math.abs(mixed! - (0.75 * soft! + 0.25 * hard!)) < 1e-5 * mixed!)
  assert.ok(Math.abs(entropy! - hard!) < 1e-6 * hard!)
  const likeliest = (all: Float32Array, place: number): number => {
    const own = all.subarray(place * words, (place + 1) * words)
    return own.indexOf(Math.max(...own))
  }
  const counted = Array.from(fed.labels.keys()).filter((p) => fed.labels[p]! >= 0)
  const alike = counted.filter((p) => likeliest(fed.student, p) === likeliest(fed.teacher, p))
  assert.ok(alike.length > 0 && alike.length < counted.length, `${alike.length} of ${counted.length}`)
  assert.ok(Math.abs(agree! - alike.length / counted.length) < 1e-6)
})

// --- a teacher in a stage -----------------------------------------------------------------------------------

/** A larger model than the one that learns. */
const large: SailVl2Config = {
  ...tiny,
  language: { ...tiny.language, hiddenSize: 24, intermediateSize: 32, layers: 2 },
}
const teacherModel = sailVl2Model('large', large)

/** Weights of a model, drawn by a seed. */
const drawn = (model: typeof tinyModel, seed: string): ReadonlyMap<string, TensorValue> =>
  new Map(
    Array.from(parametersOf(model.graph()), ([key, t]) => {
      const shape = t.axes.map((a) => a.size)
      const r = random(seed, key)
      const one = /norm.*weight$/.test(key) ? 1 : 0
      const data = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => one + r.normal() * 0.3)
      return [key, tensorValue('float32', shape, data)]
    }),
  )
const teacherWeights = drawn(teacherModel, 'teacher')
const teacher: Teacher = { model: teacherModel, config: 'large', weights: inMemory(teacherWeights) }
const sizes = { rows: 4, tokens: 32 }
const distilled = (settings: Partial<DistillationSettings> = {}, learnt: Learnt = 'auto') =>
  nextToken(
    tinyModel,
    tinyProcessor,
    { ...sizes, learnt },
    { distill: distillation({ teacher, ...settings }) },
  )

/** The program of one update of all of the tiny model, with its own and its teacher's weights. */
const loaded = async <E>(engine: Engine, objective: Objective<E>, accumulate = 1) => {
  const { program } = learnerProgram({
    ...{ name: 'once', objective, train: [everyKey], accumulate },
    ...{ optimizer: { config: {}, update: stays }, maxGradientNorm: 1e9 },
  })
  const own = drawn(tinyModel, 'student')
  const { prefix } = objective.frozen![0]!
  const all = new Map([...own, ...[...teacherWeights].map(([key, v]) => [`${prefix}${key}`, v] as const)])
  const values = new Map([...all].filter(([key]) => program.states.has(key)))
  return orThrow(engine.load(program, { values }))
}
/** An optimizer that leaves in a state what it was given, for a test to read. */
const stays: Parameters<typeof learnerProgram>[0]['optimizer']['update'] = (parameters, gradients) => ({
  next: new Map([...parameters].map(([key]) => [key, gradients.get(key)!])),
})
const examples = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => tinyConversation(from + i))

/** What an update leaves, read as numbers by key: the gradients. */
const gradients = async <E>(engine: Engine, objective: Objective<E>, given: readonly E[], accumulate = 1) => {
  const session = await loaded(engine, objective, accumulate)
  const { loss } = await update(session, objective.collate(given), 0)
  const learnt = [...session.program.states.keys()].filter((key) =>
    teacherOrSum.every((p) => !key.startsWith(p)),
  )
  const read = await orThrow(session.read(learnt))
  const kept = await orThrow(
    session.read([...session.program.states.keys()].filter((k) => k.startsWith('frozen:'))),
  )
  await orThrow(session.close())
  return { loss, read, kept }
}
const teacherOrSum = ['frozen:', 'gradient.', 'accumulated.']
type Taken = Awaited<ReturnType<typeof gradients>>
const near = (a: Taken, b: Taken, within: number): void => {
  assert.ok(Math.abs(a.loss - b.loss) <= within * Math.abs(b.loss), `${a.loss} and ${b.loss}`)
  assert.equal([...a.read.keys()].sort(), [...b.read.keys()].sort())
  for (const [key, v] of b.read) {
    const error = maxRelativeError(a.read.get(key)!.data as Float32Array, v.data as Float32Array)
    assert.ok(error <= within, `${key}: ${error}`)
  }
}

test('engines agree on loss and gradients; only the student has any, and the teacher stays to the bit', async () => {
  const all = []
  for (const engine of present) all.push(await gradients(engine, distilled({ beta: 0.5 }), examples(0, 4)))
  const [first, ...others] = all
  for (const other of others) near(other, first!, 1e-4)
  assert.ok(first!.loss > 0.01)
  assert.equal([...first!.read.keys()].sort(), [...parametersOf(tinyModel.graph()).keys()].sort())
  for (const { kept } of all)
    for (const [key, v] of kept)
      assert.equal(v.data, teacherWeights.get(key.slice(key.indexOf('.') + 1))!.data, key)
})

test('a model that learns from itself has nothing to learn', async () => {
  const self: Teacher = { model: tinyModel, config: 'self', weights: TE.right(new Map()) }
  const objective = distilled({ teacher: self, beta: 0.3 })
  const { program } = learnerProgram({
    ...{ name: 'self', objective, train: [everyKey], accumulate: 1 },
    ...{ optimizer: { config: {}, update: stays }, maxGradientNorm: 1e9 },
  })
  const own = drawn(tinyModel, 'student')
  const values = new Map([
    ...own,
    ...[...own].map(([k, v]) => [`${objective.frozen![0]!.prefix}${k}`, v] as const),
  ])
  const session = await orThrow(engines[0]!.load(program, { values }))
  const { loss, gradientNorm } = await update(session, objective.collate(examples(0, 4)), 0)
  await orThrow(session.close())
  assert.ok(Math.abs(loss) < 1e-6 && gradientNorm < 1e-5, `${loss} ${gradientNorm}`)
})

test('fewer places, micro-batches and packs give the same loss and gradients', async () => {
  const engine = engines[0]!
  const whole = await gradients(engine, distilled({ labels: 0.2 }, 'all'), examples(0, 4))
  near(await gradients(engine, distilled({ labels: 0.2 }, 8), examples(0, 4)), whole, 1e-4)
  // a teacher that takes no notice of which places are wanted
  const { decode } = teacherModel
  const model: typeof teacherModel = {
    ...teacherModel,
    decode: (embedded, { wanted: _, ...context }) => decode(embedded, context),
  }
  const heedless = distilled({ teacher: { ...teacher, model }, labels: 0.2 }, 8)
  near(await gradients(engine, heedless, examples(0, 4)), whole, 1e-4)
  const halves = nextToken(
    tinyModel,
    tinyProcessor,
    { ...sizes, rows: 2 },
    { distill: distillation({ teacher, labels: 0.2 }) },
  )
  near(await gradients(engine, halves, examples(0, 4), 2), whole, 1e-4)
  const shared = { rows: 2, tokens: 64, images: 4 }
  const packs = packedNextToken(tinyModel, tinyProcessor, shared, {
    distill: distillation({ teacher, labels: 0.2 }),
  })
  const source = packed(watched(tinyConversation, 4), { ...shared, buffer: 4 })
  for await (const { example } of source.open(undefined)) {
    assert.is(example.rows.flat().length, 4)
    near(await gradients(engine, packs, [example]), whole, 1e-4)
    break
  }
})

const stageOf = (given: Teacher = teacher, steps = 6) =>
  tinyStage({
    ...{ name: 'taught', to: 'taught', steps },
    objective: distilled({ teacher: given }),
  } as never)
const begun: Start = { config: 'drawn', weights: TE.right(drawn(tinyModel, 'student')) }
const recipeOf = (given?: Teacher, steps?: number) =>
  pipe(
    begin({ name: 'taught', seed: 3, model: tinyModel, start: begun, now: 'fresh' }),
    next(stageOf(given, steps)),
  )
const running = (
  engine: Engine,
  to: string,
  given?: Teacher,
  earlier: readonly RunEvent[] = [],
  evaluation = unmeasured,
) => experiment(recipeOf(given), evaluation, { checkpointEvery: 2 }).run(contextIn(to, engine, earlier))
const isStep = (n: number) => (e: RunEvent) => e.type === 'step' && e.step === n

for (const engine of engines)
  test(`${engine.name}: a stage that goes on reads its teacher again, and no checkpoint holds it`, async () => {
    const [whole, cut] = [await folder(), await folder()]
    const events = await firstValueFrom(running(engine, whole).pipe(toArray()))
    const losses = events.filter((e): e is EventOf<'step'> => e.type === 'step').map((e) => e.loss)
    const [first, last] = [losses[0], losses.at(-1)]
    assert.ok(last! < first!)
    const { loss } = await gradients(engine, distilled(), examples(0, 4))
    assert.ok(Math.abs(first! - loss) < 1e-4 * loss, `${first} and ${loss}`)
    const weights = 'checkpoints/taught/model.safetensors'
    const before = await firstValueFrom(
      running(engine, cut).pipe(
        takeWhile((e) => !isStep(5)(e), true),
        toArray(),
      ),
    )
    const middle = join(cut, 'checkpoints/taught/training.safetensors')
    const inMiddle = await orThrow(readSafetensors(middle))
    assert.not(inMiddle.keys.some((key) => key.startsWith('frozen:')))
    assert.ok(inMiddle.keys.some((key) => key.startsWith('optimizer.')))
    const rest = await firstValueFrom(running(engine, cut, teacher, before).pipe(toArray()))
    assert.is(rest.filter((e) => e.type === 'step').length, 2)
    assert.equal(readFileSync(join(cut, weights)), readFileSync(join(whole, weights)))
    const held = await orThrow(openCheckpoint(join(whole, weights)))
    assert.equal([...held.keys].sort(), [...parametersOf(tinyModel.graph()).keys()].sort())
  })

test('a teacher whose weights have changed since is refused', async () => {
  const at = await folder()
  const before = await firstValueFrom(
    running(engines[0]!, at).pipe(
      takeWhile((e) => !isStep(3)(e), true),
      toArray(),
    ),
  )
  const other = { ...teacher, weights: inMemory(drawn(teacherModel, 'another')) }
  assert.match(
    (await thrown(() => firstValueFrom(running(engines[0]!, at, other, before).pipe(toArray())))).message,
    /^stage 'taught', objective\.frozen: the weights that it reads are no longer those that it began with \('teacher'\)/,
  )
})

test('a teacher that lacks a weight, or has one of another shape, is refused before the first step', async () => {
  const [key] = [...teacherWeights.keys()].filter((k) => k.endsWith('up_proj.weight'))
  const without = new Map([...teacherWeights].filter(([k]) => k !== key))
  const odd = new Map([...teacherWeights, [key!, tensorValue('float32', [1], [0])] as const])
  const tried = async (weights: ReadonlyMap<string, TensorValue>): Promise<string> => {
    const at = await folder()
    const given = { ...teacher, weights: TE.right(weights) }
    return (await thrown(() => firstValueFrom(running(engines[0]!, at, given).pipe(toArray())))).message
  }
  assert.match(
    await tried(without),
    /^stage 'taught': the weights of 'teacher' lack 1 of \d+ keys: language_model/,
  )
  assert.match(await tried(odd), /^stage 'taught': the weights of 'teacher': the weight .* has shape \[1\]/)
})

test('what would be measured without its teacher is refused, with what to do', async () => {
  const plain = tinyStage({ name: 'plain', to: 'plain', steps: 2 })
  const recipe = pipe(
    begin({ name: 'two', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }),
    next(plain),
  )
  const family = heldOut({
    family: 'agreement',
    objective: distilled(),
    source: watched(tinyConversation),
    batches: 1,
    metric: 'agreement',
  })
  const at = await folder()
  const { message } = await thrown(() =>
    firstValueFrom(experiment(recipe, family).run(contextIn(at, engines[0]!)).pipe(toArray())),
  )
  assert.match(message, /^stage 'plain', objective\.frozen: its program reads 'frozen:teacher-.*stage: '…'/)
  const measured = await firstValueFrom(
    running(engines[0]!, await folder(), teacher, [], family).pipe(toArray()),
  )
  assert.is(measured.filter((e) => e.type === 'evaluated').length, 1)
})

test('adapters are the student’s alone', () => {
  const on = keys('all', '**.down_proj.weight')
  const stage = supervised({
    ...{ name: 'lora', from: 'a', to: 'b', steps: 1, learningRate: 1e-3, source: watched(tinyConversation) },
    ...{ objective: distilled(), train: [everyKey], transforms: [withLora({ rank: 2, alpha: 4, on })] },
  })
  const { program, trained } = stage.program({})
  const adapters = [...program.states.keys()].filter(
    (key) => key.includes('lora_A') && !key.startsWith('optimizer.'),
  )
  assert.is(adapters.length, 1)
  assert.not(trained.some((key) => key.startsWith('frozen:')))
})

test('a SavedModel of a stage has its teacher inside', async () => {
  const at = await folder()
  const model = { model: tinyModel, weights: inMemory(drawn(tinyModel, 'student')) }
  await orThrow(exportSavedModel(at, model, stageOf()))
  const file = readFileSync(join(at, 'saved_model.pb'))
  const bytes = ({ data }: TensorValue) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  for (const [key, value] of teacherWeights) assert.ok(file.includes(bytes(value)), key)
})

// --- frozen weights of one's own ----------------------------------------------------------------------------

const [Batch, Embed] = [axis('batch', 2), axis('embed', 3)]
const layer = at('up')(linear(Embed, Embed))

test('what learns below a frozen graph learns through it', () => {
  const f = frozen('features', { config: 'a', weights: TE.right(new Map()) })
  const made = layer.apply(input('x', [Batch, Embed]))
  // keys of both are the same
  const features = layer.apply(made)
  const own = ['up.weight', 'up.bias']
  const kept = own.map((key) => `${f.prefix}${key}`)
  const of = (roots: readonly Tensor[]) => [...parametersOf(...roots).keys()].sort()
  assert.equal(of(f.within([features], [made])), [...kept, ...own].sort())
  assert.equal(of(f.within([features])), kept.sort())
  const [loss] = f.within([total(features)], [made])
  const weight = parametersOf(made).get('up.weight')!
  const [slope] = gradient(loss as Scalar, [weight])
  assert.ok(parametersOf(slope!).has(`${f.prefix}up.weight`), 'its slope is that of the frozen graph')
})

/** A program that reads some weights, and its stage. */
const reading = (all: readonly Frozen[], read: readonly (readonly [Frozen, Tensor])[]) => {
  const roots = read.map(([f, t]) => f.within([t])[0]!)
  const outputs = Object.fromEntries(roots.map((t, i) => [`${i}`, t]))
  const one: FunctionSpec = { build: [() => ({ outputs })] }
  return [{ ...stageOf(), frozen: all }, program({ name: 'reads', functions: { one } })] as const
}

test('two frozen weights of one name and config are refused, but where they are the same', async () => {
  const x = input('x', [Batch, Embed])
  const weightsOf = (n: number) =>
    inMemory(
      new Map([
        ['up.weight', tensorValue('float32', [3, 3], new Array(9).fill(n))],
        ['up.bias', tensorValue('float32', [3], new Array(3).fill(n))],
      ]),
    )
  const [first, second] = [weightsOf(1), weightsOf(2)]
  const f = (weights: StoredWeights, config = 'a') => frozen('net', { config, weights })
  const opened = (a: Frozen, b: Frozen) =>
    openFrozen(
      ...reading(
        [a, b],
        [
          [a, layer.apply(x)],
          [b, layer.apply(x)],
        ],
      ),
    )
  assert.match(
    (await thrown(() => opened(f(first), f(second)))).message,
    /^stage 'taught', objective\.frozen: two are called 'net' and have the same config/,
  )
  assert.is((await opened(f(first), f(first)))!.keys.length, 2)
  const both = (await opened(f(first), f(second, 'b')))!
  const values = await Promise.all(both.keys.map(async (key) => (await orThrow(both.read(key))).data[0]))
  assert.equal(values.sort(), [1, 1, 2, 2])
})

test('frozen weights that are none, or that nothing reads, are told', async () => {
  const objective = nextToken(tinyModel, tinyProcessor, sizes)
  const withFrozen = (all: unknown) =>
    tinyStage({ name: 'taught', to: 'taught', steps: 2, objective: { ...objective, frozen: all } } as never)
  const f = frozen('teacher', { config: 'a', weights: inMemory(teacherWeights) })
  assert.match(
    messageThrown(() => withFrozen(f)),
    /^stage 'taught', objective\.frozen: it is a record.*; give a list/,
  )
  assert.match(
    messageThrown(() => withFrozen(['teacher'])),
    /objective\.frozen\[0\]: it is 'teacher'/,
  )
  const recipe = pipe(
    begin({ name: 'unread', seed: 3, model: tinyModel, start: begun, now: 'fresh' }),
    next(withFrozen([f])),
  )
  const run = experiment(recipe, unmeasured).run(contextIn(await folder(), engines[0]!))
  const events = await firstValueFrom(run.pipe(toArray()))
  assert.equal(
    events.flatMap((e) => (e.type === 'warned' ? [e.message] : [])),
    ["stage taught: nothing reads the frozen weights 'teacher'; give the loss what their within([…]) gives"],
  )
})

test('weights that cannot be opened are told with their name', async () => {
  const given = { ...teacher, weights: TE.left(new Error('the disk is gone')) }
  const to = await folder()
  assert.is(
    (await thrown(() => firstValueFrom(running(engines[0]!, to, given).pipe(toArray())))).message,
    "stage 'taught': the weights of 'teacher': the disk is gone",
  )
})

test('of large weights the checksum is of small ones, of every layer, and reads no large one', async () => {
  const [Vocab, Wide] = [axis('vocab', 2 ** 20), axis('wide', 2 ** 7)]
  const net = () => {
    const large = at('large')(linear(Vocab, Wide)).apply(input('x', [Batch, Vocab]))
    return add(at('0')(norm).apply(large), at('1')(norm).apply(large))
  }
  const norm = rmsNorm(Wide)
  const read: string[] = []
  const sumWith = async (changed: string): Promise<string> => {
    const shapes = new Map([...parametersOf(net())].map(([k, t]) => [k, t.axes.map((a) => a.size)]))
    const weights: StoredWeights = {
      keys: [...shapes.keys()],
      shape: (key) => shapes.get(key),
      read: (key) => {
        read.push(key)
        const shape = shapes.get(key)!
        return TE.right(
          tensorValue('float32', shape, new Float32Array(shape[0]!).fill(key === changed ? 2 : 1)),
        )
      },
    }
    const f = frozen('net', { config: 'a', weights })
    return (await openFrozen(...reading([f], [[f, net()]])))!.checksum()
  }
  const plain = await sumWith('')
  assert.equal([...read].sort(), ['0.weight', '1.weight', 'large.bias'])
  for (const key of read.slice()) assert.not.equal(await sumWith(key), plain)
  assert.is(await sumWith('large.weight'), plain)
})

// --- what is refused ----------------------------------------------------------------------------------------

test('settings that cannot be are refused, each by its name', () => {
  const said = (settings: object): string =>
    messageThrown(() => distillation({ teacher, ...settings } as DistillationSettings))
  assert.match(said({ beta: 1.5 }), /^distillation, beta: it is 1\.5; give a number from 0 to 1/)
  assert.match(said({ labels: -1 }), /^distillation, labels: it is -1/)
  assert.match(said({ temperature: 0 }), /^distillation, temperature: it is 0; give a finite number above 0/)
  assert.match(said({ betta: 1 }), /^distillation, betta/)
  assert.match(said({ teacher: { model: {}, config: 1, weights: teacher.weights } }), /teacher\.model/)
  assert.match(
    said({ teacher: { model: teacherModel, config: 1 } }),
    /^frozen 'teacher', weights: it is undefined/,
  )
  assert.match(said({ teacher: { ...teacher, config: undefined } }), /config/)
  assert.match(said({ teacher: undefined }), /^distillation, teacher: it is undefined/)
  const others = { ...large, language: { ...large.language, vocabSize: large.language.vocabSize + 8 } }
  const stranger = distillation({ teacher: { ...teacher, model: sailVl2Model('others', others) } })
  assert.match(
    messageThrown(() => nextToken(tinyModel, tinyProcessor, sizes, { distill: stranger })),
    /^nextToken, distill\.teacher: its model 'others' has a vocabulary of/,
  )
  const blind = { ...teacher, model: { ...teacherModel, image: undefined } } as unknown as Teacher
  assert.match(
    messageThrown(() =>
      nextToken(tinyModel, tinyProcessor, sizes, { distill: distillation({ teacher: blind }) }),
    ),
    /does not fit model 'large': it lays out images, and the model reads text alone/,
  )
})

test('weights of another config have other keys, of the same the same', () => {
  const net = at('up')(linear(axis('embed', 2), axis('hidden', 3)))
  const read = (config: unknown): readonly string[] => {
    const f = frozen('teacher', { config, weights: TE.right(new Map()) })
    return [...parametersOf(...f.within([net.apply(input('x', [axis('embed', 2)]))])).keys()]
  }
  assert.equal(read('a'), read('a'))
  assert.not.equal(read('a'), read('b'))
  assert.match(
    messageThrown(() => frozen('a/b', { config: 'a', weights: TE.right(new Map()) })),
    /^frozen, name/,
  )
  assert.match(
    messageThrown(() => frozen('a', { config: () => 0, weights: TE.right(new Map()) })),
    /^frozen, 'a'\.config/,
  )
})

test.run()
