/**
 * Counting: up to nine (twelve at level 4) circles, squares and triangles in three colours, of which a question asks for one kind, one
 * colour, or both; the others are distractors.
 *
 * @since 0.1.0
 */
import type { SKRSContext2D } from '@napi-rs/canvas'
import type { Random } from '../../random/index.ts'
import { css, darkColours, imageSize, lightColours, near, paint, type Rgb } from '../canvas.ts'
import type { Image, PatchLabels } from '../drawn.ts'
import {
  blankPatches,
  centreClass,
  claim,
  patchAt,
  patchClass,
  shapeColours,
  shapeKinds,
  tokenAt,
  tokenGrid,
} from '../patches.ts'
import type { TaskFamily } from './family.ts'

/** One of the three kinds. */
export type ShapeKind = (typeof shapeKinds)[number]
/** One of the three colours. */
export type ShapeColour = (typeof shapeColours)[number]

/** A shape: the middle and the side of the square around it, in pixels. */
export interface Shape {
  readonly kind: ShapeKind
  readonly colour: ShapeColour
  readonly rgb: Rgb
  readonly x: number
  readonly y: number
  readonly size: number
}

/** Shapes and what is asked about them; `null` where the question leaves the kind or the colour open. */
export interface CountScene {
  readonly family: 'count'
  readonly shapes: readonly Shape[]
  readonly ground: Rgb
  readonly asked: { readonly kind: ShapeKind | null; readonly colour: ShapeColour | null }
}

const tones: Readonly<Record<ShapeColour, Rgb>> = {
  red: [215, 40, 45],
  green: [35, 160, 65],
  blue: [45, 85, 225],
}
const most = [3, 6, 9] as const
/** Shapes at level 4, of which at most nine are asked for: the steps of an answer are digits. */
const crowd = [9, 12] as const
/** Pixels of ground between the squares around two shapes. */
const gap = 2
/** Side of the smallest shape, in pixels. */
export const smallestShape = 14

/** Random places for squares of these sides, none overlapping; a square that finds no room is made smaller. */
export const placeShapes = (
  r: Random,
  sizes: readonly number[],
): { x: number; y: number; size: number }[] => {
  for (;;) {
    const placed: { x: number; y: number; size: number }[] = []
    for (const wanted of sizes) {
      for (let tries = 0; tries < 60; tries++) {
        const size = tries < 40 ? wanted : smallestShape
        const half = size / 2 + 2
        const x = r.real(half, imageSize - half)
        const y = r.real(half, imageSize - half)
        const free = placed.every(
          (p) => Math.max(Math.abs(p.x - x), Math.abs(p.y - y)) >= (p.size + size) / 2 + gap,
        )
        if (!free) continue
        placed.push({ x, y, size })
        break
      }
    }
    if (placed.length === sizes.length) return placed
  }
}

/** Draws one shape. */
const drawShape = (c: SKRSContext2D, { kind, rgb, x, y, size }: Shape): void => {
  const h = size / 2
  c.fillStyle = css(rgb)
  c.beginPath()
  if (kind === 'circle') c.arc(x, y, h, 0, 2 * Math.PI)
  else if (kind === 'square') c.rect(x - h, y - h, size, size)
  else {
    c.moveTo(x, y - h)
    c.lineTo(x + h, y + h)
    c.lineTo(x - h, y + h)
    c.closePath()
  }
  c.fill()
}

/** The labels of an image of shapes. */
export const shapePatches = (shapes: readonly Shape[]): PatchLabels => {
  const out = blankPatches()
  const claims = shapes.map(({ colour, kind, x, y, size }) => ({
    ...{ x: x - size / 2, y: y - size / 2, width: size, height: size },
    name: `${colour} ${kind}`,
  }))
  claim(out, claims)
  for (const { colour, kind, x, y } of shapes) {
    out.classes[patchAt(x, y)] = patchClass(`${colour} ${kind}`)
    out.centres[patchAt(x, y)] = centreClass(`${colour} ${kind}`)
  }
  return out
}

/** The tones of a shape's colour, a little varied. */
export const toneOf = (colour: ShapeColour, r: Random): Rgb => near(tones[colour], 18, r)

/** A ground for shapes: one of the light colours, or black. */
export const drawGround = (r: Random): Rgb =>
  near(r.chance(0.2) ? darkColours.black! : r.pick(Object.values(lightColours)), 7, r)

const matches = (asked: CountScene['asked'], shape: Pick<Shape, 'kind' | 'colour'>): boolean =>
  (asked.kind === null || asked.kind === shape.kind) &&
  (asked.colour === null || asked.colour === shape.colour)

/** How many of the scene's shapes the question asks for. */
export const counted = (scene: Pick<CountScene, 'asked' | 'shapes'>): number =>
  scene.shapes.filter((s) => matches(scene.asked, s)).length

const noun = (kind: string, n: number): string => (n === 1 ? kind : `${kind}s`)

/** Each colour of each kind. */
export const combinations = shapeColours.flatMap((colour) => shapeKinds.map((kind) => ({ colour, kind })))

/**
 * The steps of an answer: how many of the shapes asked for have their middle in the first visual token, in the first two,
 * and so on to all sixteen. Each digit needs one look at one place and the digit before it.
 */
export const countedSoFar = (s: CountScene): readonly number[] => {
  const places = s.shapes.filter((shape) => matches(s.asked, shape)).map((shape) => tokenAt(shape.x, shape.y))
  return Array.from(
    { length: tokenGrid * tokenGrid },
    (_, last) => places.filter((place) => place <= last).length,
  )
}

/** Each coloured kind that occurs, with its number, in the order of colours and kinds. */
const tally = (shapes: readonly Shape[]) =>
  combinations
    .map((of) => ({ ...of, n: shapes.filter((s) => s.colour === of.colour && s.kind === of.kind).length }))
    .filter(({ n }) => n > 0)

/** Shapes on a ground. */
export const shapesImage = (ground: Rgb, shapes: readonly Shape[]): Image =>
  paint((c) => {
    c.fillStyle = css(ground)
    c.fillRect(0, 0, imageSize, imageSize)
    for (const shape of shapes) drawShape(c, shape)
  })

/** The count family. The content key: how many there are of each coloured kind, and which of the 16 fields they lie in. */
export const count: TaskFamily<CountScene> = {
  family: 'count',
  draw: (r, level) => {
    const limit = most[Math.min(level, 3) - 1]!
    const kind = r.pick(shapeKinds)
    const colour = r.pick(shapeColours)
    const asked = r.pick([
      { kind, colour },
      { kind, colour: null },
      { kind: null, colour },
    ])
    const wanted = r.int(0, limit)
    const total = level === 4 ? r.int(crowd[0], crowd[1]) : r.int(Math.max(wanted, 1), limit)
    const yes = combinations.filter((c) => matches(asked, c))
    const no = combinations.filter((c) => !matches(asked, c))
    const looks = r.shuffle(Array.from({ length: total }, (_, n) => r.pick(n < wanted ? yes : no)))
    const places = placeShapes(
      r,
      looks.map(() => r.int(smallestShape, total > 9 ? 16 : total > 6 ? 19 : 22)),
    )
    const ground = drawGround(r)
    const shapes = looks.map((l, n) => ({ ...l, rgb: toneOf(l.colour, r), ...places[n]! }))
    return { family: 'count', shapes, ground, asked }
  },
  key: (s) => {
    const fields = new Set(s.shapes.map(({ x, y }) => tokenAt(x, y)))
    const kinds = tally(s.shapes).map((t) => `${t.n}${t.colour}${t.kind}`)
    return `${kinds.join()}@${[...fields].sort((a, b) => a - b).join()}`
  },
  image: (s) => shapesImage(s.ground, s.shapes),
  patches: (s) => shapePatches(s.shapes),
  caption: (s) =>
    tally(s.shapes)
      .map((t) => `${t.n} ${t.colour} ${noun(t.kind, t.n)}`)
      .join(', '),
  ask: (s) => {
    const { kind, colour } = s.asked
    const n = String(counted(s))
    // all wordings are of one length, so that the steps of every answer are equally far from the visual tokens
    const question =
      colour === null
        ? `How many ${kind}s are in view?`
        : `How many ${colour} ${kind === null ? 'shapes' : `${kind}s`} are there?`
    const steps = countedSoFar(s).join('')
    return { question, steps, answer: `${steps}, so ${n}`, final: n }
  },
}
