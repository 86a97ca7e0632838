/** Multiple choice as free response: what is asked without its options, and what cannot be. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countsOf, freeResponse } from '../../src/data/index.ts'

interface Asking {
  readonly request: string
  readonly answer: string
  readonly thought?: string
}

const test = suite('data: free response')

const freed = (request: string, answer: string, more: Partial<Asking> = {}): Asking | string => {
  const { kept, dropped } = freeResponse([{ request, answer, ...more } as Asking])
  assert.is(kept.length + dropped.length, 1)
  return kept[0] ?? dropped[0]!.why
}

const lines = 'What is 2 + 2?\n(A) 3\n(B) 4\n(C) 5\n(D) 6'

test('options in every usual writing go, and the right one is the answer', () => {
  const cases: readonly (readonly [request: string, answer: string, stem: string, free: string])[] = [
    [lines, 'B', 'What is 2 + 2?', '4'],
    ['What is 2 + 2? (A) 3 (B) 4 (C) 5 (D) 6', '(C)', 'What is 2 + 2?', '5'],
    ['What is 2 + 2?\nA. 3\nB. 4\nC. 5', 'B.', 'What is 2 + 2?', '4'],
    ['What is 2 + 2?\n\na) 3\nb) 4', 'b', 'What is 2 + 2?', '4'],
    ['What is 2 + 2?\n**A.** 3\n**B.** 4', 'B. 4', 'What is 2 + 2?', '4'],
    ['What is 2 + 2?\nA: 3\nB: 4\n', '4', 'What is 2 + 2?', '4'],
    ['What is 2 + 2? A. 3 B. 4 C. 5 D. 6', 'D', 'What is 2 + 2?', '6'],
    [
      'Question: How many cars are there?\nOptions:\nA. two\nB. three\nPlease select the correct answer from the options above.',
      'B',
      'How many cars are there?',
      'three',
    ],
    [
      'Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\nQuestion: Find x.\nChoices:\n(A) 12\n(B) 15\n(C) 16\n(D) 18',
      'The answer is (C).',
      'Find x.',
      '16',
    ],
    [
      "What colour is the bus?\nA. Dark red\nB. Blue\nAnswer with the option's letter from the given choices directly.",
      'A',
      'What colour is the bus?',
      'Dark red',
    ],
    [
      'What is $\\frac{1}{2} + \\frac{1}{4}$? $\\textbf{(A)}\\ \\frac{3}{4} \\qquad\\textbf{(B)}\\ 1 \\qquad\\textbf{(C)}\\ \\frac{1}{8}$',
      '\\boxed{\\text{(A)}}',
      'What is $\\frac{1}{2} + \\frac{1}{4}$?',
      '\\boxed{\\frac{3}{4}}',
    ],
    ['What is x?\n(A) $x=1$\n(B) $\\sqrt{2}$', '\\boxed{B}', 'What is x?', '\\boxed{$\\sqrt{2}$}'],
    ['图中有几个苹果？\nA. 3\nB. 4\n请选择正确的选项。', 'A', '图中有几个苹果？', '3'],
  ]
  for (const [request, answer, stem, free] of cases) {
    const made = freed(request, answer)
    assert.equal(made, { request: stem, answer: free }, request)
  }
})

test('what only its options make a question is dropped, with why', () => {
  const options = '\n(A) a car\n(B) a bicycle\n(C) All of the above\n(D) It cannot be determined'
  const cases: readonly (readonly [request: string, answer: string, why: RegExp])[] = [
    [`Which of the following is shown?${options}`, 'A', /it asks for the following/],
    [`Which of these has wheels?${options}`, 'A', /one of them/],
    [`Which is faster?${options}`, 'A', /it asks for which/],
    [`Which statement is right?${options}`, 'A', /it asks for which/],
    ['The height is closest to?\n(A) 3\n(B) 9', 'A', /the nearest/],
    ['What best describes it?\n(A) 3\n(B) 9', 'A', /the nearest/],
    ['It has wheels, except?\n(A) 3\n(B) 9', 'A', /what may be/],
    ['What could be the value of x?\n(A) 3\n(B) 9', 'A', /what may be/],
    [`What is shown?${options}`, 'C', /its answer speaks of other options/],
    [`What is shown?${options}`, 'D', /its answer says that there is none/],
    ['What is shown?\n(A) x\n(B) y\n(C) Both A and B', 'C', /speaks of other options/],
    ['What is shown?\n(A) x\n(B) y\n(C) A and B', 'C', /speaks of other options/],
    ['What is shown?\n(A) x\n(B) None of these', 'B', /speaks of other options/],
    [`What is shown?${options}`, 'E', /names none of its options/],
    [`What is shown?${options}`, 'a lorry', /names none of its options/],
    ['What point is it?\n(A) B\n(B) A', 'B', /its answer is a letter/],
    ['What point is it?\n(A) (C)\n(B) $C$\n(C) \\text{c}', 'C', /its answer is a letter/],
    ['What is it?\n(A) one\n(B) One.', 'A', /its options A and B are the same/],
    ['What is it?\n(A)\n(B) One.', 'A', /its answer is empty/],
    ['What is it?\n(A) <image 1>\n(B) <image 2>', 'A', /its answer is an image/],
    ['What is it?\n(A) one two three four five six seven\n(B) One.', 'A', /has 7 words, and 6/],
    ['What is it?\n(A) one\n(B) two\nHere x is 4.', 'A', /more stands after its options/],
    ['Which shape has corners (see the figure)?', '(B)', /its answer is a letter, and it has no options/],
    ['Is (A) in (B)?\n(A) yes\n(B) no\n', 'B', /has options before its options/],
    ['(A) one\n(B) two', 'A', /nothing is asked before/],
  ]
  for (const [request, answer, why] of cases) {
    const made = freed(request, answer)
    assert.type(made, 'string', `${request} → ${JSON.stringify(made)}`)
    assert.match(made as string, why)
  }
  assert.match(
    freed(lines, 'B', { thought: '2 + 2 is 4, so it is (B)' }) as string,
    /thought speaks of an option/,
  )
  assert.equal((freed(lines, 'B', { thought: '2 + 2 is 4' }) as Asking).thought, '2 + 2 is 4')
  // a wrong option may say what it likes
  assert.equal(freed(`What is shown?${options}`, 'B'), { request: 'What is shown?', answer: 'a bicycle' })
  const long = '(A) one two three four five six seven\n(B) One.'
  assert.is(freeResponse([{ request: `What is it?\n${long}`, answer: 'A' }], { mostWords: 7 }).kept.length, 1)
  assert.throws(() => freeResponse([], { mostWords: 0 }), /mostWords: it is 0/)
})

test('what has no options stays as it is, with all that it carries, and what is dropped is counted', () => {
  const plain = { id: 'p', request: 'What is f(A) if A is 2? (Give a number.)', answer: '4', level: 3 }
  const choice = { id: 'c', request: lines, answer: 'B', level: 1 }
  const bad = { id: 'b', request: lines, answer: 'F', level: 1 }
  const made = freeResponse([plain, choice, bad])
  assert.is(made.kept[0], plain)
  assert.equal(made.kept[1], { ...choice, request: 'What is 2 + 2?', answer: '4' })
  assert.is(made.dropped[0]!.example, bad)
  assert.equal(countsOf(made), { freeResponse: 1 })
})

test('no option letter is ever left as the answer, nor an option in the question', () => {
  const text = fc.oneof(
    fc.constantFrom(
      'A',
      'b',
      '(C)',
      '$D$',
      '\\text{(B)}',
      '\\boxed{A}',
      'all of the above',
      '',
      '3',
      '-1/2',
      'a red car',
    ),
    fc.integer().map(String),
    fc.string({ maxLength: 12 }),
  )
  const mark = fc.constantFrom<(l: string) => string>(
    (l) => `(${l}) `,
    (l) => `${l}. `,
    (l) => `${l}) `,
    (l) => `\\textbf{(${l})}\\ `,
  )
  const wrap = fc.constantFrom<(l: string) => string>(
    (l) => l,
    (l) => `(${l})`,
    (l) => `${l}.`,
    (l) => `\\boxed{${l}}`,
    (l) => `The answer is ${l}.`,
    (l) => `\\boxed{\\text{(${l})}}`,
  )
  let kept = 0
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 2, maxLength: 6 }),
      mark,
      wrap,
      fc.nat(5),
      (texts, as, wrapped, n) => {
        const letters = texts.map((_, i) => 'ABCDEF'[i]!)
        const request = `What is seen in it?\n${texts.map((t, i) => as(letters[i]!) + t).join('\n')}`
        const made = freed(request, wrapped(letters[n % letters.length]!))
        if (typeof made === 'string') return
        kept++
        assert.is(made.request, 'What is seen in it?')
        const bare = made.answer.replace(/^\\boxed\{(.*)\}$/s, '$1')
        assert.not.match(bare.replaceAll(/\\(?:text|textbf|boxed)|[^\p{L}\p{N}]/gu, ''), /^[A-F]$/i)
      },
    ),
    { numRuns: 2000 },
  )
  assert.ok(kept > 200, String(kept))
})

test('a long text is read in no time', () => {
  const began = process.cpuUsage()
  for (const piece of ['(A) ', 'A. ', '\\textbf{(A)}\\ ', ' ', '\\ ', '~', '$', '\n', '**', 'which ', '.'])
    for (const end of ['', 'x', '\n(A) 1\n(B) 2'])
      freeResponse([{ request: `What?${piece.repeat(20_000)}${end}`, answer: 'A' }])
  const { user } = process.cpuUsage(began)
  assert.ok(user < 5e6, `${user / 1e6} s`)
})

test.run()
