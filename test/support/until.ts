/** Waits for what happens by itself; an error after two minutes without it. */
export const until = async (done: () => boolean): Promise<void> => {
  const started = performance.now()
  while (!done()) {
    if (performance.now() - started > 120_000) throw new Error('it did not happen within two minutes')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
