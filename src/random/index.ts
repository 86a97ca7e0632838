/**
 * Random numbers that a seed and names determine: the one generator of fresh weights, rendered samples and tests.
 *
 * @since 0.1.0
 */
export { fillNormal, fillTruncatedNormal, fillUniform } from './fill.ts'
export { hash32 } from './hash32.ts'
export { keyOf, type Seed } from './key.ts'
export { type Random, random } from './stream.ts'
export { type RandomKey, threefry, wordsFrom } from './threefry.ts'
