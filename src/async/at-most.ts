/**
 * So many tasks at a time.
 *
 * @since 0.1.0
 */

/**
 * Runs tasks, at most `limit` of them at a time, begun in the order in which they came.
 *
 * @example
 * const inTurn = atMost(16)
 * await Promise.all([1, 2, 3].map((n) => inTurn(async () => 2 * n))) // [2, 4, 6]
 */
export const atMost = (limit: number): (<A>(task: () => Promise<A>) => Promise<A>) => {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    // one that ends hands its place on, so that none slips in between
    if (running < limit) running++
    else await new Promise<void>((go) => waiting.push(go))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
