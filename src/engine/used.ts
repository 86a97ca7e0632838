/** Whether this process has asked for an engine: one that never does has computed nothing. */

let used = false

/** Called where an engine's library is loaded. */
export const markUsed = (): void => {
  used = true
}

/** Whether an engine was asked for. */
export const engineUsed = (): boolean => used
