/**
 * A dense model's weights as those of a mixture of experts (sparse upcycling, Komatsuzaki et al. 2023): each expert begins as
 * the dense feed-forward block, so that the model computes what it did, whatever its fresh routers say.
 *
 * @since 0.1.0
 */
import { checkedMoe, isSparse, type MoeConfig } from './moe-config.ts'

const feedForward = /^(.*layers\.(\d+)\.mlp)\.((?:gate|up|down)_proj\.weight)$/

/** The keys of a model's routers, which upcycled weights lack: they begin fresh. */
export const isRouterKey = (key: string): boolean => key.endsWith('.mlp.gate.weight')

/**
 * Weights by published key, with the maps of each feed-forward block as those of every expert of its layer. The experts of
 * a configuration that normalises its weights and has the dense block's width then give the dense model's numbers exactly.
 *
 * @returns the weights without routers; the values are those that were given, shared by the experts
 * @category upcycling
 */
export const upcycled = <V>(c: MoeConfig, weights: ReadonlyMap<string, V>): ReadonlyMap<string, V> => {
  checkedMoe('upcycled', c)
  return new Map(
    [...weights].flatMap(([key, value]) => {
      const found = feedForward.exec(key)
      return found === null || !isSparse(c, Number(found[2]))
        ? [[key, value] as const]
        : Array.from(
            { length: c.experts },
            (_, i) => [`${found[1]}.experts.${i}.${found[3]}`, value] as const,
          )
    }),
  )
}
