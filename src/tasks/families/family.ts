/**
 * What a family of tasks is: pure functions from a random stream to a scene, and from a scene to everything else.
 *
 * @since 0.1.0
 */
import type { Random } from '../../random/index.ts'
import type { Image, Level, PatchLabels } from '../drawn.ts'

/** A question about a scene, the text to answer with, and the part of it that is scored. */
export interface TaskQuestion {
  readonly question: string
  /** What is written on the way to the answer: empty where there is nothing to work out. */
  readonly steps: string
  /** The whole text of an answer: the steps, and the result after them. */
  readonly answer: string
  /** The exact answer that is scored. */
  readonly final: string
}

/** One family of tasks over scenes of type `S`. */
export interface TaskFamily<S> {
  readonly family: string
  /** Draws a scene, its question included. */
  readonly draw: (r: Random, level: Level) => S
  /** What the scene is about, whatever it looks like: held-out and training samples never share a key. */
  readonly key: (scene: S) => string
  /** Renders the scene. */
  readonly image: (scene: S) => Image
  /** What each patch of the rendered scene shows. */
  readonly patches: (scene: S) => PatchLabels
  readonly caption: (scene: S) => string
  readonly ask: (scene: S) => TaskQuestion
}
