/**
 * Models and data sets of the Hugging Face hub brought into a folder.
 *
 * @since 0.1.0
 */
export { type FetchDatasetOptions, fetchDataset } from './fetch-dataset.ts'
export type { Fetched, FetchOptions, FetchProgress } from './fetch-files.ts'
export { type FetchModelOptions, fetchModel } from './fetch-model.ts'
export { HubError, type HubErrorTag } from './hub-error.ts'
export type { Checksum, ShelfFile } from './shelf.ts'
