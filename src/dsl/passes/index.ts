/** Passes: graph in, graph out, the numbers unchanged. */
export * from './clamp-indices.ts'
export * from './clamp-program.ts'
export * from './common-subexpressions.ts'
export * from './fold-constants.ts'
export * from './fold-transposes.ts'
export * from './merge-projections.ts'
export * from './narrow.ts'
export * from './optimise.ts'
