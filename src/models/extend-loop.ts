/**
 * Many tokens a row in one call, as a loop: what the call adds to the cache is carried from step to step beside it, and
 * written into it behind.
 *
 * @since 0.4.0
 */
import {
  type Axis,
  add,
  and,
  axis,
  broadcast,
  cast,
  concat,
  equal,
  GraphError,
  gather,
  greater,
  input,
  iota,
  Key,
  type KeyValues,
  less,
  lessEqual,
  loop,
  max,
  maximum,
  minimum,
  mul,
  type Results,
  reshape,
  type Scalar,
  scalar,
  select,
  siteOf,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../dsl/index.ts'
import { cacheOf, checkedSizes, drawInputs, filterInputs, stored } from './cache.ts'
import { alsoSeen, type DrawInputs, drawToken } from './draw-token.ts'
import type { GenerationSizes } from './generation-sizes.ts'
import type { CausalLm } from './model.ts'

const without = (t: Tensor, name: string): Tensor =>
  reshape(
    t,
    t.axes.filter((a) => a.name !== name),
  )

/** The cache with what a call added, `[batch, …, key, headDim]`, at the places from `position` on. */
const written = (whole: Tensor, added: Tensor, position: Tensor): Tensor => {
  const [batch, slots] = [whole.axes[0]!, whole.axes.find((a) => a.name === Key)!]
  const steps = added.axes.find((a) => a.name === Key)!
  const others = added.axes.filter((a) => a !== batch && a !== steps && a.name !== batch.name)
  const offset: Tensor = sub(iota(slots), position)
  const inside = and(lessEqual(0, offset), less(offset, steps.size))
  const place = minimum(maximum(offset, 0), steps.size - 1)
  const index: Tensor = add(mul(iota(batch), steps.size), place)
  const table = reshape(transpose(added, [batch.name, Key, ...others.map((a) => a.name)]), [
    axis('added', batch.size * steps.size),
    ...others,
  ])
  const value = transpose(gather(table, transpose(index, [batch.name, Key])), whole.names)
  return transpose(select(inside, value, whole), whole.names)
}

/** How tokens are drawn. */
export interface ExtendLoopOptions {
  /** Whether each row may filter its tokens and make them less likely, which costs two searches a token; default no. */
  readonly filtered?: boolean
}

/**
 * As {@link extend}, for many tokens: the body of the loop is built and compiled once. It ends where no row has anything
 * left to write.
 *
 * Inputs: those of {@link extend}; `left` int32 `[batch]`, how many tokens a row may still take (0 where it is free), and
 * `ends` bool `[vocab]`, the tokens after which it takes none. Outputs: `ids` int32 and `log_probs` float32 `[step, batch]`,
 * of which the first `ran` (int32) steps count. Where they are filtered, the inputs of {@link extend} for that.
 *
 * @param steps most tokens a row
 * @throws GraphError as {@link prefill}, and where `steps` is no whole number
 * @category generation
 */
export const extendLoop = (
  model: CausalLm,
  s: GenerationSizes,
  steps: number,
  { filtered = false }: ExtendLoopOptions = {},
): Results => {
  const site = siteOf(extendLoop)
  checkedSizes(model, s, site)
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new GraphError('BadArgument', `generation: steps is ${steps}; give a whole number from 1 on`, site)
  const [batch, token, step] = [axis('batch', s.rows), axis('token', 1), axis('step', steps)]
  const [slots, own] = [axis(Key, s.capacity), axis(Key, steps)]
  const ids: Tensor = input('input_ids', [batch], 'int32')
  const position: Tensor = input('position', [batch], 'int32')
  const uniform = input('uniform', [step, batch])
  const ends = input('ends', [axis('vocab', model.vocabSize)], 'bool')
  const how: Omit<DrawInputs, 'uniform'> = {
    ...drawInputs(model),
    ...(filtered ? filterInputs(model, batch) : {}),
  }
  const earlier = transpose(less(iota(slots), position), ['batch', Key])
  const hiddenAt = (id: Tensor, at: Tensor, mine: Tensor, cache: KeyValues): Tensor =>
    model.decode(model.embed(reshape(id, [batch, token])), {
      token,
      positions: reshape(at, [batch, token]),
      // a place that the cache has not reached holds nothing yet
      mask: concat([mine, earlier], Key),
      cache,
    })
  /** Both stretches of both sides: what the call has added, as `add` says it of a step's own, and the cache. */
  const stretches =
    (added: (key: string, one: Tensor, whole: Tensor) => Tensor): KeyValues =>
    (path, keys, values) => {
      const [k, v] = ([['key', keys] as const, ['value', values] as const] as const).map(([side, t]) => {
        const one = stored(t)
        const { key, whole } = cacheOf(s, path, side, one, batch, slots)
        return [added(key, one, whole), whole] as const
      }) as [readonly [Tensor, Tensor], readonly [Tensor, Tensor]]
      return [
        [k[0], v[0]],
        [k[1], v[1]],
      ]
    }
  const wholes = new Map<string, Tensor>()
  const nothing: Record<string, Tensor> = {}
  // one step tells what each layer keeps
  const itself = broadcast(scalar(1, 'bool'), [batch, axis(Key, 1)])
  hiddenAt(
    ids,
    position,
    itself,
    stretches((key, one, whole) => {
      wholes.set(key, whole)
      const axes: readonly Axis[] = one.axes.map((a) => (a.name === Key ? own : a))
      nothing[key] = broadcast(scalar(0), axes)
      return one
    }),
  )
  const carried: Record<string, Tensor> = {
    ...nothing,
    id: ids,
    left: input('left', [batch], 'int32'),
    ran: scalar(0, 'int32'),
    ids: broadcast(scalar(0, 'int32'), [step, batch]),
    log_probs: broadcast(scalar(0), [step, batch]),
    ...(how.penalty === undefined ? {} : { seen: how.penalty.seen }),
  }
  const result = loop<Record<string, Tensor>>({
    times: steps,
    carried,
    step: (now, i) => {
      const next: Record<string, Tensor> = {}
      const hidden = hiddenAt(
        now.id!,
        add(position, i),
        broadcast(lessEqual(iota(own), i), [batch, own]),
        stretches((key, one) => {
          const all = select(equal(iota(own), i), without(one, Key), now[key]!)
          next[key] = transpose(all, now[key]!.names)
          return next[key]
        }),
      )
      const logits = model.head(reshape(hidden, [batch, hidden.axes[2]!]))
      const turn = equal(iota(step), i)
      const drawn = drawToken(logits, {
        ...how,
        ...(how.penalty === undefined ? {} : { penalty: { ...how.penalty, seen: now.seen! } }),
        uniform: sum(select(turn, uniform, 0), 'step'),
      })
      const put = (x: Tensor, into: Tensor): Tensor => transpose(select(turn, x, into), ['step', 'batch'])
      const left: Tensor = select(gather(ends, drawn.ids), 0, sub(now.left!, 1))
      const open = cast(greater(left, 0), 'float32')
      return {
        next: {
          ...next,
          id: drawn.ids,
          left,
          ran: add(i, 1),
          ids: put(drawn.ids, now.ids!),
          log_probs: put(drawn.logProbs, now.log_probs!),
          ...(how.penalty === undefined ? {} : { seen: alsoSeen(now.seen!, drawn.ids) }),
        },
        done: less(max(open, 'batch'), 0.5) as Scalar,
      }
    },
  })
  return {
    outputs: { ids: result.ids!, log_probs: result.log_probs!, ran: result.ran! },
    next: new Map([...wholes].map(([key, whole]) => [key, written(whole, result[key]!, position)])),
  }
}
