/**
 * Generation: tokens drawn from a session, any number of prompts through the rows of one cache.
 *
 * @since 0.1.0
 */
export {
  type Answer,
  type AnswersOptions,
  type Asked,
  type Decoding,
  type DecodingOptions,
  type DecodingSizes,
  decoding,
} from './decoding.ts'
export { type Generator, generator } from './generator.ts'
export { neverDrawn } from './never-drawn.ts'
export {
  type Beside,
  biasOf,
  type Drawn,
  draw,
  LogitsError,
  probabilities,
  type Sampling,
  type Settled,
  settled,
  unfiltered,
} from './sampling.ts'
export { type Uniforms, uniforms } from './uniforms.ts'
