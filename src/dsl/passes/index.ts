/** Passes: graph in, graph out, the numbers unchanged. */
export * from './common-subexpressions.ts'
export * from './fold-constants.ts'
export * from './fold-transposes.ts'
export * from './merge-projections.ts'
export * from './narrow.ts'
export * from './optimise.ts'
