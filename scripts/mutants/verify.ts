import { mutantsOf } from './mutant.ts'

/** Bugs of the verifiers in `src/rl/verify`. */
export const verify = [
  mutantsOf(
    'src/text/boxes.ts',
    ['rl/verify/answers'],
    [
      ['the first box', 'closedIn(text).at(-1)', 'closedIn(text).at(0)'],
      [
        'the first brace ends a box',
        "} else if (c === '{') {\n      starts.push(-1)",
        "} else if (c === '#') {\n      starts.push(-1)",
      ],
      [
        'boxes far apart belong together',
        "gap.length > 80 || gap.replaceAll(between, '') !== ''",
        'gap.length > 8000',
      ],
      ['boxes from the last to the first', 'taken.unshift(', 'taken.push('],
    ],
  ),
  mutantsOf(
    'src/rl/verify/extract.ts',
    ['rl/verify/answers'],
    [
      ['the first number', 'matchAll(numbers)].at(-1)', 'matchAll(numbers)].at(0)'],
      ['a number before a formula counts', 'number.at <= formula.at', 'number.at > formula.at'],
      ['what stands between two formulas is one', "body.trim() === '' || i % 2 === 0", "body.trim() === ''"],
    ],
  ),
  mutantsOf(
    'src/rl/verify/residue.ts',
    ['rl/verify/answers'],
    [
      ['a power without its end', 'left > 0n; square', 'left > 1n; square'],
      ['every symbol is one', 'value + BigInt(name.charCodeAt(i))', 'value + BigInt(name.length)'],
      [
        'a number too small for floating point is none',
        'apart[0] !== undefined && apart[0] !== 0n && apart[0] === apart[1]',
        'false',
      ],
      ['what differs by 0 differs', 'apart[0] !== 0n && ', ''],
    ],
  ),
  mutantsOf(
    'src/rl/verify/choice.ts',
    ['rl/verify/answers'],
    [
      ['two options are the first', 'letters) ? null : saidLetter', 'letters) ? saidLetter : saidLetter'],
      [
        'a label among others counts',
        'rest === undefined || /(?<![A-Za-z])[A-Z](?:[).:\\]]|$)/.test(rest)',
        'rest === undefined',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/same-answer.ts',
    ['rl/verify/answers'],
    [
      [
        'a percent sign is always a hundredth',
        "return percent === 'dropped' ? [node.of] : [node, node.of]",
        'return [node]',
      ],
      [
        'units are dropped',
        'if (factor === undefined) return false',
        'if (factor === undefined) return sameFormula(a.number, b.number, o)',
      ],
      [
        'nothing is every answer',
        "if (b === '') return { same: a === '',",
        "if (b === '') return { same: true,",
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/units.ts',
    ['rl/verify/answers'],
    [
      ['a symbol is a unit', '/^[a-z]$/.test(word) || ', ''],
      ['a square is a length', "square !== undefined ? '2' : ", ''],
      ['an amount is a number', 'if (amount !== undefined) return', 'if (amount === "") return'],
      ['converted twice over', '{fraction(a.factor)}/', '{fraction(b.factor * 2)}/'],
      ['an area is converted as a length', '.power}`', '.power ** 0}`'],
      ['another answer is a unit', 'if (hedge.test(word)) return undefined', ''],
      ['metres are squared metres', 'if (from.power !== to.power) return undefined', ''],
      ['metres are grams', 'if (a.quantity !== b.quantity) return undefined', ''],
    ],
  ),
  mutantsOf(
    'src/rl/verify/rational.ts',
    ['rl/verify/answers'],
    [
      [
        'sums over the first denominator',
        'rational(a.n * b.d + b.n * a.d, a.d * b.d)',
        'rational(a.n + b.n, a.d * b.d)',
      ],
      ['fractions are not reduced', 'const g = d === 1n ? 1n : gcd(n, d)', 'const g = 1n'],
      [
        'decimals shifted by one',
        'const power = exponent - fraction.length',
        'const power = exponent - fraction.length + 1',
      ],
      [
        'negative powers are positive',
        'return exponent < 0n ? rational(d, n)',
        'return exponent > 0n ? rational(n, d)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/same-number.ts',
    ['rl/verify/answers'],
    [
      ['a step in place of half a step', 'return 0.5 * 10 **', 'return 10 * 10 **'],
      ['one point is enough', 'const points = 8', 'const points = 0'],
      ['all points are near 0', 'bends && point % 2 === 1 ? far : 1', '1'],
      ['large numbers hide small ones', 'if (exact && p !== q && !rounds) return false', ''],
      [
        'every decimal is rounded',
        '((isRounded(a) && isEndless(b)) || (isRounded(b) && isEndless(a)))',
        'true',
      ],
      ['infinity has no sign', 'of === undefined ? undefined : -of', 'of'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/same-tree.ts',
    ['rl/verify/answers'],
    [
      [
        'tuples in any order',
        'if (p !== undefined && q !== undefined && inOrder(p, q)) return true',
        'if (p !== undefined && q !== undefined && p.length === q.length) return true',
      ],
      [
        'an intersection is none where it stands second',
        'if (isStretch(a) || isStretch(b)) {',
        "if (isStretch(a) || (b.t !== 'intersection' && isStretch(b))) {",
      ],
      [
        'a list gives another list',
        "return of.every((n, i) => n === node.of[i]) ? node : { t: 'list', of }",
        "return { t: 'list', of }",
      ],
      ['values without their names', 'if (m !== undefined && n !== undefined) return inAnyOrder(m, n)', ''],
      [
        'large sides hide a difference of equations',
        'if (exact && ratios[0] !== ratios[1]) return false',
        '',
      ],
      ['one entry answers for two', 'left.splice(found, 1)', ''],
      ['a residue without its modulus', ' || !same(x.b, y.b)', ''],
      [
        'ratios by their first two numbers',
        'x.of.every((n, i) => i === 0 ||',
        'x.of.every((n, i) => i !== 1 ||',
      ],
      ['an inequality is what it is turned', '!(ratio.im === 0 && ratio.re > 0)', 'false'],
      ['numbered roots are in order', "if (numbered && plain.t !== 'tuple') return undefined", ''],
      [
        'named numbers are an interval',
        "if (plain.t === 'tuple' && (plain.open !== '(' || plain.close !== ')')) return false",
        '',
      ],
      [
        'an answer said twice is two',
        'of : of.filter((n, i) => !of.slice(0, i).some((m) => same(n, m)))',
        'of : of',
      ],
      [
        'open and closed brackets are one',
        "if (x.t === 'tuple' && y.t === 'tuple' && (x.open !== y.open || x.close !== y.close)) return false",
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/parse.ts',
    ['rl/verify/answers'],
    [
      ['dates are differences', 'if (isMoment(text)) return undefined', ''],
      ['a time of day is a ratio', 'reduced?.d !== BigInt(found[2])', 'false'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/operand.ts',
    ['rl/verify/answers'],
    [
      ['what holds of whole numbers holds of all', "(within.t === 'numbers' && within.name === 'R')", 'true'],
      ['numerals without their base', 'base.value.n}`', 'base.value.d}`'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/intervals.ts',
    ['rl/verify/answers'],
    [
      [
        'what intervals have in common grows as a product',
        'merged(a.flatMap((x) => b.map((y) => meet(x, y)))))',
        'a.flatMap((x) => b.map((y) => meet(x, y))))',
      ],
      ['ends are open and closed alike', '&& x.withLow === y.withLow && x.withHigh === y.withHigh', ''],
      ['a falling line does not turn', 'i < at !== line.slope < 0', 'i < at'],
      ['every kind of number is all of them', "node.name === 'R' ? [all] : undefined", '[all]'],
      [
        'inequalities are said one or the other',
        "node.t === 'list' && sameIntervals(joined, [all]) ? common(parts) : joined",
        'joined',
      ],
      ['a complement keeps its ends', 'withHigh: !withLow }', 'withHigh: withLow }'],
      [
        'an inequality is not turned',
        "'<': '>', '>': '<', '<=': '>=', '>=': '<=', '=': '=', '!=': '!=' } as const",
        "'<': '<', '>': '>', '<=': '<=', '>=': '>=', '=': '=', '!=': '!=' } as const",
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/evaluate.ts',
    ['rl/verify/answers'],
    [
      ['log is natural', 'b === undefined ? C.real(Math.LN10)', 'b === undefined ? C.real(1)'],
      ['degrees are radians', 'C.times(at(node.of), C.real(Math.PI / 180))', 'at(node.of)'],
      ['a percent is itself', 'Q.divide(of, { n: 100n, d: 1n })', 'of'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/text.ts',
    ['rl/verify/answers', 'rl/verify/metrics'],
    [
      ['wide characters stay wide', '- 0xfee0)', ')'],
      ["a sentence's end is the answer's", 'if (period.test(left))', 'if (false)'],
      [
        'formula signs stay around',
        'left.startsWith(open) && left.endsWith(close) && !inside.includes(open)',
        "left.startsWith(open) && left.endsWith(close) && inside === '#'",
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/choice.ts',
    ['rl/verify/metrics', 'rl/verify/answers', 'rl/rewards/shape'],
    [
      [
        'a letter that is no option counts',
        'letter !== undefined && letters.includes(letter)',
        'letter !== undefined',
      ],
      ['the first that was said', '),\n  ].at(-1)', '),\n  ].at(0)'],
      ['of several the first', 'if (quoted.length === 1)', 'if (quoted.length >= 1)'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/similar-text.ts',
    ['rl/verify/metrics'],
    [
      ['a replaced letter costs two', '(c === d ? 0 : 1)', '(c === d ? 0 : 2)'],
      [
        'the worst of the true answers',
        'const best = Math.max(0, ...similarities)',
        'const best = Math.min(1, ...similarities)',
      ],
      ['below the threshold something is left', 'return best >= threshold ? best : 0', 'return best'],
      ['an annotator counts against himself', '(total - (match ? 1 : 0)) / 3', 'total / 3'],
      [
        'the similarity by the shorter',
        'levenshtein(given, truth) / length',
        'levenshtein(given, truth) / Math.min(m, n)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/relaxed.ts',
    ['rl/verify/metrics'],
    [
      ['a tolerance of the answer and not of the truth', '/ Math.abs(truth) <=', '/ Math.abs(given) <='],
      ['a percent is a number', 'Number(plain) / (percent ? 100 : 1)', 'Number(plain)'],
      ['nan is nan', '&& !/^[+-]?(?:inf(?:inity)?|nan)$/.test(texts[0]!)', ''],
    ],
  ),
  mutantsOf(
    'src/rl/verify/region.ts',
    ['rl/verify/metrics', 'rl/rewards/shape'],
    [
      ['the shared part counts twice', 'area(a) + area(b) - shared', 'area(a) + area(b)'],
      ['rectangles apart overlap', 'Math.max(0, x2 - x1) * Math.max(0, y2 - y1)', '(x2 - x1) * (y2 - y1)'],
      ['the first rectangle', 'matchAll(four)].at(-1)', 'matchAll(four)].at(0)'],
      [
        'heights by the width',
        '[within(y1, height), within(y2, height)]',
        '[within(y1, width), within(y2, width)]',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/repetition.ts',
    ['rl/rewards/shape'],
    [
      ['one n-gram too few', 'n < size; n++', 'n < size - 1; n++'],
      [
        'the share that is not repeated',
        'return 1 - new Set(grams).size / grams.length',
        'return new Set(grams).size / grams.length',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/checks.ts',
    ['rl/rewards/shape', 'rl/verify/pool'],
    [
      [
        'of several truths the first alone',
        'for (const truth of truths) {',
        'for (const truth of truths.slice(0, 1)) {',
      ],
      ['a threshold that is reached is missed', 'overlap >= i.threshold', 'overlap > i.threshold'],
      [
        'an answer that is cut has its evidence whole',
        'text.length <= kept ? text',
        'text.length >= 0 ? text',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/verify/pool.ts',
    ['rl/verify/pool'],
    [
      [
        'a thread whose check is late stays',
        "settle(thread, { _tag: 'Failed', why, elapsedMs })\n    drop(thread)",
        "settle(thread, { _tag: 'Failed', why, elapsedMs })",
      ],
      ['one thread too many', 'threads.size < workers ?', 'threads.size <= workers ?'],
      [
        'what waits is never settled by close',
        "for (const job of waiting) job.done({ _tag: 'Failed', why: 'the pool was closed', elapsedMs: 0 })",
        '',
      ],
      ['the clock runs while it waits', 'if (elapsedMs < limit) {', 'if (elapsedMs < 0) {'],
    ],
  ),
  mutantsOf(
    'src/rl/verify/worker.ts',
    ['rl/verify/pool'],
    [
      [
        'what throws is never answered',
        'port.postMessage({ id, error: said(thrown), elapsedMs: now() - at } satisfies CheckReply)',
        '',
      ],
      ['a check is not waited for', '? await check(', '? check('],
    ],
  ),
  mutantsOf(
    'src/rl/verify/worker.ts',
    ['rl/standstill'],
    [['a check that is to be found is called', "'input' in request ? await", 'true ? await']],
  ),
].flat()
