/**
 * A reward of your own, beside two of the package: right, well laid out, and brief. It judges a group of answers to one of the
 * rendered problems and says what each is worth and why.
 *
 *     node --import tsx examples/custom-reward.ts
 *     node --import tsx examples/custom-reward.ts brief=0.5,format=0
 */
import {
  answer,
  type Completion,
  format,
  type Judgement,
  reward,
  reweighted,
  scored,
  scoreGroup,
  weighted,
  weightsFrom,
} from 'sailwright/rl'
import { problemAt } from 'sailwright/tasks'

// your own: a function of a task and a completion. Its type says that it reads the column `steps`; tasks without one do not compile
const brief = reward<{ readonly steps: string }>('brief', ({ task, completion }) => {
  const room = task.columns.steps.length + 40
  return scored(completion.text.length <= room ? 1 : 0, { characters: completion.text.length, room })
})

// together: weights are found again by name, so that the command line can change them
const mixed = weighted(
  { answer: answer(), format: format(), brief },
  { answer: 0.8, format: 0.1, brief: 0.1 },
  'mixed',
)
export const chosen = reweighted(mixed, weightsFrom(process.argv[2] ?? ''))

const task = problemAt({ seed: 0, split: 'train', weights: { arithmetic: 1 }, levels: [2, 2] }, 0)
const { steps, answer: right } = task.columns
const texts = [
  `<think>${steps}</think>\\boxed{${right}}`,
  `<think>${steps} ${'and once more '.repeat(9)}</think>\\boxed{${right}.0}`,
  `${right}`,
  `<think>${steps}</think>\\boxed{${Number(right) + 1}}`,
]
const completions = texts.map(
  (text, sample): Completion => ({
    ...{ task: task.id, sample, text, promptIds: [], ids: [], logProbs: [] },
    ...{ stop: 'end', version: 0 },
  }),
)

const shown = (j: Judgement): string => (j._tag === 'Scored' ? j.value.toFixed(2) : `${j._tag} (${j.why})`)
const { judgements } = await scoreGroup(chosen, { index: 0, task, completions })()
for (const [i, judgement] of judgements.entries()) {
  const parts = Object.entries(judgement.parts ?? {}).map(([name, part]) => `${name} ${shown(part)}`)
  console.log(`${shown(judgement)}  (${parts.join(', ')})  ${texts[i]}`)
}
