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
  mutantsOf(
    'src/optim/ema.ts',
    ['optim/ema'],
    [
      ['the average is one step late', 'sub(next.get(key) ?? p, before)', 'sub(p, before)'],
      [
        'it begins with nothing',
        'select(equal(step, 0), p, state(emaKey(key), p.axes, zeros))',
        'state(emaKey(key), p.axes, zeros)',
      ],
      ['another warm-up', 'div(9, add(', 'div(10, add('],
      ['the warm-up counts from 1', "cast(step, 'float32'), 10)", "cast(step, 'float32'), 11)"],
      ['no warm-up by default', 'warmup = true', 'warmup = false'],
    ],
  ),
  mutantsOf(
    'src/optim/lora-merge.ts',
    ['optim/lora'],
    [
      ['no share of the rank', '(sign * alpha) / r', 'sign * alpha'],
      [
        'a table is merged the other way',
        'a.data[k * out + o]! * b.data[i * r + k]!',
        'a.data[k * inner + i]! * b.data[o * r + k]!',
      ],
      ['a missing half is nothing', 'if (!all.has(half)) throw', 'if (false) throw'],
      ['a taking out adds', 'all(-1)', 'all(1)'],
      [
        'adapters of another model fit',
        'return w.shape.length === 2 && same(wantA!, a.shape) && same(wantB!, b.shape)',
        'return w.shape.length === 2',
      ],
      ['what is not adapted is lost', 'new Map(weights)', 'new Map<string, W>()'],
    ],
  ),
  mutantsOf(
    'src/optim/lora.ts',
    ['optim/lora'],
    [
      ['adapters are not scaled by their rank', 'mul(delta, alpha / rank)),', 'mul(delta, alpha)),'],
      ['B begins with numbers', 'parameter(b, [own, r], zeros)', 'parameter(b, [own, r], normal(1))'],
      [
        'A begins with nothing',
        'parameter(a, [r, own], uniform(1 / Math.sqrt(own.size)))',
        'parameter(a, [r, own], zeros)',
      ],
      ['the spread of A is that of its rank', 'Math.sqrt(own.size)', 'Math.sqrt(rank)'],
      [
        'a table that is a head too has the head’s pair',
        "if (t.op.op === 'gather') uses.set(w.key, 'embedding')",
        "if (t.op.op === 'gather' && !uses.has(w.key)) uses.set(w.key, 'embedding')",
      ],
      [
        'a composite keeps the bare weight',
        "if (t.op.op === 'composite' && t.inputs.slice(1).some",
        "if (t.op.op === 'composite' && t.inputs.slice(2).some",
      ],
      [
        'what has bare marks loses them',
        'marks: [...t.inputs[0]!.marks, ...t.marks]',
        'marks: t.inputs[0]!.marks',
      ],
      ['marks stay on the bare product', '{ ...t, marks: [] }', 't'],
    ],
  ),
  mutantsOf(
    'src/optim/lora.ts',
    ['train/transforms', 'rl/stage-options'],
    [
      [
        'in weights they are not scaled by their rank',
        'mul(delta as Tensor, alpha / rank)',
        'mul(delta as Tensor, alpha)',
      ],
      [
        'tables have no adapter in weights',
        'const [ta, tb] = [leaf(table.a, [r, first]), leaf(table.b, [second, r])]',
        'const [ta, tb] = [leaf(table.a, [r, first]), undefined]',
      ],
    ],
  ),
  mutantsOf(
    'src/optim/lora-adapter.ts',
    ['optim/lora'],
    [
      ['alpha is the rank', 'lora_alpha: adapter.alpha', 'lora_alpha: adapter.rank'],
      [
        'modules keep their ending',
        ".map((k) => k.replace(/\\.weight$/, '')).sort()",
        '.map((k) => k).sort()',
      ],
      ['keys keep PEFT’s prefix', 'key.startsWith(prefix) ? key.slice(prefix.length) : key', 'key'],
      ['the base is lost', 'base: config.base_model_name_or_path ?? null', 'base: null'],
      ['ranks of others go through', 'if (ra !== rank || rb !== rank)', 'if (ra !== rank && rb !== rank)'],
      ['what is not done here is half obeyed', 'if (found !== undefined)', 'if (false)'],
    ],
  ),
  mutantsOf(
    'src/optim/muon.ts',
    ['optim/muon'],
    [
      ['no look ahead by default', 'nesterov = true', 'nesterov = false'],
      [
        'a look ahead at the momentum alone',
        'add(mul(g, 1 - momentum), mul(m, momentum))',
        'mul(m, momentum)',
      ],
      [
        'the scale is the smaller side’s',
        '0.2 * Math.sqrt(Math.max(a, b))',
        '0.2 * Math.sqrt(Math.min(a, b))',
      ],
      ['aspect is the other way', 'Math.max(1, a / b)', 'Math.max(1, b / a)'],
      ['decay without its rate', 'sub(1, mul(eta, decay))', 'sub(1, mul(learningRate, decay))'],
      [
        'a group has no rate of its own',
        'const factor = of?.learningRateMultiplier ?? 1',
        'const factor = 1',
      ],
      [
        'a group has no decay of its own',
        'of?.weightDecay ?? adam.weightDecay ?? 0.1',
        'adam.weightDecay ?? 0.1',
      ],
      [
        'the norm is not bounded from below',
        'maximum(sqrt(total(square(u))), smallest)',
        'sqrt(total(square(u)))',
      ],
      ['vectors are matrices', 't.axes.every((a) => a.size > 1) && ', ''],
      [
        'the head is inside',
        "'**embed_tokens.weight', '**lm_head.weight', '**pos_embed'",
        "'**embed_tokens.weight', '**pos_embed'",
      ],
      ['four steps', 'iterations = 5,\n    coefficients', 'iterations = 4,\n    coefficients'],
      ['no decay by default', 'adam.weightDecay ?? 0.1', 'adam.weightDecay ?? 0'],
    ],
  ),
].flat()
