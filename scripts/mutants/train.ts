import { mutantsOf } from './mutant.ts'

/** Bugs of `src/train`. */
export const train = [
  mutantsOf(
    'src/train/chosen.ts',
    ['train/curated'],
    [
      ['the last said is the last', 'last = Math.max(last, place)', 'last = place'],
      ['the source is read to its end', '        if (seen > last) return\n', ''],
      ['what was seen is counted anew', 'let { seen } = place', 'let seen = 0'],
    ],
  ),
  mutantsOf(
    'src/train/distillation.ts',
    ['train/distillation'],
    [
      [
        'β is turned round',
        'if (beta === 0) return divergence(teacher, student)',
        'if (beta === 0) return divergence(student, teacher)',
      ],
      [
        'the other divergence is the first',
        'if (beta === 1) return divergence(student, teacher)',
        'if (beta === 1) return divergence(teacher, student)',
      ],
      ['halves of the mixture', 'add(student, Math.log(1 - beta))', 'add(student, Math.log(beta))'],
      [
        'a mixture may be 0',
        'add(most, log(add(exp(sub(t, most)), exp(sub(s, most)))))',
        'log(add(exp(t), exp(s)))',
      ],
      ['temperature shrinks the gradient', ' * temperature ** 2', ''],
      [
        'the teacher is as sharp as ever',
        'jensenShannon(softened(teacher)',
        "jensenShannon(logSoftmax(teacher, 'vocab')",
      ],
      ['padding is learnt', 'select(counted, each, 0)', 'each'],
      ['labels are learnt twice', '(1 - share) * ', ''],
      ['the student is its own teacher', 'distill.frozen.within([taught])[0]!', 'taught'],
      ['any vocabulary', 'if (distill.model.vocabSize !== model.vocabSize)', 'if (false)'],
    ],
  ),
  mutantsOf(
    'src/train/frozen.ts',
    ['train/distillation'],
    [
      ['one teacher is as another', "digest('hex').slice(0, 8)", "digest('hex').slice(0, 0)"],
      ['what is below is frozen, too', '        from,\n', ''],
    ],
  ),
  mutantsOf(
    'src/train/opened-frozen.ts',
    ['train/distillation'],
    [
      [
        'teachers are all alike',
        'hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))',
        '',
      ],
      ['what no teacher has is read', 'if (strange !== undefined)', 'if (false)'],
      ['one is read for the other', 'g.weights !== f.weights', 'false'],
      ['the largest are summed first', 'bytes(a) - bytes(b)', 'bytes(b) - bytes(a)'],
    ],
  ),
  mutantsOf(
    'src/train/stage-run.ts',
    ['train/distillation'],
    [
      ['another teacher goes on', 'if (inside || isTrained) frozenAsBefore(of, checksum)', ''],
      ['a teacher is drawn', 'frozen === undefined ? own : overlaid(frozen, own)', 'own'],
      ['that nothing reads a teacher is not told', '      yield* unreadFrozen(of)\n', ''],
    ],
  ),
  mutantsOf(
    'src/train/fork.ts',
    ['cli/fork'],
    [['a fork learns from any teacher', '...present({ frozen }),', '']],
  ),
  mutantsOf(
    'src/train/export-graphs.ts',
    ['train/distillation'],
    [['a SavedModel has no teacher', '...values, ...frozen', '...values']],
  ),
  mutantsOf(
    'src/train/learner.ts',
    ['train/distillation'],
    [['the teacher learns', '.filter(([key]) => !isFrozenKey(key))', '']],
  ),
  mutantsOf(
    'src/run/checkpoint.ts',
    ['train/distillation'],
    [['checkpoints hold the teacher', ' && !isFrozenKey(k)', '']],
  ),
  mutantsOf(
    'src/train/transform.ts',
    ['train/distillation'],
    [['the teacher is adapted', '!isFrozenKey(key) && ', '']],
  ),
  mutantsOf(
    'src/train/learnt-places.ts',
    ['train/distillation'],
    [
      [
        'the teacher answers elsewhere',
        'return at(learntLogits(where, model, x, { images }).logits)',
        'return learntLogits(where, model, x, { images }).logits',
      ],
    ],
  ),
  mutantsOf(
    'src/train/learning-stage.ts',
    ['train/arithmetic', 'train/stage'],
    [
      ['the stage’s optimizer is ignored', 's.optimizer ?? adamWith()', 'adamWith()'],
      ['the stage’s clipping is ignored', 's.maxGradientNorm ?? 1, true', '1, true'],
    ],
  ),
  mutantsOf(
    'src/train/supervised-settings.ts',
    ['train/arithmetic', 'train/stage'],
    [
      [
        'the stage’s schedule is ignored',
        'stageSchedule(where, s.schedule, steps)',
        'stageSchedule(where, undefined, steps)',
      ],
      ['accumulation is ignored', 's.accumulate ?? 1, 1)', '1, 1)'],
    ],
  ),
  mutantsOf(
    'src/train/tail-loss.ts',
    ['train/tail-loss'],
    [
      ['the stage’s loss is that of all steps', 'if (step <= steps - tail) return', ''],
      ['a step without a loss counts', 'else skipped++', ''],
    ],
  ),
  mutantsOf(
    'src/train/rate-search.ts',
    ['train/rate-search'],
    [
      ['what a search broke stays', 'if (decision.rollBack) await rollBack(session, marked)', ''],
      ['a search that goes on begins anew', 'from.adaLrs ?? adaLrs.start', 'adaLrs.start'],
    ],
  ),
  mutantsOf(
    'src/train/supervised-run.ts',
    ['train/arithmetic', 'train/stage'],
    [
      ['the schedule is one step late', 'checked.factor(step)', 'checked.factor(step - 1)'],
      ['a loss that is no number goes on', 'Number.isFinite(loss) && ', ''],
      ['one step too few', 'step <= steps; step++', 'step < steps; step++'],
      ['the source stays open', 'await stream.return(undefined)\n', '\n'],
      ['data that ends goes on with less', 'done || batch.examples.length < perStep', 'done'],
      ['samples are micro-batches', 'samplesOf(batches) ?? perStep', 'samplesOf(batches) ?? objective.batch'],
    ],
  ),
  mutantsOf(
    'src/train/learner.ts',
    ['train/arithmetic'],
    [
      [
        'everything is trained',
        'spec.train.some((k) => k.has(key))',
        'spec.train.some(() => key !== undefined)',
      ],
      ['gradients go to the wrong keys', 'gradients[i]!])', 'gradients[gradients.length - 1 - i]!])'],
      [
        'clipping is off',
        'clipByGlobalNorm([...all.values()], limit)',
        'clipByGlobalNorm([...all.values()], undefined)',
      ],
      [
        'accumulated gradients are not divided',
        'div(state(gradientKey(key), p.axes, zeros), divisor)',
        'div(state(gradientKey(key), p.axes, zeros), 1)',
      ],
      [
        'the last micro-batch replaces the others',
        '[key, add(state(key, t.axes, zeros), t)]',
        '[key, add(mul(state(key, t.axes, zeros), 0), t)]',
      ],
      [
        'accumulated gradients are never cleared',
        '[gradientKey(key), broadcast(scalar(0), p.axes)] as const',
        '[gradientKey(key), mul(state(gradientKey(key), p.axes, zeros), 1)] as const',
      ],
      ['the accumulated weight is never cleared', '[accumulatedWeight, scalar(0)],', ''],
      ['the accumulated loss is a sum', 'loss: div(sum, divisor)', 'loss: sum'],
    ],
  ),
  mutantsOf(
    'src/train/update.ts',
    ['train/arithmetic'],
    [
      [
        'only the first micro-batch is run',
        'for (const b of batches) given',
        'for (const b of batches.slice(0, 1)) given',
      ],
    ],
  ),
  mutantsOf(
    'src/train/update.ts',
    ['train/reads-less'],
    [
      ['a misspelt input of one’s own is left out', 'offered === true ? readBy', 'true ? readBy'],
      ['an update is sent what nobody reads', 'offered === true ? readBy', 'false ? readBy'],
    ],
  ),
  mutantsOf(
    'src/train/batch-inputs.ts',
    ['rl/policy-gradient'],
    [['what one size reads is left out', 'variants.some(', 'variants.every(']],
  ),
  mutantsOf(
    'src/train/learner.ts',
    ['train/refused'],
    [
      ['a loss may be a whole number', "t.dtype !== 'float32'", 'false'],
      ['a loss may have axes', 't.axes.length > 0', 'false'],
      [
        'an auxiliary loss is not looked at',
        '...Object.entries(auxiliary)',
        '...Object.entries({} as typeof auxiliary)',
      ],
    ],
  ),
  mutantsOf(
    'src/train/learner.ts',
    ['train/stage'],
    [
      ['a loss is built for whoever asks', 'built.get(sizes) ?? ofSpec', 'ofSpec'],
      ['a learner is built for each program', 'made ??= learningOf(spec)', 'made = learningOf(spec)'],
    ],
  ),
  mutantsOf(
    'src/train/learner.ts',
    ['train/experts'],
    [
      ['each micro-batch has a balance of its own', 'own.get(before) ?? t', 't'],
      [
        'the balance counts as one micro-batch',
        'add(lossSum(terms), mul(part!, weight))',
        'add(lossSum(terms), mul(part!, terms.weight))',
      ],
    ],
  ),
  mutantsOf(
    'src/models/moe-balance.ts',
    ['models/moe', 'train/experts'],
    [
      ['padding counts', 'counted === undefined ? t : select(counted, t, 0)', 't'],
      ['layers are added up, not together', 'mul(whole.tokens, layers)', 'mul(whole.tokens, 1)'],
    ],
  ),
  mutantsOf(
    'src/models/moe.ts',
    ['models/moe', 'models/fixtures'],
    [
      ['an expert is taken twice', 'select(chosen, -1, probabilities)', 'probabilities'],
      ['weights never add up to 1', 'c.normalise ? div(all,', '!c.normalise ? div(all,'],
    ],
  ),
  mutantsOf(
    'src/models/moe-calibration.ts',
    ['models/moe-calibration'],
    [['offsets go the wrong way', 'offsets[e]! -= step', 'offsets[e]! += step']],
  ),
  mutantsOf(
    'src/train/objective.ts',
    ['train/objective'],
    [
      [
        'rows without a counted position are right',
        "cast(less(0, counted), 'float32')",
        "cast(lessEqual(0, counted), 'float32')",
      ],
      [
        'a row is right where one position is',
        'select(equal(right, counted), some, 0)',
        'select(less(0, right), some, 0)',
      ],
      ['nothing counted is 0 ÷ 0', 'select(less(0, weight), weight, 1)', 'weight'],
    ],
  ),
  mutantsOf(
    'src/train/next-token.ts',
    ['train/other-model', 'train/stage'],
    [
      [
        'every micro-batch is the first',
        'conversations.slice(at, at + rows)',
        'conversations.slice(0, rows)',
      ],
      ['labels are not moved', "labels: nextLabels(of('labels'))", "labels: of('labels')"],
    ],
  ),
  mutantsOf(
    'src/train/learnt-places.ts',
    ['train/other-model', 'train/stage'],
    [
      [
        'images are left out',
        '...(images === 0 ? {} : { images: imageInputs(model, images, x.batch, x.token) }),',
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/train/learnt-places.ts',
    ['rl/policy-gradient'],
    [['sizes are made that hardly fit any row', 'Math.max(least, mean)', 'least']],
  ),
  mutantsOf(
    'src/train/learnt-places.ts',
    ['train/learnt-places'],
    [
      ['a size too small is taken', '.filter((s) => room(s) >= most)', '.filter((s) => room(s) >= most / 2)'],
      ['the largest size is taken', 'room(a) - room(b)', 'room(b) - room(a)'],
      ['places left over are the first', '.fill(tokens - 1)', ''],
      ['tokens may be mixed afterwards', '!mixed && !reordered && ', ''],
      [
        'what a model does is not looked at',
        'return staysApart(given, wanted, n) ? undefined :',
        'return staysApart(given, wanted, n) || true ? undefined :',
      ],
      ['what numbers tokens anew passes', '(kept && after.has(t))', 'kept'],
      ['a few places are a size of their own', 'const least = 32', 'const least = 1'],
      ['the first token of a row is learnt', 'row * tokens + 1, ', 'row * tokens, '],
      [
        'as many places as a row has are fewer',
        "wholeSetting(where, 'learnt', learnt, 1) < tokens",
        "wholeSetting(where, 'learnt', learnt, 1) <= tokens",
      ],
      ['another sample is named', 'idOf(counts.indexOf(most))', 'idOf(0)'],
      ['a model that throws gives what is wanted', '    return false\n  }\n}', '    return true\n  }\n}'],
      [
        'experts may be chosen for a part of the tokens',
        'if (routersOf(given).some(',
        'if (false && routersOf(given).some(',
      ],
    ],
  ),
  mutantsOf(
    'src/train/recipe-run.ts',
    ['train/arithmetic', 'train/recipe'],
    [
      ['weights are not handed to the next stage', 'weights = yield* runStage', 'yield* runStage'],
      ['a finished stage is trained again', 'if (index < earlier.finished) {', 'if (index < 0) {'],
    ],
  ),
  mutantsOf(
    'src/train/recipe-run.ts',
    ['cli/fork'],
    [
      [
        'what stages behind the end lack is not looked at',
        'programs.slice(earlier.finished), earlier',
        'programs.slice(earlier.finished, to), earlier',
      ],
    ],
  ),
  mutantsOf(
    'src/train/stage-run.ts',
    ['train/arithmetic', 'train/recipe'],
    [
      [
        'what a stage does not have is dropped',
        'withOthers(session, before)',
        'withOthers(session, { ...before, keys: [] })',
      ],
      ['the seed is ignored', '{ seed: recipe.seed, values }', '{ seed: 0, values }'],
      ['weights are not taken', '{ seed: recipe.seed, values }', '{ seed: recipe.seed }'],
      [
        'matrices are not handed on',
        "'stored' ? [] : taken",
        "'stored' ? [] : taken.filter((k) => weights.shape(k)!.length < 2)",
      ],
      ['sessions are never closed', 'await orThrow(session.close())', ''],
      ['every stage is the last', 'index === recipe.stages.length - 1', 'index >= 0'],
      [
        'what was measured is measured again',
        'wasTrained ? measuredOf(context.earlier, stage.name, weights) : new Set()',
        'new Set()',
      ],
    ],
  ),
  mutantsOf(
    'src/train/stage-run.ts',
    ['train/model-soup'],
    [
      [
        'a stage that is measured later says the loss of its last steps',
        '(there.totals ?? totalsOf(context.earlier, stage))',
        'totalsOf(context.earlier, stage)',
      ],
    ],
  ),
  mutantsOf(
    'src/train/earlier-start.ts',
    ['train/earlier-start'],
    [
      ['what is measured beside a stage’s weights counts as these', 'e.weights === weights', 'true'],
      ['a checkpoint outlives its stage', '      checkpoint = undefined\n', ''],
      [
        'the first stage’s weights are handed on',
        'weights = checkpoint?.path',
        'weights ??= checkpoint?.path',
      ],
    ],
  ),
  mutantsOf(
    'src/train/recipe-preflight.ts',
    ['train/recipe', 'train/refused', 'train/checkpoint'],
    [['a first batch is read again', 'if (stage.name === begun) continue', '']],
  ),
  mutantsOf(
    'src/train/recipe-preflight.ts',
    ['train/preflight'],
    [
      ['what a stage throws does not name it', 'throw ofStage(stage.name, e)', 'throw e'],
      ['stages that have ended are asked', 'index < from || index >= to', 'index >= to'],
      ['stages beyond the end are asked', 'index < from || index >= to', 'index < from'],
      ['what a stage ends without is there', 'if (stage.ending?.without.has(key) !== true) there', 'there'],
    ],
  ),
  mutantsOf(
    'src/train/stage-run.ts',
    ['train/checkpoint'],
    [
      [
        'a stage in the middle begins anew',
        'there !== undefined && (await orThrow(hasProgress(middle)))',
        'false',
      ],
    ],
  ),
  mutantsOf(
    'src/train/weights.ts',
    ['train/recipe', 'train/arithmetic'],
    [
      [
        'missing keys begin fresh',
        'absent.filter((k) => fresh?.has(k) !== true)',
        'absent.filter(() => false)',
      ],
      ['a matrix of another shape is taken', 'is.some((n, i) => n !== want[i])', 'is.some((n) => n < 0)'],
      ['weights are rounded', "dtype: FloatDtype = 'F32'", "dtype: FloatDtype = 'BF16'"],
    ],
  ),
  mutantsOf(
    'src/train/supervised.ts',
    ['train/recipe'],
    [['the first batch is not looked at', 'collated(first.examples), learningRate', '[], learningRate']],
  ),
  mutantsOf(
    'src/train/supervised.ts',
    ['train/accumulate'],
    [
      [
        'an objective is given all examples of a step at once',
        'at += objective.batch) {',
        'at += examples.length) {',
      ],
    ],
  ),
  mutantsOf(
    'src/train/supervised-run.ts',
    ['train/checkpoint'],
    [
      [
        'a stage that goes on begins its data anew',
        'batchesOf(source, perStep, place, where)',
        'batchesOf(source, perStep, undefined, where)',
      ],
    ],
  ),
  mutantsOf(
    'src/run/data-files.ts',
    ['run/data-files'],
    [
      [
        'the end of a large file is not read',
        '(i * (bytes - block)) / (count - 1)',
        '(i * (bytes - block)) / count',
      ],
      ['each file is the whole run’s', 'asked?.has(before.file) === false', 'false'],
      ['of many files less than a block is read', 'Math.max(block, Math.floor', 'Math.max(0, Math.floor'],
      ['images that rows name are not compared', 'then.named === undefined ||', 'true ||'],
      ['a name across two blocks is not seen', '(from === end ? tail', "(from === end ? ''"],
    ],
  ),
  mutantsOf(
    'src/run/identity.ts',
    ['run/data-files'],
    [['data that changed go on', 'if (data.length > 0)', 'if (false)']],
  ),
  mutantsOf(
    'src/train/fork.ts',
    ['run/data-files'],
    [
      [
        'a stage goes on at its place in other data',
        'if (changed !== undefined) return',
        'if (false) return',
      ],
    ],
  ),
  mutantsOf(
    'src/run/checkpoint.ts',
    ['train/checkpoint'],
    [
      [
        'the place in the data is lost',
        '...(at.place === undefined ? {} : { place: JSON.stringify(at.place) }),',
        '',
      ],
      ['the sum of the last losses is lost', "number('tailLoss')", "0 * number('tailLoss')"],
    ],
  ),
  mutantsOf(
    'src/train/expert-terms.ts',
    ['train/experts'],
    [
      ['the balance is not scaled', 'mul(loss(), by) as Scalar', 'loss() as Scalar'],
      [
        'router z is scaled as the balance',
        'scaled(c.zLoss, () => routerZLoss(sums))',
        'scaled(c.balance, () => routerZLoss(sums))',
      ],
      ['load of the whole stage', '      added = undefined\n', ''],
      ['load of the last step alone', 'sum[i]! += given.data[i]!', 'sum[i] = given.data[i]!'],
      ['loads do not add up to 1', 'all === 0 ? 0 : n / all', 'n'],
      [
        'layers are counted on',
        '{ layers: sparseLayers(experts, layers) }',
        '{ layers: Array.from({ length: layers }, (_, i) => i) }',
      ],
      [
        'the first update is not told',
        'step % every !== 0 && step !== 1 && step !== steps',
        'step % every !== 0 && step !== steps',
      ],
      [
        'the last update is not told',
        'step % every !== 0 && step !== 1 && step !== steps',
        'step % every !== 0 && step !== 1',
      ],
      ['nothing is multiplied', 'by === undefined || by === 0 ?', 'by === undefined ?'],
    ],
  ),
  mutantsOf(
    'src/train/learning-stage.ts',
    ['train/transforms', 'train/averages'],
    [
      [
        'transforms are no part of what a stage says',
        '...(transforms.length === 0 ? {} : { transforms: transforms.map((t) => t.config) }),\n',
        '',
      ],
      ['averages are no part of what a stage says', '      ...ema,\n    },', '    },'],
      ['averages are not learnt', 'maxGradientNorm, transforms, ...ema }', 'maxGradientNorm, transforms }'],
      [
        'averages that never move',
        "numberSetting(where, 'ema', s.ema) >= 1",
        "numberSetting(where, 'ema', s.ema) > 1",
      ],
      ['what transforms add is not the stage’s own', '...transforms.flatMap((t) => t.adds?.keys ?? [])', ''],
      ['what the objective has is not the stage’s own', '...(own === undefined ? [] : [own]), ', ''],
      ['averages are not kept', 'ema !== undefined)', 'false)'],
    ],
  ),
  mutantsOf(
    'src/train/packed-next-token.ts',
    ['train/packed-next-token', 'train/experts'],
    [
      ['samples weigh their tokens inside', 'perSample ? { ...terms, weight: samples() } : terms', 'terms'],
      ['samples see one another', "mask: and(sameSegment(segments, 'token'), x.mask)", 'mask: x.mask'],
      [
        'padding is balanced',
        'withExperts(model, logits, less(0, x.segments), own)',
        'withExperts(model, logits, less(-1, x.segments), own)',
      ],
      [
        'one right token is enough',
        'select(equal(bySample(right, segments, tokens), all), some, 0)',
        'select(less(0, bySample(right, segments, tokens)), some, 0)',
      ],
      ['the mean is no part of what it says', '...(perSample ? { mean } : {}),\n', ''],
      ['samples without a loss count', 'weight: total(some),', 'weight: total(add(some, 0.5)),'],
    ],
  ),
  mutantsOf(
    'src/train/batch-inputs.ts',
    ['rl/policy-gradient'],
    [['what one size reads alone is not sent', 'variants.some((v) =>', 'variants.every((v) =>']],
  ),
].flat()
