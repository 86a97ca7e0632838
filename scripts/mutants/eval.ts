import { mutantsOf } from './mutant.ts'

/** Bugs of `src/eval`, and of generation. */
export const evaluation = [
  mutantsOf(
    'src/generation/generator.ts',
    ['generation/rows'],
    [['the end token is part of the answer', 'ended ? ids.slice(0, -1) : ids', 'ids']],
  ),
  mutantsOf(
    'src/generation/sampling.ts',
    ['generation/sampling'],
    [
      ['the last of equals', 'if (xs[i]! > xs[best]!) best = i', 'if (xs[i]! >= xs[best]!) best = i'],
      [
        'nothing is left where topP is passed at once',
        'if (before < topP) last = p[i]!',
        'if (before + p[i]! / kept <= topP) last = p[i]!',
      ],
      [
        'what is below zero gets likelier',
        'out[id]! / penalty : out[id]! * penalty',
        'out[id]! / penalty : out[id]! / penalty',
      ],
      ['log-probabilities without the temperature', 'logits[id]! / temperature -', 'logits[id]! -'],
    ],
  ),
  mutantsOf(
    'src/models/filter-tokens.ts',
    ['models/generate'],
    [
      ['the last of the likeliest is left out', 'lessEqual(last, z)', 'less(last, z)'],
      ['rounding takes tokens away', 'or(lessEqual(smallest, z), lessEqual(1, topP))', 'less(smallest, z)'],
    ],
  ),
  mutantsOf(
    'src/generation/decoding.ts',
    ['generation/rows', 'rl/session-policy'],
    [
      ['one token too many', 'capacity - p.ids.length)', 'capacity - p.ids.length + 1)'],
      [
        'the whole conversation is the prompt',
        'ids: ids.slice(0, promptLength)',
        'ids: ids.slice(0, promptLength - 1)',
      ],
      [
        'the next token goes where the last one stood',
        'row.promptLength + row.ids.length - 1',
        'row.promptLength + row.ids.length - 2',
      ],
      ['tokens behind the end are part of the answer', ' && working[at] === row', ''],
      ['numbers of the answer’s beginning again', 'uniforms(row.ids.length + i)', 'uniforms(i)'],
    ],
  ),
  mutantsOf(
    'src/models/cache.ts',
    ['generation/greedy', 'models/generate'],
    [['values are cached as keys', "side('value', values)]", "side('value', keys)]"]],
  ),
  mutantsOf(
    'src/models/cache.ts',
    ['generation/windowed'],
    [
      [
        'a layer that is applied twice has one place in the cache',
        'times.set(path, earlier + 1)',
        'times.set(path, 0)',
      ],
    ],
  ),
  mutantsOf(
    'src/models/generate.ts',
    ['generation/greedy', 'models/generate'],
    [
      [
        'the prompt’s end, not its padding, is left out',
        'rowAt(hidden, last, token)',
        'rowAt(hidden, mul(last, 0), token)',
      ],
      [
        'a token of the cache too many is seen',
        'const earlier = less(places, position)',
        'const earlier = lessEqual(places, position)',
      ],
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
    ['eval/held-out', 'eval/eval', 'train/other-model'],
    [
      ['only the last batch counts', 'sum += Number(out.sum!.data[0])', 'sum = Number(out.sum!.data[0])'],
      ['one batch too many', 'if (++seen >= wanted) break', 'if (seen++ >= wanted) break'],
      ['every metric is the first', 'metrics[metric]', 'Object.values(metrics)[0]'],
      ['measured after every stage', 'if (!isAbout(stage.name) || ', 'if ('],
    ],
  ),
].flat()
