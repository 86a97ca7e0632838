import { mutantsOf } from './mutant.ts'

/** Bugs of `src/eval`, and of generation. */
export const evaluation = [
  mutantsOf(
    'src/generation/generator.ts',
    ['eval/greedy'],
    [
      ['the last of equals', 'logits.data[i]! > logits.data[best]!', 'logits.data[i]! < logits.data[best]!'],
      ['the cache’s last place is written twice', 'capacity - 1)', 'capacity - 3)'],
      [
        'the whole conversation is the prompt',
        'ids: p.ids.slice(0, p.promptLength)',
        'ids: p.ids.slice(0, p.promptLength - 1)',
      ],
      [
        'one token too many',
        'capacity - cut[r]!.ids.length - answers[r]!.length',
        'capacity - cut[r]!.ids.length - answers[r]!.length - 1',
      ],
      ['the end token is part of the answer', 'if (next[r] !== processor.end) a.push', 'a.push'],
      ['all end with the first', 'done.every(Boolean)', 'done.some(Boolean)'],
      [
        'every group of prompts is the first',
        'some(session, prompts.slice(at, at + rows))',
        'some(session, prompts.slice(0, rows))',
      ],
      ['the next token goes where the last one stood', 'places[r]! + 1', 'places[r]!'],
    ],
  ),
  mutantsOf(
    'src/models/generate.ts',
    ['eval/greedy', 'models/generate'],
    [
      ['a token does not see itself', 'lessEqual(slots, position)', 'less(slots, position)'],
      [
        'the prompt’s end, not its padding, is left out',
        'rowAt(hidden, last, token)',
        'rowAt(hidden, mul(last, 0), token)',
      ],
      ['values are cached as keys', "written(path, 'value', values)", "written(path, 'value', keys)"],
    ],
  ),
  mutantsOf(
    'src/eval/exact-answer.ts',
    ['eval/eval'],
    [
      ['every answer is right', 'if (answered === q.expected) correct++', 'correct++'],
      ['after the last stage as few as before', 'stage.last ? lastSamples : samples', 'samples'],
      ['more questions than asked for', 'examples.slice(0, wanted - total)', 'examples'],
      ['all predictions are shown', 'if (total + i >= shown) continue', ''],
    ],
  ),
  mutantsOf(
    'src/eval/held-out.ts',
    ['eval/eval', 'train/other-model'],
    [
      [
        'only the last batch counts',
        'correct += Number(out.sum!.data[0])',
        'correct = Number(out.sum!.data[0])',
      ],
      ['one batch too many', 'if (++seen >= wanted) break', 'if (seen++ >= wanted) break'],
      ['every metric is the first', 'metrics[metric]', 'Object.values(metrics)[0]'],
      ['measured after every stage', 'if (stage.name !== o.stage || ', 'if ('],
    ],
  ),
].flat()
