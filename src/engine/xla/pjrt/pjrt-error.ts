/** A plugin's failure. */

/** The codes of absl's status, as PJRT gives them. */
const codes = [
  'ok',
  'cancelled',
  'unknown',
  'invalid argument',
  'deadline exceeded',
  'not found',
  'already exists',
  'permission denied',
  'resource exhausted',
  'failed precondition',
  'aborted',
  'out of range',
  'unimplemented',
  'internal',
  'unavailable',
  'data loss',
  'unauthenticated',
] as const

/** What a function of the plugin failed with. */
export class PjrtError extends Error {
  /** absl's code in words, `resource exhausted`. */
  readonly code: string
  /** The function, `Client_Compile`. */
  readonly function: string
  constructor(message: string, code: number, name: string) {
    super(`${name}: ${message}`)
    this.name = 'PjrtError'
    this.code = codes[code] ?? `code ${code}`
    this.function = name
  }
}

/** The struct that a plugin finds too short, and how long it wants it. */
export const tooShort = (message: string): { readonly name: string; readonly size: number } | undefined => {
  const m = /Unexpected (?:PJRT_)?(\w+?)(?:_Args)? size: expected (\d+), got (\d+)/.exec(message)
  return m !== null && Number(m[2]) > Number(m[3]) ? { name: m[1]!, size: Number(m[2]) } : undefined
}
