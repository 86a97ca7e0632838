/**
 * Models of the Hugging Face hub brought into a folder.
 *
 * @since 0.1.0
 */
export { type FetchedModel, type FetchOptions, type FetchProgress, fetchModel } from './fetch-model.ts'
export { HubError, type HubErrorTag } from './hub-error.ts'
export type { Checksum, ShelfFile } from './shelf.ts'
