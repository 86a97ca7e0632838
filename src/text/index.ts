/**
 * Answers as models write them: what stands in `\boxed{…}`. Pure and small, since threads that verify answers load it.
 *
 * @since 0.1.0
 */
export { type BoxedText, boxesIn, lastBoxed, lastBoxes } from './boxes.ts'
