/**
 * What stages, reports and the command read of a run. It is no export of the package.
 */
export { changedData, dataFiles } from './data-files.ts'
export { advantageText } from './judgement-text.ts'
