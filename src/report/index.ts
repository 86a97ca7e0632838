/**
 * What a person sees of a run: `report.html`.
 *
 * @since 0.1.0
 */
export { renderReport, writeReport } from './report.ts'
export { wilson } from './wilson.ts'
