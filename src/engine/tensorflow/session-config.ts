/** How TensorFlow's session is set: the part of its `ConfigProto` that Sailwright chooses. */
import { type Schema, writerOf } from '../proto/descriptor.ts'

const schema: Schema = {
  ConfigProto: { graphOptions: '10 GraphOptions', experimental: '16 Experimental' },
  GraphOptions: { rewriteOptions: '10 RewriterConfig' },
  Experimental: { disableThreadSpinning: '9 bool' },
  RewriterConfig: { metaOptimizerIterations: '12 int32', optimizers: '100 string*' },
}

/** The environment variable through which a binding that Sailwright compiled takes the configuration, in hex. */
export const configVariable = 'SAILWRIGHT_TF_CONFIG'

/**
 * The configuration. TensorFlow's graph optimizer runs once and only with the passes that gain something on graphs that
 * the language has already optimised; with all its passes the first call of a training step of the nano model took
 * 0.7 s of processor time more, and the following ones no less. A thread that waits for an operation sleeps: spinning, it took
 * the core of one that computes.
 */
export const sessionConfig = (): Uint8Array =>
  writerOf(
    schema,
    'ConfigProto',
  )({
    graphOptions: {
      rewriteOptions: { metaOptimizerIterations: 1, optimizers: ['pruning', 'arithmetic', 'dependency'] },
    },
    experimental: { disableThreadSpinning: true },
  })
