/**
 * The smallest task of reinforcement: say the word that was asked for. A text model of a few thousand weights learns it in
 * seconds; at the beginning it says each of its words as often.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import {
  type Conversation,
  indexed,
  type Processor,
  processor,
  promptIds,
  type Source,
  textTokenizer,
} from '../../src/data/index.ts'
import { tokenizer } from '../../src/formats/index.ts'
import { qwen3Model } from '../../src/models/index.ts'
import { random } from '../../src/random/index.ts'
import {
  dapo,
  policyGradient,
  type ReinforcementSettings,
  type Reward,
  reinforcement,
  type Task,
  trainedPolicy,
} from '../../src/rl/index.ts'
import type { Stage } from '../../src/train/index.ts'

const special = ['<turn>', '</turn>', '<empty>']
/** What may be asked for. */
export const echoWords = ['one', 'two', 'three', 'four', 'five', 'six']

const vocab = [...special, '?', 'user', 'assistant', 'say', ...echoWords]
const made = tokenizer({
  model: { type: 'WordLevel', vocab: Object.fromEntries(vocab.map((w, i) => [w, i])), unk_token: '?' },
  added_tokens: special.map((content, id) => ({ id, content, special: true })),
  pre_tokenizer: { type: 'Whitespace' },
})
if (isLeft(made)) throw made.left

/** Words as tokens. */
export const echoProcessor: Processor = processor(textTokenizer(made.right), {
  chat: { start: '<turn>', end: '</turn>', pad: '<empty>' },
})

const language = {
  vocabSize: vocab.length,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  ropeTheta: 100,
  epsilon: 1e-6,
  tied: true,
}

/** The model. */
export const echoModel = qwen3Model('echo', language)

/** What a task carries. */
export type Asked = { readonly word: string }

const promptOf = (id: string, word: string): Conversation => {
  const ids = promptIds(echoProcessor, { request: `say ${word}` }, 0)
  return { id, ids, lossMask: ids.map(() => false), promptLength: ids.length, images: [] }
}

/** Endless tasks. */
export const echoTasks: Source<Task<Asked>> = indexed({ kind: 'echo' }, function* (index) {
  for (let i = index; ; i++) {
    const word = random('echo', i).pick(echoWords)
    const question = `say ${word}`
    yield {
      id: `echo/${i}`,
      family: 'echo',
      prompt: promptOf(`echo/${i}`, word),
      question,
      columns: { word },
    }
  }
})

/** 1 where the answer is the word that was asked for. */
export const echoReward: Reward<Asked> = {
  name: 'echo',
  config: { kind: 'echo' },
  score:
    ({ task, completion }) =>
    async () => ({
      _tag: 'Scored',
      value: Number(completion.text === task.columns.word),
      evidence: { said: completion.text },
    }),
}

/** What is said differently of the stage. */
export type EchoSettings = Partial<ReinforcementSettings<'fresh', 'taught', Asked, Asked>>

/** The stage: episodes of 16 groups of 8 single tokens. */
export const echoStage = (some: EchoSettings = {}): Stage<'fresh', 'taught'> =>
  reinforcement<'fresh', 'taught', Asked, Asked>({
    ...{ name: 'echo', from: 'fresh', to: 'taught', train: Object.values(echoModel.parts) },
    objective: policyGradient(echoModel, echoProcessor, {
      ...{ rows: 16, tokens: 40, completions: 64, answer: 1, loss: dapo() },
    }),
    policy: trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 14 }),
    ...{ tasks: echoTasks, reward: echoReward, group: 8, sampling: { maxNewTokens: 1 } },
    ...{ episodes: 30, episode: { rollouts: 128, minibatch: 64, updates: 4, rounds: 3 }, learningRate: 2e-2 },
    ...some,
  })
