/**
 * What a person sees of a run: `report.html`; of several: one page that compares them.
 *
 * @since 0.1.0
 */
export { renderComparison, writeComparison } from './compare/page.ts'
export { renderReport, type ShownRollouts, writeReport } from './report.ts'
export { wilson, wilsonDifference } from './wilson.ts'
