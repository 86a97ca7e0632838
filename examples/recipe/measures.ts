/** What is measured after each stage: exact answers to the same held-out questions, and how many tokens they take. */
import { exactAnswers, generator } from 'sailwright/eval'
import { heldOutQuestions, nanoModel, nanoProcessor } from 'sailwright/tasks'
import { after, allOf } from 'sailwright/train'

export const measures = (scale: number, thinking: readonly string[], bare: readonly string[]) => {
  const samples = Math.ceil(64 * Math.min(1, 8 * scale))
  const asked = {
    generator: generator(nanoModel, nanoProcessor(), { rows: samples, prompt: 60, capacity: 120 }),
    ...{ samples, lastSamples: 2 * samples, lengths: true },
  }
  /** At the hardest level that most stages train, without a word about how to answer. */
  const plain = exactAnswers({ ...asked, questions: heldOutQuestions({ seed: 'held-out' }) })
  /** The same, asked for the result alone. */
  const word = heldOutQuestions({ seed: 'held-out', reply: 'direct' })
  const direct = exactAnswers({ ...asked, name: 'in one word', questions: word })
  /** One level harder, asked to think; there is nothing to think about in reading. */
  const { read: _, ...hard } = heldOutQuestions({ seed: 'held-out', levels: [4, 4], reply: 'thought' })
  const thought = exactAnswers({ ...asked, name: 'thinking', samples: 2 * samples, questions: hard })
  return allOf(plain, after(bare, direct), after(thinking, thought))
}
