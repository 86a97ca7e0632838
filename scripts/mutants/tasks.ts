// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/tasks`. */
export const tasks = [
  mutantsOf(
    'src/tasks/families/chart.ts',
    ['tasks/chart'],
    [
      ['a line runs between pixels', 'c.moveTo(x + 0.5, y + 0.5)', 'c.moveTo(x, y)'],
      [
        'grid lines lie where the values are, and not on pixels',
        'const at = Math.round(along(value))\n      if (upright) line(c, 0, at, width',
        'const at = along(value)\n      if (upright) line(c, 0, at, width',
      ],
    ],
  ),
  mutantsOf(
    'src/tasks/scene-steps.ts',
    ['rl/rewards/scene-steps'],
    [
      ['a bar left out makes all behind it wrong', ': named\n', ': at + 1\n'],
      ['a list may end before the last bar', 'holds: at === s.bars.length - 1', 'holds: at >= 0'],
      [
        'the highest is that of the image, not as it was read',
        'Number(r[2]) === highest',
        'Number(r[2]) >= 0',
      ],
    ],
  ),
  mutantsOf(
    'src/tasks/several.ts',
    ['tasks/several'],
    [
      [
        'the first frame may be the one that changes',
        'r.int(1, n) : r.int(2, n)',
        'r.int(1, n) : r.int(1, n)',
      ],
      ['what is held out occurs in training', 'if (partitionOf(severalKey(scene)) !== side) continue', ''],
      ['the shape comes back', 'i === at : i >= at', 'i === at : i === at'],
    ],
  ),
  mutantsOf(
    'src/tasks/problems.ts',
    ['tasks/thought'],
    [
      ['a source that goes on begins anew', 'for (let i = index; ; i++)', 'for (let i = 0; ; i++)'],
      ['the whole answer is what rewards read', 'answer: final, steps,', 'answer: sample.answer, steps,'],
      [
        'another reply than was asked for',
        'sampleConversation(sample, reply)',
        "sampleConversation(sample, 'direct')",
      ],
    ],
  ),
  mutantsOf(
    'src/tasks/conversations.ts',
    ['tasks/thought', 'tasks/nano'],
    [
      [
        'thoughts begin where captions do',
        'if (point < captions + thoughts) return',
        'if (point < thoughts) return',
      ],
      ['every conversation has one lot', "random(seed, 'reply', i)", "random(seed, 'reply')"],
      ['the thought stands in plain sight', 'thought: d.steps, answer: `', 'answer: `'],
      [
        'the result without its box',
        'thought: d.steps, answer: `\\\\boxed{${d.final}}`',
        'thought: d.steps, answer: d.final',
      ],
      ['steps of a thought stand a token further', "question.replace(/[?.]$/, '')", 'question'],
      [
        'a caption is asked as a question',
        'return { request: captionRequest, answer: d.caption }',
        'return { request, answer: d.caption }',
      ],
    ],
  ),
].flat()
