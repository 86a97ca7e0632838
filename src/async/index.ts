/**
 * Tasks that wait for one another. Small, since threads that compute load it.
 *
 * @since 0.1.0
 */
export { atMost } from './at-most.ts'
