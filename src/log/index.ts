/**
 * A run's numbers for the tools that the field draws curves with: TensorBoard, trackio.
 *
 * @since 0.1.0
 */

export type { Scalars } from './scalars.ts'
export { type LogFormat, type Logged, logged, type Sink, sinkOf, type Writing } from './sink.ts'
export { tensorBoard } from './tensorboard.ts'
export { trackio } from './trackio.ts'
