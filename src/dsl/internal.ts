/**
 * What engines lower and check graphs with. It is no export of the package: what users write with is in `index.ts`.
 */
export { sameAxes } from './axis.ts'
export { insideOf } from './composite.ts'
export { arrayOf } from './graph.ts'
export { rootsOf, withRoots } from './program.ts'
