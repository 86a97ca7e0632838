/**
 * The summary of a model: a row a block with its result's axes, parameters, FLOPs and bytes.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { grouped, short } from '../../terminal/index.ts'
import { type Axis, elements, showAxes } from '../axis.ts'
import type { Dtype, Tensor } from '../graph.ts'
import { parametersOf } from '../parameters.ts'
import { blocks, type Folded, folded } from './blocks.ts'
import type { GraphCost, IsParameter } from './cost.ts'

/** What to show. */
export interface SummaryOptions {
  /** The model's name; default `model`. */
  readonly name?: string
  /** How many levels of layers inside layers; default all. */
  readonly depth?: number
  /** Whether equal blocks in a row stand as one; default true. */
  readonly fold?: boolean
  /** Which states are parameters (and not moments or a cache); default all. */
  readonly isParameter?: IsParameter
  /** The share of tokens that a parameter works for, by its key; default: it is not told how many are active. */
  readonly activeShare?: (key: string) => number
}

/** One block, or a row of equal blocks; figures are of all of them together, layers inside included. */
export interface SummaryRow extends GraphCost {
  /** `trunk.blocks.0…23.attn`; `''` for the whole graph. */
  readonly path: string
  readonly layer: string
  /** How many layers it is inside of; 0 for the whole graph. */
  readonly depth: number
  /** How many blocks of the model the row stands for. */
  readonly times: number
  /** Axes of the result of one of them; none for the whole graph. */
  readonly axes: readonly Axis[]
  readonly dtype: Dtype | undefined
}

/** Rows from the outside in; the first is the whole graph. */
export interface Summary {
  readonly name: string
  readonly rows: readonly SummaryRow[]
  readonly totals: GraphCost
  /** Parameters that work for one token, where the options tell which share of tokens each works for. */
  readonly activeParameters?: number
}

/**
 * Attributes a graph's nodes to its layers and adds them up.
 *
 * @example
 * const up = linear(axis('embed', 16), axis('hidden', 64)).apply(input('x', [axis('embed', 16)]))
 * summary([up]).totals.parameters // 16 * 64 + 64
 * console.log(showSummary(summary([up], { name: 'up', depth: 3 })))
 *
 * @category summary
 */
export const summary = (roots: readonly Tensor[], options: SummaryOptions = {}): Summary => {
  onlySettings('summary', options, ['name', 'depth', 'fold', 'isParameter', 'activeShare'])
  const { name = 'model', depth = Number.POSITIVE_INFINITY, fold = true, isParameter, activeShare } = options
  const { root } = blocks(roots, name, isParameter)
  const rows: SummaryRow[] = []
  const add = (f: Folded): void => {
    const { cost, layer, output } = f.block
    if (f.block.depth > depth) return
    rows.push({
      path: f.path,
      layer,
      depth: f.block.depth,
      times: f.times,
      axes: output?.axes ?? [],
      dtype: output?.dtype,
      parameters: f.times * cost.parameters,
      parameterBytes: f.times * cost.parameterBytes,
      flops: f.times * cost.flops,
      activationBytes: f.times * cost.activationBytes,
    })
    f.children.forEach(add)
  }
  add(folded(root, fold))
  if (activeShare === undefined) return { name, rows, totals: root.cost }
  const counted = [...parametersOf(...roots)].filter(([key]) => isParameter?.(key) ?? true)
  const active = counted.reduce((n, [key, t]) => n + activeShare(key) * elements(t.axes), 0)
  return { name, rows, totals: root.cost, activeParameters: Math.round(active) }
}

/** A summary as plain data, for `--json` and reports. */
export interface SummaryJson {
  readonly name: string
  readonly parameters: number
  /** Those that work for one token, where the model has experts. */
  readonly activeParameters?: number
  readonly flops: number
  /** Of the parameters. */
  readonly bytes: number
  readonly activationBytes: number
  readonly rows: readonly {
    readonly path: string
    readonly layer: string
    readonly depth: number
    readonly times: number
    /** `batch 1 × token 64 × embed 160`. */
    readonly axes: string
    readonly parameters: number
    readonly flops: number
    readonly bytes: number
    readonly activationBytes: number
  }[]
}

/** @category summary */
export const summaryJson = (s: Summary): SummaryJson => ({
  name: s.name,
  parameters: s.totals.parameters,
  ...present({ activeParameters: s.activeParameters }),
  flops: s.totals.flops,
  bytes: s.totals.parameterBytes,
  activationBytes: s.totals.activationBytes,
  rows: s.rows.map((r) => ({
    path: r.path,
    layer: r.layer,
    depth: r.depth,
    times: r.times,
    axes: r.dtype === undefined ? '' : showAxes(r.axes),
    parameters: r.parameters,
    flops: r.flops,
    bytes: r.parameterBytes,
    activationBytes: r.activationBytes,
  })),
})

/** The row's path below that of the row around it. */
export const ownName = (path: string, around: string): string =>
  around !== '' && path.startsWith(`${around}.`) ? path.slice(around.length + 1) : path === around ? '' : path

/**
 * A text table for a terminal.
 *
 * @category summary
 */
export const showSummary = (s: Summary): string => {
  const paths: string[] = []
  const head = ['block', 'layer', 'axes', 'parameters', 'FLOPs', 'activations']
  const lines = s.rows.map((r) => {
    paths[r.depth] = r.path
    const name = r.depth === 0 ? s.name : ownName(r.path, paths[r.depth - 1] ?? '') || `(${r.layer})`
    const copies = r.times > 1 && /…[^…]*$/.test(name) ? ` ×${r.times}` : ''
    return [
      `${'  '.repeat(r.depth)}${name}${copies}`,
      r.depth === 0 ? '' : r.layer,
      r.dtype === undefined ? '' : showAxes(r.axes),
      r.parameters === 0 ? '' : grouped(r.parameters),
      short(r.flops),
      `${short(r.activationBytes)}B`.replace(/(\d)B$/, '$1 B'),
    ]
  })
  const widths = head.map((h, i) => Math.max(h.length, ...lines.map((l) => l[i]!.length)))
  const right = [false, false, false, true, true, true]
  const line = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (right[i] ? c.padStart(widths[i]!) : c.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  const active =
    s.activeParameters === undefined
      ? []
      : ['', `${grouped(s.activeParameters)} of ${grouped(s.totals.parameters)} parameters work for a token`]
  return [line(head), widths.map((w) => '─'.repeat(w)).join('──'), ...lines.map(line), ...active].join('\n')
}
