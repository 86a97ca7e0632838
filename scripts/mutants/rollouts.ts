import { type Mutant, mutantsOf } from './mutant.ts'

/** Bugs of how rollouts are read back: their table, the command, the report. */
export const ofRollouts: readonly Mutant[] = [
  mutantsOf(
    'src/rl/token-texts.ts',
    ['rl/token-texts'],
    [
      ['half a character is a token of its own', 'text.endsWith(halfACharacter)', "text === ''"],
      ['tokens are read alone', '[from, read] = [read, i + 1]', '[from, read] = [i + 1, i + 1]'],
      ['the end belongs to the text', 'ended ? ids.slice(0, -1) : ids', 'ids'],
    ],
  ),
  mutantsOf(
    'src/run/rollouts-table.ts',
    ['run/rollouts-table'],
    [
      [
        'a failed reward is 0',
        "judgement?._tag === 'Scored' ? judgement.value : null",
        "judgement?._tag === 'Scored' ? judgement.value : 0",
      ],
      ['the first episode alone', 'of episodes) {', 'of episodes.slice(0, 1)) {'],
      ['bytes are written again', 'bytes.index = 0', 'bytes.index += 0'],
    ],
  ),
  mutantsOf(
    'src/run/files.ts',
    ['run/rollouts-table'],
    [['a damaged line is passed over in silence', 'damaged.push(row.left)', 'damaged.slice(0, 0)']],
  ),
  mutantsOf(
    'src/run/files.ts',
    ['run/disk'],
    [['a folder that cannot be made is a file that is missing', " && syscall !== 'mkdir'", '']],
  ),
  mutantsOf(
    'src/cli/rollout-rows.ts',
    ['cli/rollouts'],
    [
      ['no reward sorts as 0', 'x === null || y === null', 'x === null && y === null'],
      ['a search knows capitals', 'text.toLowerCase().includes(search)', 'text.includes(search)'],
      ['discarded is ignored', '(!w.discarded || g.discarded !== undefined)', 'true'],
    ],
  ),
  mutantsOf(
    'src/cli/rollout-text.ts',
    ['cli/rollouts'],
    [['control characters go through', "\\p{Bidi_Control}]/gu, ' ')", "\\p{Bidi_Control}]/gu, '$&')"]],
  ),
  mutantsOf(
    'src/report/rollout-sample.ts',
    ['report/reinforcement'],
    [
      ['the best are the first', '(a, b) => meanReward(a) > meanReward(b)', '(a, b) => a.index < b.index'],
      ['the last episode is the first', 's.last[0]?.episode !== g.episode', 's.last.length === 0'],
      ['every discarded group is shown', 'known === 0 && s.discarded.length', 's.discarded.length'],
    ],
  ),
  mutantsOf(
    'src/report/sections/rollouts.ts',
    ['report/reinforcement'],
    [
      ['long completions stay whole', 'c.texts.length <= mostTokens', 'c.texts.length > 0'],
      ['no token is shaded', 'Math.exp(logProb) < p', 'Math.exp(logProb) < 0 * p'],
    ],
  ),
  mutantsOf(
    'src/report/gain.ts',
    ['report/reinforcement'],
    [
      ['any gain is sure', 'sure: low > 0 || high < 0', 'sure: low < high'],
      ['gains are turned round', 'wilsonDifference(before, after)', 'wilsonDifference(after, before)'],
    ],
  ),
].flat()
