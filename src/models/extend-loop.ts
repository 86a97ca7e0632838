/**
 * Many tokens a row in one call, as a loop: the cache goes around, and each step writes its token where it lies.
 *
 * @since 0.1.0
 */
import {
  add,
  axis,
  broadcast,
  cast,
  equal,
  gather,
  greater,
  input,
  iota,
  Key,
  less,
  lessEqual,
  loop,
  max,
  maximum,
  type Results,
  reshape,
  type Scalar,
  scalar,
  select,
  siteOf,
  sub,
  type Tensor,
  transpose,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import {
  checkedSizes,
  checkedSteps,
  drawInputs,
  eachTime,
  filterInputs,
  headOf,
  sidesOf,
  without,
} from './cache.ts'
import { alsoSeen, type DrawInputs, drawToken } from './draw-token.ts'
import type { GenerationSizes } from './generation-sizes.ts'
import type { CausalLm } from './model.ts'

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
  options: ExtendLoopOptions = {},
): Results => {
  const { filtered = false } = onlySettings('extendLoop', options, ['filtered'])
  const site = siteOf(extendLoop)
  checkedSizes(model, s, site)
  checkedSteps(steps, site)
  const [batch, token, step] = [axis('batch', s.rows), axis('token', 1), axis('step', steps)]
  const slots = axis(Key, s.capacity)
  const ids: Tensor = input('input_ids', [batch], 'int32')
  const position: Tensor = input('position', [batch], 'int32')
  const uniform = input('uniform', [step, batch])
  const ends = input('ends', [axis('vocab', model.vocabSize)], 'bool')
  const how: Omit<DrawInputs, 'uniform'> = {
    ...drawInputs(model),
    ...(filtered ? filterInputs(model, batch) : {}),
  }
  /** The residual stream of one token a row, over a cache that takes it in as `taken` says. */
  const hiddenAt = (
    id: Tensor,
    at: Tensor,
    taken: (key: string, one: Tensor, whole: Tensor) => Tensor,
  ): Tensor =>
    model.decode(model.embed(reshape(id, [batch, token])), {
      token,
      positions: reshape(at, [batch, token]),
      keyPositions: iota(slots),
      // the first slot is always seen
      mask: transpose(lessEqual(iota(slots), maximum(at, 0)), [batch.name, Key]),
      cache: eachTime((path, keys, values) => {
        const [k, v] = sidesOf(s, path, keys, values, batch, slots)
        return [[taken(k.key, k.own, k.whole), taken(v.key, v.own, v.whole)]]
      }),
    })
  const wholes: Record<string, Tensor> = {}
  // one step tells what each layer keeps
  hiddenAt(ids, position, (key, _one, whole) => {
    wholes[key] = whole
    return whole
  })
  const carried: Record<string, Tensor> = {
    ...wholes,
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
      const at: Tensor = add(position, i)
      const here = equal(at, iota(slots))
      const hidden = hiddenAt(now.id!, at, (key, one) => {
        next[key] = transpose(select(here, without(one, Key), now[key]!), now[key]!.names)
        return next[key]
      })
      const logits = headOf(model, hidden)
      const turn = equal(iota(step), i)
      const drawn = drawToken(logits, {
        ...how,
        ...(how.penalty === undefined ? {} : { penalty: { ...how.penalty, seen: now.seen! } }),
        uniform: gather(uniform, i),
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
    next: new Map(Object.keys(wholes).map((key) => [key, result[key]!])),
  }
}
