import { mutantsOf } from './mutant.ts'

/** Bugs of `src/optim`. */
export const optim = [
  mutantsOf(
    'src/optim/adamw.ts',
    ['optim/optim', 'optim/step'],
    [
      [
        'the correction of the first moment by β₂',
        '[correction(beta1, t), correction',
        '[correction(beta2, t), correction',
      ],
      ['the first moment decays by β₂', 'mul(m0, beta1)', 'mul(m0, beta2)'],
      ['the gradient not squared', 'mul(square(g), 1 - beta2)', 'mul(g, 1 - beta2)'],
      ['ε under the root', 'add(sqrt(div(v1, c2)), epsilon)', 'sqrt(add(div(v1, c2), epsilon))'],
      ['the decay not by a key’s own rate', 'sub(1, mul(eta, lambda))', 'sub(1, mul(learningRate, lambda))'],
      ['the decay not decoupled from the rate', 'sub(1, mul(eta, lambda))', 'sub(1, lambda)'],
      ['every parameter decays', 'decaying(key, p) ? decay : 0', 'decay'],
      [
        'the rate of a key ignored',
        'factor === 1 ? learningRate : mul(learningRate, factor)',
        'learningRate',
      ],
      ['the count starts at the second update', "scalar(1, 'int32'))", "scalar(2, 'int32'))"],
      ['β₂ of 0.999 where none is given', 'beta2 = 0.95', 'beta2 = 0.999'],
      ['vectors decay too', 'a.size > 1).length >= 2', 'a.size > 1).length >= 1'],
      ['positions decay', " && !key.endsWith('pos_embed')", ''],
    ],
  ),
  mutantsOf(
    'src/optim/optimizer.ts',
    ['optim/step', 'optim/optimizer'],
    [
      ['the last group wins', 'return (key) => compiled.find(', 'return (key) => compiled.findLast('],
      ['β₁ of the settings ignored', 'present({ beta1, beta2, epsilon })', 'present({ beta2, epsilon })'],
      ['ε of the settings ignored', 'present({ beta1, beta2, epsilon })', 'present({ beta1, beta2 })'],
      [
        'a group’s decay only where matrices decay',
        'group(key)?.weightDecay ?? (decays(key, t) ? weightDecay : 0)',
        'decays(key, t) ? (group(key)?.weightDecay ?? weightDecay) : 0',
      ],
      ['a group’s multiplier ignored', 'group(key)?.learningRateMultiplier ?? 1', '1'],
    ],
  ),
  mutantsOf(
    'src/optim/clip.ts',
    ['optim/optim'],
    [
      ['clipping is off', 'limit === undefined ||', 'limit !== undefined ||'],
      ['norm over limit', 'div(limit, add(norm, 1e-6))', 'div(add(norm, 1e-6), limit)'],
      [
        'the norm is that of the last gradient',
        'reduce<Tensor>((a, b) => add(a, b)',
        'reduce<Tensor>((_a, b) => b',
      ],
      [
        'no root',
        'sqrt(gradients.map((g) => total(square(g))).reduce',
        '(gradients.map((g) => total(square(g))).reduce',
      ],
    ],
  ),
  mutantsOf(
    'src/optim/schedules.ts',
    ['optim/schedules'],
    [
      ['the warm-up begins at 0 always', 'start + (1 - start) * (step / steps)', 'step / steps'],
      ['the warm-up is one step late', '(1 - start) * (step / steps)', '(1 - start) * ((step - 1) / steps)'],
      ['the second schedule counts on', 'next(step - steps)', 'next(step)'],
      ['the cosine rises', '(1 + Math.cos(Math.PI * p)) / 2', '(1 - Math.cos(Math.PI * p)) / 2'],
      ['the decay ends at 0', 'least + (1 - least) * fall(step / steps)', '(1 - least) * fall(step / steps)'],
      ['a share of the steps rounded down', 'Math.ceil(n * steps)', 'Math.floor(n * steps)'],
      [
        'the last phase begins with the warm-up',
        'followedBy(total - last, fall)',
        'followedBy(warmup, fall)',
      ],
      ['the steps of the stage go before its own', 'spec.steps ?? stageSteps', 'stageSteps ?? spec.steps'],
    ],
  ),
].flat()
