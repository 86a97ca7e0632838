/**
 * TypeScript as Node takes it: types erased, enums and parameter properties written out, lines kept by a source map.
 *
 * @since 0.1.0
 */
import { basename } from 'node:path'
import { transformSync } from '@swc/wasm-typescript'

/** What the transformer throws. */
interface Refusal {
  readonly message: string
  readonly snippet?: string
  readonly startLine?: number
  readonly startColumn?: number
}

const isRefusal = (e: unknown): e is Refusal =>
  typeof e === 'object' && e !== null && typeof (e as Refusal).message === 'string'

/** `file:line:column: what is wrong` and the line itself, with what is wrong underlined. */
const located = (path: string, e: Refusal): string => {
  const place = e.startLine === undefined ? path : `${path}:${e.startLine}:${(e.startColumn ?? 0) + 1}`
  const lines = (e.snippet ?? '').split('\n').filter((l) => l.trim() !== '')
  return [`${place}: ${e.message}`, ...lines.map((l) => `  ${l}`)].join('\n')
}

/**
 * A module's TypeScript as JavaScript, with an inline source map. Imports that only types use are left out.
 *
 * @throws SyntaxError where it is no TypeScript: the message names file, line and column
 */
export const javascriptOf = (source: string, path: string): string => {
  try {
    const made = transformSync(source, {
      mode: 'transform',
      module: true,
      filename: basename(path),
      sourceMap: true,
      transform: { verbatimModuleSyntax: false, nativeClassProperties: true },
    })
    const map = Buffer.from(made.map ?? '{}').toString('base64')
    return `${made.code}\n//# sourceMappingURL=data:application/json;base64,${map}`
  } catch (e) {
    throw isRefusal(e) ? new SyntaxError(located(path, e), { cause: 'located' }) : e
  }
}

/** What is wrong with the syntax of a file, JavaScript or TypeScript: its place and why; nothing where it can be read. */
export const syntaxErrorIn = (source: string, path: string): string | undefined => {
  try {
    transformSync(source, { mode: 'transform', module: true, filename: basename(path) })
    return undefined
  } catch (e) {
    return isRefusal(e) ? located(path, e) : undefined
  }
}
