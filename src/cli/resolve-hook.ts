/**
 * How imports of an experiment file are resolved, on every version of Node.
 *
 * @since 0.1.0
 */
import * as nodeModule from 'node:module'

interface Resolved {
  readonly url: string
  readonly format?: string | null
}
interface Context {
  readonly parentURL?: string
}

/**
 * Two rules. An experiment is an ES module, also where no package.json around it says so: TypeScript files outside of
 * packages count as modules. And `sailwright` is found from everywhere: where it is not installed beside the file, it is
 * the one that runs.
 *
 * These functions stand for themselves, since their text is handed to a loader thread.
 */
const asModule = (found: Resolved): Resolved =>
  found.format === 'commonjs' && /\.ts(\?|$)/.test(found.url) && !found.url.includes('/node_modules/')
    ? { ...found, format: 'module' }
    : found

const isOurs = (specifier: string): boolean => /^sailwright(\/|$)/.test(specifier)

/** In this thread: Node 22.15 and later. The types are of an older Node. */
type RegisterHooks = (hooks: {
  readonly resolve: (
    specifier: string,
    context: Context,
    next: (specifier: string, context: Context) => Resolved,
  ) => Resolved
}) => void

/** Registers the rules for all later imports. `own` is a file URL inside this package. Call it once. */
export const resolveExperiments = (own: string): void => {
  const { registerHooks } = nodeModule as unknown as { registerHooks?: RegisterHooks }
  if (registerHooks !== undefined) {
    registerHooks({
      resolve: (specifier, context, next) => {
        try {
          return asModule(next(specifier, context))
        } catch (e) {
          if (!isOurs(specifier)) throw e
          return next(specifier, { ...context, parentURL: own })
        }
      },
    })
    return
  }
  const source = `
    const asModule = ${asModule.toString()}
    const isOurs = ${isOurs.toString()}
    export const resolve = async (specifier, context, next) => {
      try {
        return asModule(await next(specifier, context))
      } catch (e) {
        if (!isOurs(specifier)) throw e
        return next(specifier, { ...context, parentURL: ${JSON.stringify(own)} })
      }
    }`
  nodeModule.register(`data:text/javascript,${encodeURIComponent(source)}`)
}
