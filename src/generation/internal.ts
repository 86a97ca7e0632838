/**
 * What a server draws with as decoding does. It is no export of the package: what users draw with is in `index.ts`.
 */
export { filterInputs } from './sampling.ts'
