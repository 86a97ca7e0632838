/**
 * What a family of tasks is: pure functions from a random stream to a scene, and from a scene to everything else.
 *
 * @since 0.1.0
 */
import { tokenAt, tokenGrid } from '../patches.ts'
import type { Random } from '../random.ts'
import type { Family, Level, PatchLabels, Picture, Scene } from '../sample.ts'

/** A question about a scene, the text to answer with, and the part of it that is scored. */
export interface Question {
  readonly question: string
  readonly answer: string
  readonly final: string
}

/** One family of tasks over scenes of type `S`. */
export interface TaskFamily<S extends Scene> {
  readonly family: Family
  /** Draws a scene, its question included. */
  readonly draw: (r: Random, level: Level) => S
  /** What the scene is about, whatever it looks like: held-out and training samples never share a key. */
  readonly key: (scene: S) => string
  /** Renders the scene. */
  readonly picture: (scene: S) => Picture
  /** What each patch of the rendered scene shows. */
  readonly patches: (scene: S) => PatchLabels
  readonly caption: (scene: S) => string
  readonly ask: (scene: S) => Question
  /** The scene in words, one text for each of the 16 places where the picture's visual tokens stand; '' where empty. */
  readonly slots: (scene: S) => readonly string[]
}

/** Sorts words into the 16 visual tokens' places by their points, in the order given. */
export const slotted = (
  words: readonly { readonly word: string; readonly x: number; readonly y: number }[],
  separator: string,
): string[] => {
  const slots: string[][] = Array.from({ length: tokenGrid * tokenGrid }, () => [])
  for (const { word, x, y } of words) slots[tokenAt(x, y)]!.push(word)
  return slots.map((s) => s.join(separator))
}
