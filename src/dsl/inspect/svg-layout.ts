/**
 * Where the boxes of a diagram go: ranks from top to bottom, arrows past other boxes in lanes on the right.
 *
 * @since 0.1.0
 */
import { type Arrow, countOf, detailOf, type End, type Item, titleOf } from './diagram.ts'

/** A box at its place; coordinates are pixels relative to the box around. */
export interface Laid {
  readonly item: Item
  readonly width: number
  readonly height: number
  readonly x: number
  readonly y: number
  /** Lines of text: the title first. */
  readonly lines: readonly string[]
  readonly inside: readonly Laid[]
  /** Where arrows from outside arrive and leave, from the left edge. */
  readonly port: number
  /** Arrows inside as SVG paths. */
  readonly paths: readonly Path[]
}

/** An arrow; without a head where it goes on inside the box that it reaches, or outside. */
export interface Path {
  readonly d: string
  readonly head: boolean
}

/** Average advance of a character, in parts of the font size: the title is bold. */
const advance = { title: 0.64, detail: 0.58 } as const
/** Sizes of the title's and of the other lines' type. */
export const fontSizes = { title: 13, detail: 11 } as const
/** Heights of the title's and of the other lines, and the space around text. */
export const lineHeights = { title: 18, detail: 15, margin: 9 } as const

const gap = { row: 30, column: 22, side: 20, lane: 12 } as const
const joinRadius = 12

const textWidth = (lines: readonly string[]): number =>
  Math.max(
    ...lines.map(
      (l, i) =>
        [...l].length * (i === 0 ? advance.title * fontSizes.title : advance.detail * fontSizes.detail),
    ),
  )

const leaf = (item: Item): Laid => {
  const lines = [titleOf(item), detailOf(item), countOf(item)].filter((l) => l !== '')
  if (item.kind === 'join') {
    const width = Math.max(2 * joinRadius, textWidth([item.label]) + 14)
    return {
      item,
      width,
      height: 2 * joinRadius,
      x: 0,
      y: 0,
      lines: [item.label],
      inside: [],
      port: width / 2,
      paths: [],
    }
  }
  const width = textWidth(lines) + 24
  return {
    item,
    width,
    port: width / 2,
    height: lineHeights.title + (lines.length - 1) * lineHeights.detail + 2 * lineHeights.margin - 4,
    x: 0,
    y: 0,
    lines,
    inside: [],
    paths: [],
  }
}

/** Longest path from the top for every item; inputs move down to just above what reads them. */
const ranksOf = (box: Item): ReadonlyMap<End, number> => {
  const rank = new Map<End, number>([['in', -1]])
  for (const x of box.items) {
    const before = box.arrows.filter((a) => a.to === x).map((a) => rank.get(a.from) ?? -1)
    rank.set(x, Math.max(-1, ...before) + 1)
  }
  for (const x of box.items) {
    const after = box.arrows.filter((a) => a.from === x).map((a) => rank.get(a.to) ?? 0)
    if (x.kind === 'input' && after.length > 0) rank.set(x, Math.max(0, Math.min(...after) - 1))
  }
  rank.set('out', Math.max(-1, ...box.items.map((x) => rank.get(x)!)) + 1)
  return rank
}

interface Spot {
  readonly x: number
  readonly y: number
  /** Upper and lower edge of its row. */
  readonly rowTop: number
  readonly rowBottom: number
}

/** An end of an arrow, and the edge of its row, beyond which boxes may stand in the way. */
interface Port {
  readonly x: number
  readonly y: number
  readonly row: number
}

/** A line down, where there is a way to go. */
const down = (from: number, to: number): string => (Math.abs(from - to) < 0.1 ? '' : `V${r(to)}`)

/** A curve that leaves downwards and arrives downwards. */
const curve = (x1: number, y1: number, x2: number, y2: number): string => {
  const middle = (y1 + y2) / 2
  return `C${r(x1)} ${r(middle)} ${r(x2)} ${r(middle)} ${r(x2)} ${r(y2)}`
}

const r = (x: number): string => String(Math.round(x * 10) / 10)

/** The items of a box, laid out, and where they stand in it. */
interface Placed {
  readonly parts: ReadonlyMap<End, Laid>
  readonly rows: readonly (readonly Item[])[]
  readonly at: ReadonlyMap<End, Spot>
  /** The line on which arrows come in and go out, and how far to the right the rows reach. */
  readonly middle: number
  readonly edge: number
  readonly bottom: number
}

/** Where an item's arrows arrive and leave, from the left edge of the box around. */
const centreOf = ({ parts, at }: Pick<Placed, 'parts' | 'at'>, x: End): number =>
  at.get(x)!.x + parts.get(x)!.port

/** Places items in rows from the top, each centred; within a row, by where the sources are. */
const placed = (item: Item, rank: ReadonlyMap<End, number>, top: number): Placed => {
  const parts = new Map<End, Laid>(item.items.map((x) => [x, layOut(x)]))
  const rows: Item[][] = []
  for (const x of item.items) {
    const k = rank.get(x)!
    while (rows.length <= k) rows.push([])
    rows[k]!.push(x)
  }
  const widthOf = (row: readonly Item[]): number =>
    row.reduce((n, x) => n + parts.get(x)!.width, gap.column * (row.length - 1))
  /** A row of inputs alone stands aside where an arrow passes it. */
  const isAside = (row: readonly Item[], k: number): boolean =>
    row.every((x) => x.kind === 'input') &&
    item.arrows.some((a) => rank.get(a.from)! < k && rank.get(a.to)! > k)
  /** How far a row reaches to the left and to the right of the middle line; a single box stands with its port on it. */
  const reach = rows.map((row, k): readonly [number, number] => {
    const width = widthOf(row)
    if (isAside(row, k)) return [width + gap.column, 0]
    if (row.length > 1) return [width / 2, width / 2]
    const only = parts.get(row[0]!)!
    return [only.port, only.width - only.port]
  })
  const middle = gap.side + Math.max(...reach.map(([l]) => l))
  const edge = middle + Math.max(...reach.map(([, right]) => right))
  const at = new Map<End, Spot>()
  let y = top
  for (const [k, row] of rows.entries()) {
    const wish = new Map(
      row.map((x) => {
        const from = item.arrows.flatMap((a) =>
          a.to === x && at.has(a.from) ? [centreOf({ parts, at }, a.from)] : [],
        )
        return [x, from.length === 0 ? middle : from.reduce((n, c) => n + c, 0) / from.length] as const
      }),
    )
    row.sort((a, b) => wish.get(a)! - wish.get(b)!)
    const height = Math.max(...row.map((x) => parts.get(x)!.height))
    let x = middle - reach[k]![0]
    for (const one of row) {
      at.set(one, { x, y: y + height - parts.get(one)!.height, rowTop: y, rowBottom: y + height })
      x += parts.get(one)!.width + gap.column
    }
    y += height + gap.row
  }
  return { parts, rows, at, middle, edge, bottom: y - gap.row * 0.2 }
}

/**
 * The arrows of a box, and how many lanes they take on the right: one that passes rows goes straight where there is room.
 *
 * @param mouth where what comes in begins, and `sill`, below which boxes may stand in its way
 */
const routed = (
  item: Item,
  rank: ReadonlyMap<End, number>,
  inside: Placed,
  { mouth, sill }: { readonly mouth: number; readonly sill: number },
): { readonly paths: readonly Path[]; readonly lanes: number } => {
  const { parts, rows, at, middle, edge, bottom } = inside
  const start = (e: End): Port => {
    if (e === 'in') return { x: middle, y: mouth, row: sill }
    const p = at.get(e)!
    return { x: centreOf(inside, e), y: p.y + parts.get(e)!.height, row: p.rowBottom }
  }
  const finish = (e: End): Port => {
    if (e === 'out') return { x: middle, y: bottom, row: bottom }
    const p = at.get(e)!
    return { x: centreOf(inside, e), y: p.y, row: p.rowTop }
  }
  const free = (x: number, from: number, to: number): boolean =>
    rows
      .slice(from + 1, to)
      .every((row) => row.every((i) => x < at.get(i)!.x - 6 || x > at.get(i)!.x + parts.get(i)!.width + 6))
  const lanes: { readonly from: number; readonly to: number }[][] = []
  const laneOf = (from: number, to: number): number => {
    const open = lanes.findIndex((l) => l.every((s) => s.to <= from || s.from >= to))
    const lane = open < 0 ? lanes.length : open
    if (open < 0) lanes.push([])
    lanes[lane]!.push({ from, to })
    return lane
  }
  const route = (a: Arrow): string => {
    const [s, e] = [start(a.from), finish(a.to)]
    const [from, to] = [rank.get(a.from)!, rank.get(a.to)!]
    const begin = `M${r(s.x)} ${r(s.y)}${down(s.y, s.row)}`
    if (to - from <= 1) return `${begin}${curve(s.x, s.row, e.x, e.row)}${down(e.row, e.y)}`
    if (free(e.x, from, to)) return `${begin}${curve(s.x, s.row, e.x, s.row + gap.row)}V${r(e.y)}`
    if (free(s.x, from, to))
      return `${begin}V${r(e.row - gap.row)}${curve(s.x, e.row - gap.row, e.x, e.row)}${down(e.row, e.y)}`
    const lane = edge + gap.lane * (1 + laneOf(from, to))
    const around = `${begin}${curve(s.x, s.row, lane, s.row + gap.row)}`
    const target = a.to
    if (typeof target !== 'string' && target.kind === 'join') {
      const side = e.x + parts.get(target)!.width / 2
      const level = at.get(target)!.y + joinRadius
      return `${around}V${r(level - 8)}Q${r(lane)} ${r(level)} ${r(lane - 8)} ${r(level)}H${r(side)}`
    }
    return `${around}V${r(e.row - gap.row)}${curve(lane, e.row - gap.row, e.x, e.row)}${down(e.row, e.y)}`
  }
  const goesOn = (e: End): boolean =>
    e === 'out' || (typeof e !== 'string' && e.arrows.some((a) => a.from === 'in'))
  const paths = item.arrows.map((a) => ({ d: route(a), head: !goesOn(a.to) }))
  return { paths, lanes: lanes.length }
}

/**
 * Lays out a box and everything in it.
 *
 * @category pictures
 */
export const layOut = (item: Item): Laid => {
  if (item.items.length === 0) return leaf(item)
  const rank = ranksOf(item)
  const lines = [
    [...new Set([titleOf(item), item.layer])].filter((s) => s !== '').join(' · '),
    countOf(item),
  ].filter((l) => l !== '')
  const head = lineHeights.margin + lineHeights.title + (lines.length - 1) * lineHeights.detail
  const inside = placed(item, rank, head + gap.row * 0.8)
  const { parts, at, middle, edge, bottom } = inside
  const sill = head + 2
  // the title is at the left: an arrow comes in beside it where there is room
  const mouth = middle - 24 > textWidth(lines) ? 0 : sill
  const { paths, lanes } = routed(item, rank, inside, { mouth, sill })
  const right = edge + lanes * gap.lane + gap.side
  return {
    item,
    width: Math.max(right, textWidth(lines) + 24),
    height: bottom,
    port: middle,
    x: 0,
    y: 0,
    lines,
    inside: item.items.map((x) => ({ ...parts.get(x)!, x: at.get(x)!.x, y: at.get(x)!.y })),
    paths,
  }
}
