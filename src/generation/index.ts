/**
 * Generation: tokens drawn from a session, a batch of prompts at a time.
 *
 * @since 0.3.0
 */
export { type Generator, generator } from './generator.ts'
