/** Checks that hang, eat memory, end their thread or answer with what is none, for tests of the pool. */

const wait = (ms) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

export default ({ text, columns }) => (text === columns.answer ? 1 : 0)

/** Works so many milliseconds without a pause. */
export const busy = ({ ms }) => {
  wait(ms)
  return 1
}

export const forever = () => {
  for (;;);
}

/** A pattern that backtracks without end on the text that it is given. */
export const backtracks = ({ text }) => (/^(a+)+$/.test(text) ? 1 : 0)

export const hoards = () => {
  const kept = []
  for (;;) kept.push(new Array(1e6).fill(kept.length))
}

export const leaves = () => process.exit(3)

export const throws = () => {
  throw new Error('not today')
}

export const recurses = () => {
  const down = (n) => 1 + down(n + 1)
  return down(0)
}

export const nothing = () => undefined

export const uncopied = () => ({ _tag: 'Scored', value: 1, evidence: { f: () => 1 } })

export const later = async () => 0.5

export const judges = () => ({ _tag: 'Abstained', why: 'not mine' })
