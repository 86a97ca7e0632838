/**
 * Reinforcement learning with a task and a reward of your own. Written by `sailwright new rl`; it is yours, change anything.
 *
 *     sailwright run rl.ts --quick      a short pass, to see that everything works
 *     sailwright run rl.ts              a minute or two: learns, measures, writes runs/…/report.html
 *     sailwright rollouts runs/…        what it wrote on the way, and what each answer was worth
 *     sailwright run rl.ts --reward brief=0.3
 *
 * A small language model first sees some right answers, every second one as a whole sentence; from there on a reward alone
 * teaches it to say the number and nothing else. No data is needed: tasks are made here.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import { exactAnswers } from 'sailwright/eval'
import { generator } from 'sailwright/generation'
import { qwen3Model } from 'sailwright/models'
import { random } from 'sailwright/random'
import * as rl from 'sailwright/rl'
import { nanoTokenizer } from 'sailwright/tasks'
import * as t from 'sailwright/train'

// --- the task: what is asked, and what is true of it ------------------------------------------------------------

/** The columns of a task: what rewards may read. A reward that reads another does not compile. */
type Largest = { readonly numbers: readonly number[]; readonly answer: string }

const tokenizer = nanoTokenizer()
const processor = d.processor(tokenizer)

/** The i-th task is a function of i alone, so that a run that was stopped goes on with the same ones. */
const taskAt = (i: number): rl.Task<Largest> => {
  const r = random('largest', i)
  const numbers = Array.from({ length: 3 }, () => r.int(10, 99))
  const [question, answer] = [`Which is the largest: ${numbers.join(' ')}?`, `${Math.max(...numbers)}`]
  // what the first stage shows: every second answer is a whole sentence
  const shown = i % 2 === 0 ? answer : `The largest of them is ${answer}.`
  const prompt = d.conversation(processor, { id: `largest/${i}`, request: question, answer: shown })
  return { id: prompt.id, family: 'largest', question, prompt, columns: { numbers, answer } }
}
const tasks = d.indexed({ kind: 'largest' }, function* (from) {
  for (let i = from; ; i++) yield taskAt(i)
})
// one task in eight is held out; which ones depends on the question alone
const sides = d.split(tasks, { heldOut: 1 / 8, by: (task) => task.question })

/** The same tasks as something else reads them: a source gives examples, each with the place behind it. */
const seenAs = <A>(
  kind: string,
  of: (task: rl.Task<Largest>) => A,
  from: d.Source<rl.Task<Largest>>,
): d.Source<A> => ({
  config: { kind, of: from.config },
  async *open(place) {
    for await (const { example, next } of from.open(place)) yield { example: of(example), next }
  },
})

// --- the reward: what an answer is worth, and why ---------------------------------------------------------------

const right = rl.reward<Largest>('right', ({ task, completion }) => {
  const said = /\d+/.exec(completion.text)?.[0] ?? ''
  // evidence is what you will want to read: it stands beside each rollout
  return rl.scored(said === task.columns.answer ? 1 : 0, { said, expected: task.columns.answer })
})
/** The number alone, and no sentence around it. */
const brief = rl.reward('brief', ({ completion }) => (/^\d+$/.test(completion.text.trim()) ? 1 : 0))
// weights have names: --reward brief=0.3 changes one
const mixed = rl.weighted({ right, brief }, { right: 0.5, brief: 0.5 })

// --- the experiment ---------------------------------------------------------------------------------------------

const file: t.ExperimentFile = ({ quick, seed, setting }) => {
  // what --set can say; each has a default
  const shown = setting.integer('shown', quick ? 5 : 400, { from: 1 }) // steps of the first stage
  const episodes = setting.integer('episodes', quick ? 2 : 24, { from: 1 })
  const rate = setting.number('rate', 4e-4, { from: 0 })

  const shape = { hiddenSize: 64, intermediateSize: 176, layers: 2, heads: 4, kvHeads: 4, headDim: 16 }
  const rest = { vocabSize: tokenizer.size, ropeTheta: 1e4, epsilon: 1e-6, tied: true }
  const model = qwen3Model('small', { ...shape, ...rest })
  const all = Object.values(model.parts)

  // first some right answers, as long as it takes to be right now and then
  const answered = t.supervised({
    ...{ name: 'shown', from: 'begun', to: 'able', train: all, steps: shown, learningRate: 2e-3 },
    objective: t.nextToken(model, processor, { rows: 16, tokens: 56 }),
    source: seenAs('shown', (task) => task.prompt, sides.train),
  })

  // then the reward alone: 16 tasks an episode, 8 answers each, learnt from in 2 updates
  const sizes = { rows: 64, prompt: 48, capacity: 64 }
  const rewarded = rl.reinforcement({
    ...{ name: 'rewarded', from: 'able', to: 'better', train: all },
    objective: rl.policyGradient(model, processor, {
      ...{ rows: 16, tokens: 256, completions: 64, answer: 16 },
      loss: rl.dapo(), // or grpo(), gspo(), drGrpo(…); the guide to policy losses says how to write one
    }),
    policy: rl.trainedPolicy(model, processor, sizes),
    ...{ tasks: sides.train, reward: mixed, group: 8, sampling: { maxNewTokens: 16 } },
    ...{ episodes, episode: { rollouts: 128, minibatch: 64, updates: 2, rounds: 3 }, learningRate: rate },
    // held-out tasks while it goes on: the reward that counts
    validation: { tasks: sides.heldOut, count: 64, every: 12 },
  })

  // after each stage: the share of held-out questions that are answered exactly
  const questions = seenAs(
    'questions',
    ({ prompt, question, columns }): d.Question => ({
      ...{ conversation: prompt, question, expected: columns.answer },
    }),
    sides.heldOut,
  )
  return t.experiment(
    pipe(
      t.begin({ name: 'rl', seed, model, start: t.fromScratch, now: 'begun' }),
      t.next(answered),
      t.next(rewarded),
    ),
    exactAnswers({
      generator: generator(model, processor, sizes),
      questions: { largest: questions },
      samples: quick ? 32 : 256,
    }),
  )
}

export default file
