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
 * const sizes = await Promise.all(files.map((f) => inTurn(async () => (await stat(f)).size)))
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
