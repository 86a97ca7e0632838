/**
 * Words, numbers, tables and colours as a terminal shows them.
 *
 * @since 0.1.0
 */
export { asCalled, called, shellWord } from './called.ts'
export { type Compiling, compilingLines } from './compiling.ts'
export {
  begunWith,
  byteSize,
  duration,
  firstOf,
  grouped,
  keptOf,
  percent,
  rate,
  short,
  significant,
} from './format.ts'
export { didYouMean, editDistance, nearest, unknownName } from './nearest.ts'
export { numberIn } from './number.ts'
export { systemWords } from './system-words.ts'
export {
  bar,
  type Column,
  clipLine,
  fit,
  type Ink,
  inked,
  type Look,
  lookOf,
  type TextSink,
  terminalRows,
  textTable,
  width,
} from './terminal.ts'
