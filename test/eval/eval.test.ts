import { isRight } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collateImages, collateText } from '../../src/data/collate.ts'
import type { Conversation } from '../../src/data/conversation.ts'
import type { Processor } from '../../src/data/processor.ts'
import { axis, causal, elements, fill, fixed, input, type Program, program } from '../../src/dsl/index.ts'
import type { Session, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { exactAnswers } from '../../src/eval/exact-answer.ts'
import { heldOut } from '../../src/eval/held-out.ts'
import { generator } from '../../src/generation/generator.ts'
import { type GenerationSizes, imageInputs, isCacheKey } from '../../src/models/index.ts'
import { logitsOf as logitsIn } from '../../src/models/model.ts'
import { type EventOf, RunEvent } from '../../src/run/events.ts'
import { sampleConversation } from '../../src/tasks/conversations.ts'
import { sampleAt } from '../../src/tasks/mixture.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { heldOutQuestions } from '../../src/tasks/questions.ts'
import { type Family, families, finalOf } from '../../src/tasks/sample.ts'
import { severalQuestions } from '../../src/tasks/several.ts'
import { pixelInput } from '../../src/train/batch-inputs.ts'
import { after, allOf, type Evaluation } from '../../src/train/evaluation.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { Objective } from '../../src/train/objective.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import {
  type Answer,
  contextIn,
  drained,
  scripted,
  tiny,
  tinyConversation,
  tinyModel,
  tinyProcessor,
  tinyRenderedModel,
  tinyRenderedProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'

const engines = await hostEngines()
const tokenizer = nanoTokenizer()
const vocab = tiny.language.vocabSize
const ints = (shape: readonly number[], data: ArrayLike<number>): TensorValue =>
  tensorValue('int32', shape, Array.from(data))

// --- generation, scripted ---------------------------------------------------------------------------------

/** Answers each prompt with tokens, the next of those that are taken for it; after its end it repeats the last one. */
const telling = (take: (prompts: number) => readonly (readonly number[])[]): Session => {
  const empty: Program = { name: 'scripted', states: new Map(), functions: new Map() }
  const tokenOf = (row: readonly number[], at: number): number => row[Math.min(at, row.length - 1)] ?? 0
  const rows: { readonly tokens: readonly number[]; from?: number }[] = []
  return scripted(empty, (name, _, inputs): Answer => {
    if (name === 'prefill') {
      const source = [...inputs.source!.data]
      const taken = take(new Set(source.filter((from) => from >= 0)).size)
      source.forEach((from, row) => {
        if (from >= 0) rows[row] = { tokens: taken[from] ?? [] }
      })
      return {}
    }
    const [steps, count] = inputs.uniform!.shape as [number, number]
    const places = inputs.position!.data
    const ids = Array.from({ length: steps }, (_, i) =>
      Array.from({ length: count }, (_, r) => {
        const row = rows[r] ?? { tokens: [] }
        row.from ??= places[r]!
        return tokenOf(row.tokens, places[r]! - row.from + i)
      }),
    )
    return {
      ids: ints([steps, count], ids.flat()),
      log_probs: tensorValue('float32', [steps, count], Array(steps * count).fill(0)),
    }
  })
}

/** The tiny model's processor with another token that ends a turn. */
const ending = (id: number): Processor => ({ ...tinyProcessor, end: id })
const generate = (
  session: Session,
  prompts: readonly Conversation[],
  o: { readonly sizes: GenerationSizes; readonly end: number },
) => generator(tinyModel, ending(o.end), o.sizes).generate(session, prompts)

// --- generation on an engine ------------------------------------------------------------------------------

const cached = suite(`eval: generation with a cache on ${engines.map((e) => e.name).join(' and ')}`)

const sizes: GenerationSizes = { rows: 4, prompt: 32, capacity: 38 }

/** The logits of one whole row at every position, without a cache. */
const whole = (length: number) => () => {
  const [batch, token] = [axis('batch', 1), axis('token', length)]
  const of = (name: string) => input(name, [batch, token], 'int32')
  const logits = logitsIn(tinyModel, {
    token,
    positions: of('position_ids'),
    mask: causal(token),
    ids: of('input_ids'),
    images: imageInputs(tinyModel, 1, batch, token),
  })
  return { outputs: { logits } }
}

/** The logits at every position of one row, by `whole`. */
const logitsOf = async (session: Session, c: Conversation, length: number): Promise<Float32Array> => {
  const side = tiny.vision.imageSize
  const all = { rows: 1, tokens: length, images: 1 }
  const b = { ...collateText([c], all, tinyProcessor), ...collateImages([c], all, tinyProcessor) }
  const out = await orThrow(
    session.call('whole', {
      input_ids: ints([1, length], b.input_ids),
      position_ids: ints([1, length], b.position_ids),
      visual_index: ints([1, length], b.visual_index),
      pixel_values: pixelInput(b.pixel_values, 1, side),
    }),
  )
  return out.logits!.data as Float32Array
}

const likeliest = (logits: Float32Array, place: number): number => {
  const row = logits.subarray(place * vocab, (place + 1) * vocab)
  return row.indexOf(Math.max(...row))
}

/** One prompt's greedy continuation to the end of the cache, by whole passes of its own. */
const uncached = async (session: Session, c: Conversation): Promise<readonly number[]> => {
  const ids = c.ids.slice(0, c.promptLength)
  while (ids.length < sizes.capacity) {
    const all = { ...c, ids, lossMask: ids.map(() => false) }
    ids.push(likeliest(await logitsOf(session, all, sizes.capacity), ids.length - 1))
  }
  return ids.slice(c.promptLength)
}

const generating = program({
  name: 'generating',
  functions: {
    ...generator(tinyModel, tinyProcessor, sizes).functions,
    whole: fixed(whole(sizes.capacity)),
  },
})
/** Weights far from zero, so that tokens differ; the cache full of what must never be read. */
const rough = new Map(
  [...generating.states.values()].map((s) => [
    s.key,
    tensorValue(
      'float32',
      s.axes.map((a) => a.size),
      isCacheKey(s.key)
        ? new Float32Array(elements(s.axes)).fill(1e6)
        : fill({ kind: 'uniform', limit: 1 }, elements(s.axes), 8, s.key),
    ),
  ]),
)

for (const engine of engines)
  cached(`${engine.name}: the tokens of whole passes, whatever the other rows do`, async () => {
    const session = await orThrow(engine.load(generating))
    await orThrow(session.write(rough))
    const prompts = [3, 10, 2, 5].map((i) => tinyConversation(i))
    assert.ok(new Set(prompts.map((p) => p.promptLength)).size > 1)
    const want: (readonly number[])[] = []
    for (const p of prompts) want.push(await uncached(session, p))
    assert.ok(new Set(want.flat()).size > 4, 'the text is more than one token again and again')
    const never = want.flat().reduce((a, b) => Math.max(a, b)) + 1
    const options = { sizes, end: never }
    assert.equal(await generate(session, prompts, options), want)
    // rows that end early: the others go on as they did
    const some = want[0]![1]!
    const cut = want.map((tokens) => (tokens.includes(some) ? tokens.slice(0, tokens.indexOf(some)) : tokens))
    assert.ok(cut.some((t, r) => t.length < want[r]!.length) && cut.some((t, r) => t === want[r]))
    assert.equal(await generate(session, prompts, { ...options, end: some }), cut)
    // alone, in another row, and after another prompt in that row
    assert.equal(await generate(session, [prompts[2]!, prompts[0]!], options), [want[2], want[0]])
    await orThrow(session.close())
  })

cached.run()

// --- exact answers ----------------------------------------------------------------------------------------

const answers = suite('eval: exact answers')

type Measured = EventOf<'evaluated'> | EventOf<'measured'> | EventOf<'predicted'>

const measured = async (e: Evaluation, session: Session, last = false, done: readonly string[] = []) => {
  const all: Measured[] = []
  const context = contextIn('/nowhere', engines[0]!)
  for await (const event of e.run(session, { name: 'sft', last, done: new Set(done) }, context))
    all.push(event)
  return {
    all,
    counts: all.flatMap((m) => (m.type === 'evaluated' ? [[m.family, m.correct, m.total]] : [])),
    predicted: all.flatMap((m) => (m.type === 'predicted' ? [m] : [])),
  }
}

const greedy = generator(tinyRenderedModel, tinyRenderedProcessor, { rows: 2, prompt: 48, capacity: 80 })
const asked = {
  generator: greedy,
  questions: heldOutQuestions({ seed: 'exact', levels: [1, 2] }),
  ...{ samples: 5, lastSamples: 6, shown: 3 },
}
const sampleOf = (family: Family, i: number) =>
  sampleAt({ seed: 'exact', split: 'heldout', weights: { [family]: 1 }, levels: [1, 2] }, i)

/** A session that answers the samples of every family in their order: those with an even index rightly. */
const knowing = (samples: number): Session => {
  const eos = '<|im_end|>'
  const texts = families.flatMap((f) =>
    Array.from({ length: samples }, (_, i) => (i % 2 === 0 ? `${sampleOf(f, i).answer}${eos}` : `no${eos}`)),
  )
  let asked = 0
  return telling((prompts) => {
    const from = asked
    asked += prompts
    return texts.slice(from, asked).map((t) => tokenizer.encode(t))
  })
}

answers('counts what is right, by family, and shows the first of each', async () => {
  const e = exactAnswers(asked)
  const { all, counts, predicted } = await measured(e, knowing(5))
  assert.equal(
    counts,
    families.map((f) => [f, 3, 5]),
  )
  assert.equal(
    predicted.map((p) => [p.family, p.correct]),
    families.flatMap((f) => [
      [f, true],
      [f, false],
      [f, true],
    ]),
  )
  for (const [n, p] of predicted.entries()) {
    const sample = sampleOf(p.family as Family, n % 3)
    assert.equal(
      [p.id, p.level, p.question, p.expected, p.image, p.stage],
      [sample.id, sample.level, sample.question, sample.final, `images/${sample.id}.png`, 'sft'],
    )
    assert.is(p.text, n % 3 === 1 ? 'no' : sample.answer)
    assert.is(p.answered, finalOf(sample.family, p.text))
    assert.is(p.answered === p.expected, p.correct)
    assert.match(p.id, /^heldout\//)
  }
  assert.ok(all.every((m) => isRight(RunEvent.decode(m))))
  assert.equal(e.families, [...families])
  assert.equal(Object.keys(e.functions('any')), [
    ...['prefill', 'extend', 'extendFiltered', 'extendLoop', 'extendLoopFiltered'],
  ])
})

answers('no more questions than were asked for, where they are no whole number of batches', async () => {
  const single = generator(tinyRenderedModel, tinyRenderedProcessor, { rows: 1, prompt: 48, capacity: 80 })
  const { counts } = await measured(exactAnswers({ ...asked, generator: single }), knowing(5))
  assert.equal(
    counts,
    families.map((f) => [f, 3, 5]),
  )
})

answers('of several images all are kept, in their order', async () => {
  const asked = severalQuestions('kept')
  const e = exactAnswers({
    generator: generator(tinyRenderedModel, tinyRenderedProcessor, {
      ...{ rows: 2, prompt: 160, capacity: 180, images: 8 },
    }),
    questions: { changes: asked.changes },
    ...{ samples: 2, shown: 1 },
  })
  const { predicted } = await measured(
    e,
    telling((n) => Array.from({ length: n }, () => tokenizer.encode('x'))),
  )
  const { id, images }: Conversation = (await asked.changes.open().next()).value!.example.conversation
  const paths = images.map((_, i) => `images/${i === 0 ? id : `${id}/${i + 1}`}.png`)
  assert.ok(paths.length > 2)
  assert.equal([predicted[0]!.image, predicted[0]!.images], [paths[0], paths])
  assert.ok(isRight(RunEvent.decode(predicted[0])))
})

answers('lengths: the mean tokens of all answers, and a name that stands before the families', async () => {
  const e = exactAnswers({ ...asked, name: 'thinking', lengths: true, shown: 0 })
  const { all, counts } = await measured(e, knowing(5))
  assert.equal(
    counts,
    families.map((f) => [`thinking ${f}`, 3, 5]),
  )
  const tokens = (text: string): number => tokenizer.encode(text).length
  assert.equal(
    all.flatMap((m) => (m.type === 'measured' ? [[m.family, m.value, m.unit, m.weight]] : [])),
    families.map((f) => {
      const said = Array.from({ length: 5 }, (_, i) => tokens(i % 2 === 0 ? sampleOf(f, i).answer : 'no'))
      return [`length of thinking ${f}`, said.reduce((a, b) => a + b) / 5, 'tokens', 5]
    }),
  )
  assert.equal(
    e.families,
    families.flatMap((f) => [`thinking ${f}`, `length of thinking ${f}`]),
  )
  const [first, ...others] = families
  const rest = await measured(e, knowing(5), false, [`thinking ${first}`])
  assert.equal(
    rest.all.map((m) => m.family),
    others.flatMap((f) => [`length of thinking ${f}`, `thinking ${f}`]),
  )
  const plain = await measured(exactAnswers(asked), knowing(5))
  assert.ok(plain.all.every((m) => m.type !== 'measured'))
})

answers('after: some stages are measured, and the others carry and ask nothing', async () => {
  const e = exactAnswers({ ...asked, shown: 0 })
  const some = after(['rl', 'sft'], e)
  assert.equal((await measured(some, knowing(5))).counts, (await measured(e, knowing(5))).counts)
  const never = scripted({ name: 'none', states: new Map(), functions: new Map() }, () => {
    throw new Error('a stage that is not measured was asked')
  })
  const other = after(['rl'], e)
  assert.equal((await measured(other, never)).all, [])
  assert.equal(other.functions('sft'), {})
  assert.equal(other.functions('rl'), e.functions('rl'))
  assert.equal(other.stages, ['rl'])
  assert.equal(other.families, e.families)
  assert.equal(other.config, { kind: 'after', stages: ['rl'], evaluation: e.config })
  assert.equal(allOf(e, other).stages, ['rl'])
})

answers('more samples after the last stage, the first of them the same', async () => {
  const e = exactAnswers({ ...asked, shown: 1 })
  const before = await measured(e, knowing(5))
  const last = await measured(e, knowing(6), true)
  assert.equal(
    last.counts,
    families.map((f) => [f, 3, 6]),
  )
  assert.equal(
    last.predicted.map((p) => p.id),
    before.predicted.map((p) => p.id),
  )
  const few = await measured(exactAnswers({ ...asked, samples: 2, lastSamples: 2 }), knowing(2), true)
  assert.equal(
    few.counts,
    families.map((f) => [f, 1, 2]),
  )
})

for (const engine of engines)
  answers(`${engine.name}: a model’s own answers, counted as shown`, async () => {
    const e = exactAnswers({ ...asked, samples: 3, shown: 3 })
    const p = program({ name: 'sft', functions: e.functions('sft') })
    const session = await orThrow(engine.load(p))
    const { counts, predicted } = await measured(e, session)
    assert.is(predicted.length, 12)
    for (const [family, correct, total] of counts) {
      assert.is(total, 3)
      assert.is(predicted.filter((q) => q.family === family && q.correct).length, correct)
    }
    const c = sampleConversation(sampleOf('count', 0), 'answer', tinyRenderedProcessor)
    const [alone] = await greedy.generate(session, [c])
    assert.is(predicted.find((q) => q.family === 'count')!.text, tokenizer.decode(alone!))
    await orThrow(session.close())
  })

answers.run()

// --- held-out accuracy ------------------------------------------------------------------------------------

const positions = suite(`eval: held-out accuracy on ${engines.map((e) => e.name).join(' and ')}`)

const everyToken = nextToken(tinyModel, tinyProcessor, { rows: 3, tokens: 32 })

/** The next-token objective on the first token of each answer alone. */
const onlyFirst: Objective<Conversation> = {
  ...everyToken,
  name: 'first token',
  collate: (cs) =>
    everyToken.collate(
      cs.map((c) => ({ ...c, lossMask: c.lossMask.map((l, t) => l && t === c.promptLength) })),
    ),
}

for (const engine of engines)
  positions(
    `${engine.name}: equals a count by hand, also over a smaller last batch, each measure its own`,
    async () => {
      const held = Array.from({ length: 7 }, (_, i) => tinyConversation(1000 + i))
      const about = { stage: 'tiny' }
      const source = watched((i) => held[i]!, 7)
      const both = allOf(
        heldOut({ ...about, family: 'all', objective: everyToken, source, batches: 9 }),
        heldOut({ ...about, family: 'two batches', objective: everyToken, source, batches: 2 }),
        heldOut({ ...about, family: 'first', objective: onlyFirst, source, batches: 9 }),
        heldOut({
          ...about,
          family: 'whole',
          objective: everyToken,
          source,
          batches: 9,
          metric: 'exactMatch',
        }),
      )
      const stage = tinyStage({ steps: 25, learningRate: 2e-2 })
      const functions = { ...both.functions('tiny'), whole: fixed(whole(32)) }
      const session = await orThrow(engine.load(stage.program(functions).program, { seed: 4 }))
      await drained(stage.run({ session, position: { index: 0, of: 1 }, trainable: 1 }))

      /** How many of the conversations last counted were right at every position. */
      let wholes = 0
      const byHand = async (cs: readonly Conversation[], firstOnly = false): Promise<readonly number[]> => {
        let [hits, count] = [0, 0]
        wholes = 0
        for (const c of cs) {
          const logits = await logitsOf(session, c, 32)
          const missed = count - hits
          c.ids.forEach((id, t) => {
            if (!c.lossMask[t] || (firstOnly && t !== c.promptLength)) return
            count++
            if (likeliest(logits, t - 1) === id) hits++
          })
          if (count - hits === missed) wholes++
        }
        return [hits, count]
      }
      const [two, first, all] = [await byHand(held.slice(0, 6)), await byHand(held, true), await byHand(held)]
      assert.ok(all[0]! > 0 && all[0]! < all[1]!, `a count that says something: ${all[0]} of ${all[1]}`)
      const got: (readonly (string | number)[])[] = []
      const context = contextIn('/nowhere', engine)
      for await (const e of both.run(session, { name: 'tiny', last: true, done: new Set() }, context))
        if (e.type === 'evaluated') got.push([e.family, e.correct, e.total])
      assert.equal(got, [
        ['all', ...all],
        ['two batches', ...two],
        ['first', ...first],
        ['whole', wholes, 7],
      ])
      assert.equal([source.opened, source.closed], [4, 4])
      for await (const e of both.run(session, { name: 'another', last: true, done: new Set() }, context))
        assert.unreachable(`${e.type} after a stage that is not measured`)
      assert.equal(Object.keys(both.functions('another')), [])
      await orThrow(session.close())
    },
  )

positions.run()
