// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/random`. */
export const random = [
  mutantsOf(
    'src/random/stream.ts',
    ['random/stream', 'random/statistics'],
    [
      ['a shuffle leaves nothing in its place', 'const j = below(i + 1)', 'const j = below(i)'],
      ['a shuffle moves nothing', 'out[i] = out[j]!', 'out[i] = kept'],
      ['the highest number is never drawn', 'below(high - low + 1)', 'below(high - low)'],
      ['some numbers are likelier', 'if (x < end) return x % n', 'if (x < range) return x % n'],
      ['every block is the first', 'wordsFrom(key, drawn / 4, block)', 'wordsFrom(key, 0, block)'],
      ['weights are not added up', 'reached += w', 'reached = w'],
    ],
  ),
  mutantsOf(
    'src/random/fill.ts',
    ['random/statistics', 'random/stream'],
    [
      [
        'an array’s later chunks repeat the first',
        'Math.floor((from + at) / 4), words',
        'Math.floor(from / 4), words',
      ],
      [
        'uniform draws from 0 up',
        '(words[first + i]! + 0.5) * scale',
        'Math.abs(words[first + i]! + 0.5) * scale',
      ],
    ],
  ),
  mutantsOf(
    'src/random/key.ts',
    ['random/stream'],
    [
      ['a text and the number that it spells are one', '`#${part}`', '`$${`${part}`.length}:${part}`'],
      ['only the last block of a long name counts', 'hash[w] = mixed[w]! ^ block[w]!', 'hash[w] = block[w]!'],
    ],
  ),
].flat()
