// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of rewards and judges. */
export const rewards = [
  mutantsOf(
    'src/rl/rewards/bounded.ts',
    ['rl/rewards/own', 'rl/operators'],
    [
      ['each answer has a guard of its own', 'if (alone || all[at + 1]?.ms !== ms)', 'if (at >= 0)'],
      ['an answer has the limit of another', 'while (all[at]?.ms === ms &&', 'while (at < all.length &&'],
      ['an answer begins under a guard that is almost over', ' && performance.now() < half', ''],
      [
        'who waits behind one that is stopped is late',
        'if (isTimeout(e)) wasHeld',
        'if (!isTimeout(e)) wasHeld',
      ],
      [
        'those behind the one that was stopped are never asked',
        'throw e\n      turn(at)\n      return',
        'throw e\n      turn(all.length)\n      return',
      ],
      [
        'the one that was stopped is not asked again',
        'throw e\n      turn(at)\n      return',
        'throw e\n      turn(at + 1)\n      return',
      ],
      [
        'who was stopped while it asked holds up all others',
        '    queueMicrotask(() => turns || askAll())',
        '    if (waiting.length === 1) queueMicrotask(() => turns || askAll())',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judgement.ts',
    ['rl/rewards/own', 'rl/rewards/algebra', 'rl/operators'],
    [
      ['NaN is a reward', '!Number.isFinite(value)\n', 'false\n'],
      [
        'a reward of which no gradient can be computed is learnt from',
        'Math.abs(value) > mostReward',
        'false',
      ],
      ['a reward may change what is learnt from', '  freeze(completion)\n', ''],
      ['a reward may change a task that others read', '  freeze(task)\n', ''],
      ['a reward may change what lies inside', '(x))) waiting.push(value)', '(x))) void value'],
      ['what lies in a list may be changed', 'for (const one of x) waiting.push(one)', 'void x'],
      [
        'what throws is 0',
        'return failed(inWords(thrown), performance.now() - began)',
        'return scored(0, { why: inWords(thrown), ms: performance.now() - began })',
      ],
      [
        'a judgement that is not finite counts',
        '  if (fault !== undefined) return fault\n  if (!isPlainRecord(evidence))',
        '  if (!isPlainRecord(evidence))',
      ],
      [
        'evidence that cannot be recorded ends the run',
        'return why === undefined ? undefined : noPlainEvidence(why)',
        'return undefined',
      ],
      ['a list is evidence, and ends the run', 'isRecord(x) && !Array.isArray(x) &&', 'isRecord(x) &&'],
      ['a date is evidence, and ends the next start', "toJSON !== 'function'", "toJSON !== 'nothing'"],
      ['a step without a place ends the run', 'if (!Number.isInteger(place))', 'if (place === 0.1)'],
      ['a part that is no judgement ends the run', 'const of = shapeFault(part)', 'const of = undefined'],
    ],
  ),
  mutantsOf(
    'src/rl/time-limit.ts',
    ['rl/rewards/own', 'rl/operators'],
    [
      ['a promise is waited for without end', 'await Promise.race([ask(), over])', 'await ask()'],
      ['the clock goes on after the answer', '    stop()\n', ''],
      [
        'what waits behind others is late',
        'since() + ms > performance.now()) wait',
        'since() > performance.now()) wait',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/weighted.ts',
    ['rl/rewards/algebra'],
    [
      [
        'the mean in place of the sum',
        'sum + weights[name]! * x, 0)',
        'sum + (weights[name]! * x) / counted.length, 0)',
      ],
      ['weights are left out', 'sum + weights[name]! * x, 0)', 'sum + x, 0)'],
      [
        'a failed metric fails the reward',
        'failureOf(parts, (name) => weights[name] !== 0)',
        'failureOf(parts)',
      ],
      ['silence of all is 0', 'if (counted.length === 0) return', 'if (counted.length < 0) return'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/compound.ts',
    ['rl/rewards/algebra'],
    [
      [
        'a failed part is passed over',
        "part._tag === 'Failed' && matters(name)",
        "part._tag === 'Failed' && !matters(name)",
      ],
      [
        'a change that throws throws',
        'return failed(inWords(thrown), performance.now() - began)',
        'throw thrown',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/compound.ts',
    ['rl/standstill'],
    [['parts are not asked whether they can judge', 'if (of !== undefined) return of\n', '']],
  ),
  mutantsOf(
    'src/rl/rewards/truth.ts',
    ['rl/rewards/algebra'],
    [
      ['values above 1 are truths', 'value < 0 || value > 1)', 'value < 0)'],
      ['all is any', 'Math.min(...values)', 'Math.max(...values)'],
      [
        'a failure goes before what decides',
        'decided !== undefined)',
        'decided !== undefined && failureOf(parts) === undefined)',
      ],
      ['a product that begins with 0', 'a * b, 1)', 'a * b, 0)'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/change.ts',
    ['rl/rewards/algebra'],
    [
      [
        'the bounds of clip changed places',
        'Math.min(most, Math.max(least, value))',
        'Math.max(most, Math.min(least, value))',
      ],
      ['scale adds', 'value * factor', 'value + factor'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/gate.ts',
    ['rl/rewards/algebra'],
    [
      ['what is behind a closed gate is asked', 'if (open.value <= 0) return', 'if (open.value < 0) return'],
      [
        'a condition that failed is closed',
        'return failed(`condition ${condition.name}: ${open.why}`, open.elapsedMs, at)',
        'return scored(0, { closedBy: condition.name }, at)',
      ],
      [
        'a failure is passed over',
        'return failed(`${part}: ${judgement.why}`, judgement.elapsedMs, parts)',
        'continue',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/sail-rl.ts',
    ['rl/rewards/algebra'],
    [
      ['alpha weighs the format', 'alpha * product + (1 - alpha) *', '(1 - alpha) * product + alpha *'],
      [
        'a judge that failed is 0',
        "if (substance._tag === 'Failed' && alpha !== 0)",
        "if (substance._tag === 'Failed' && alpha < 0)",
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/reweighted.ts',
    ['rl/rewards/reweighted'],
    [
      ['weights that are not named are lost', '?? weight]),', '?? 1]),'],
      ['one of several is taken', 'if (ending.length > 1)', 'if (ending.length > 99)'],
      [
        'parts inside keep their weights',
        '[name, rebuilt(r, of.wraps ? path : joined(path, name))]',
        '[name, r]',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/format.ts',
    ['rl/rewards/shape'],
    [
      ['an empty box is one', "boxed.trim() === ''", "boxed === '#'"],
      ['a second thought is let through', 'timesIn(plain, open) > 1', 'timesIn(plain, open) > 9'],
      ['right is wrong', 'wrong === undefined ? 1 : 0', 'wrong === undefined ? 0 : 1'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/length.ts',
    ['rl/rewards/shape'],
    [
      ['the longest is too long', 'ids.length <= most ?', 'ids.length < most ?'],
      ['the penalty begins a cache too late', 'const free = maxLength - cache', 'const free = maxLength'],
      ['the penalty grows the wrong way', '(free - ids.length) / cache', '(ids.length - free) / cache'],
      ['cosine without its half', '0.5 * (shortest - longest)', '(shortest - longest)'],
      [
        'wrong answers are rewarded as right ones',
        'judgement.value > 0 ? right : wrong',
        'judgement.value >= 0 ? right : wrong',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/repetition.ts',
    ['rl/rewards/shape'],
    [['words with capitals are others', '.toLowerCase()\n', '\n']],
  ),
  mutantsOf(
    'src/rl/rewards/verified.ts',
    ['rl/rewards/shape', 'rl/verify/pool'],
    [
      [
        'a failed check is 0',
        '? failed(outcome.why, outcome.elapsedMs)',
        '? asJudgement(0, outcome.elapsedMs)',
      ],
      ['a truth that is missing is 0', 'return abstained(made.silent)', 'return asJudgement(0, 0)'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/measures.ts',
    ['rl/rewards/shape'],
    [
      [
        'the threshold is ignored',
        'input: ({ task: { columns }, completion: { text } }) => ({ text, truth: columns.region, ...config }),',
        'input: ({ task: { columns }, completion: { text } }) => ({ text, truth: columns.region }),',
      ],
      ['half of everything is near enough', 'o.tolerance ?? 0.05', 'o.tolerance ?? 0.5'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/answer.ts',
    ['rl/rewards/shape'],
    [
      ['of several truths the first alone counts', ').map(String)', ').slice(0, 1).map(String)'],
      [
        'no truth is an empty one',
        'truth === null || truth === undefined\n    ? []',
        "truth === null || truth === undefined\n    ? ['']",
      ],
      ['a blank truth is one', ".filter((text) => text.trim() !== '')", ''],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judgement.ts',
    ['rl/rewards/own'],
    [
      [
        'the last completion is not judged',
        'completions.map((completion) =>',
        'completions.slice(0, -1).map((completion) =>',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judge/judges.ts',
    ['rl/rewards/judge'],
    [
      [
        'the mean over two of three',
        '(soundness + grounding + consistency) / 3',
        '(soundness + grounding + consistency) / 2',
      ],
      [
        'the thoughts are judged without the answer',
        'thinking, answer, ...referenceOf',
        "thinking, answer: '', ...referenceOf",
      ],
      [
        'a judge without an answer says 0',
        "if (got._tag === 'Failed') return failed(got.why, got.elapsedMs)\n      return threefold",
        "if (got._tag === 'Failed') return scored(0)\n      return threefold",
      ],
      [
        'those that could not be compared agree',
        "if (said._tag !== 'Scored' || ruled._tag !== 'Scored') return said",
        "if (said._tag !== 'Scored') return said",
      ],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judge/judge-model.ts',
    ['rl/rewards/judge'],
    [
      [
        'a reply that is asked for is not kept',
        'if (!(await cache.put(key, read.right.text))) count.unkept++\n',
        '',
      ],
      ['an answer without end is read', 'if (bytes > most) throw', 'if (bytes < 0) throw'],
      ['the same question is put twice', 'underWay.set(key, now)', ''],
      ['a malformed reply is not asked for again', 'attempt < 2', 'attempt < 1'],
      ['other images are the same question', 'user: q.user, urls }', 'user: q.user }'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judge/cache.ts',
    ['rl/rewards/judge'],
    [
      ['a broken line swallows the next', "size === 0 || last.toString() === '\\n' ? '' : '\\n'", "''"],
      [
        'a broken line ends the reading',
        'if (kept !== undefined) known.set(...kept)',
        'if (kept === undefined) break\n      known.set(...kept)',
      ],
      ['a file that keeps nothing is none', 'can keep no replies: ', ''],
      ['what is not kept is not told', '          return false\n', '          return true\n'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judge/reply.ts',
    ['rl/rewards/judge'],
    [
      [
        'a brace in a text ends the object',
        "else if (c === '\"' && depth > 0) quoted = true",
        "else if (c === '#') quoted = true",
      ],
      ['the thoughts’ object counts', "text.split('</think>').at(-1)!", 'text'],
      ['anything true is 1', 'u === 1 || u === true ? t.success(1)', 'u ? t.success(1)'],
    ],
  ),
  mutantsOf(
    'src/rl/rewards/judge/scenes.ts',
    ['rl/rewards/scene-judge'],
    [
      ['without thinking the rule is asked', "if (said.thinking === '')", "if (said.thinking === '#')"],
      [
        'a family without a rule is 0',
        ': abstained(`there is no rule',
        ': scored(0, {}) ?? abstained(`there is no rule',
      ],
      [
        'a scene that is none is 0',
        'return failed(inWords(thrown), performance.now() - began)',
        'return threefold({ soundness: 0, grounding: 0, consistency: 0 }, { why: inWords(thrown), began })',
      ],
    ],
  ),
].flat()
