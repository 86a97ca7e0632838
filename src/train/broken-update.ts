/** The error of a stage whose update broke. */

/** What an update was whose loss or gradient is no finite number, with the stage's last step. */
export interface BrokenUpdate {
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly gradientNorm: number
  /** The learning rate. */
  readonly rate: number
}

/** Where it broke, and what to do. */
export const brokenUpdate = (where: string, { step, steps, loss, gradientNorm, rate }: BrokenUpdate): Error =>
  new Error(
    `${where}: at step ${step} of ${steps} the loss is ${loss} and the gradient's norm ${gradientNorm} (learning rate ${rate.toPrecision(3)}); ${step === 1 ? 'nothing was learnt yet: look for what is no finite number in the weights or the data' : 'lower the learning rate or maxGradientNorm'}`,
  )
