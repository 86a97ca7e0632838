// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/rl` but for its rewards and verifiers. */
export const rl = [
  mutantsOf(
    'src/rl/advantages.ts',
    ['rl/groups'],
    [
      ['the deviation is divided by n', '/ (known.length - 1)', '/ known.length'],
      ['the mean counts what has no reward', '0) / known.length\n', '0) / rewards.length\n'],
      ['scale none divides all the same', "scale === 'none' ? 1 :", "scale !== 'std' && epsilon < 0 ? 1 :"],
      ['rounding is a reason to learn', 'high - low > rounding *', 'high - low > 0 *'],
      [
        'what has no reward has the advantage 0',
        'r === undefined ? undefined : (r - mean)',
        'r === undefined ? 0 : (r - mean)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/unmet-families.ts',
    ['rl/attempts', 'rl/stage-options'],
    [
      ['a family that is there is told', '!met.includes(n)', 'true'],
      ['a family that is not there is not told', 'unmet.length === 0', 'unmet.length >= 0'],
    ],
  ),
  mutantsOf(
    'src/rl/reinforcement.ts',
    ['rl/stage-options'],
    [
      [
        'the shortest prompt alone is looked at',
        'b.prompt.promptLength - a.prompt',
        'a.prompt.promptLength - b.prompt',
      ],
      [
        'the first task alone is looked at',
        'previewOf(tasks), checked.drawing.groups',
        'previewOf(tasks), 1',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/step-advantages.ts',
    ['rl/rewards/scene-steps', 'rl/reinforcement'],
    [
      ['steps are never learnt from', 'if (steps === 0) return groups', 'if (steps < 9) return groups'],
      ['steps of another family are compared', '`${task.family}: ${step.about', '`${step.about'],
      [
        'a token has the worth of the step that ends with it',
        'step.from < end && start < step.to',
        'step.to === end',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/selection.ts',
    ['rl/groups'],
    [
      [
        'groups without spread are kept, the others not',
        'return haveSpread(rewards)\n',
        'return !haveSpread(rewards)\n',
      ],
      ['failed is counted as 0', '? j.value : undefined))', '? j.value : 0))'],
      ['a reward that is no finite number counts', '&& Number.isFinite(j.value) ', ''],
      ['one fewer than the least is enough', 'rewards.length < least', 'rewards.length < least - 1'],
      [
        'the lost are counted among those that have a reward',
        'judgements.length - rewards.length',
        'rewards.length',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/episode.ts',
    ['rl/episode'],
    [
      ['what is recorded is judged again', 'filter((g) => !recorded.has(began + g.index)),', ''],
      ['what is recorded is given again', 'if (recorded.has(index)) continue', ''],
      ['a round that is recorded is drawn again', 'there.length < tasks.length ? tasks : []', 'tasks'],
      [
        'of a round in part the missing tasks alone are drawn',
        '? tasks : []',
        '? tasks.slice(there.length) : []',
      ],
      ['tasks of a later round have the numbers of the first', '${began + i}`', '${i}`'],
      ['as many tasks again as the first time', 'c.next(d.groups - kept)', 'c.next(d.groups)'],
      ['one round too many', 'round < d.rounds &&', 'round <= d.rounds &&'],
      ['groups come as they end', 'inTaskOrder(),', ''],
    ],
  ),
  mutantsOf(
    'src/rl/record.ts',
    ['rl/episode', 'rl/reinforcement'],
    [
      ['what tokens read as is lost', 'promptIds: e.promptIds }))', 'promptIds: e.promptIds, texts: [] }))'],
      [
        'no advantage is recorded as 0',
        'g.advantages.map((a) => a ?? null)',
        'g.advantages.map((a) => a ?? 0)',
      ],
      [
        'why a group was left out is lost',
        '...(g.selection.kept ? {} : { discarded: g.selection.why }),',
        '',
      ],
      ['rollouts of another task are taken', 'if (e.task !== task.id)', 'if (e.index < 0)'],
    ],
  ),
  mutantsOf(
    'src/rl/reinforcement-run.ts',
    ['rl/reinforcement', 'rl/stage-options'],
    [
      [
        'a stage that goes on does its last episode again',
        'episodes: episode + 1, asked',
        'episodes: episode, asked',
      ],
      ['the number of asked tasks begins anew', 'asked = drawn.asked', ''],
      [
        'an episode of fewer updates shortens the course',
        'while (run.step < (episode + 1) * updates) run.tail',
        'if (false) run.tail',
      ],
      ['rollouts of an earlier start are drawn again', '(await c.rollouts?.(episode)) ?? []', '[]'],
      [
        'a table that cannot be written ends the stage',
        '// what was learnt is whole without it\n',
        'throw e\n',
      ],
      ['an advisory is told with every episode', 'run.told = [...run.told, kind]', ''],
      ['every update has the version 0', 'version: () => counted.step }', 'version: () => 0 }'],
      ['updates of an episode are made again', 'filter((m) => m.index >= skipped),', ''],
      ['old log-probabilities are those of now', 'skipped > 0 ? earlier.old : undefined', 'undefined'],
      ['an episode is told again', 'if (skipped === 0) yield summary', 'yield summary'],
      [
        'a start that goes on takes its weights for the reference',
        'if (c.from === undefined) await',
        'await',
      ],
      ['what a search found is not used', '* search.scale()', ''],
      ['waiting is counted for each update', '      waited = 0\n', ''],
      [
        'a search by loss takes the last',
        'losses.reduce((a, b) => a + b, 0) / losses.length',
        'losses.at(-1)!',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/reference.ts',
    ['rl/stage-options'],
    [
      ['the reference is what learns', 'referenceKey(t.op.key), t.axes', 't.op.key, t.axes'],
      [
        'the reference is nothing',
        'await orThrow(session.write(new Map(group.map((kept) => [kept, values.get(keyOf(kept))!]))))',
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/openai-client.ts',
    ['rl/server-policy'],
    [
      [
        'the key of the environment goes first',
        'apiKey ?? process.env.OPENAI_API_KEY',
        'process.env.OPENAI_API_KEY ?? apiKey',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/openai-client.ts',
    ['rl/rewards/judge'],
    [
      ['a server is waited for as long as it says', 'pause <= longestPause', 'pause > 0'],
      ['why there is no connection is not said', 'words.length < 4', 'words.length < 1'],
    ],
  ),
  mutantsOf(
    'src/rl/server-policy.ts',
    ['rl/server-policy'],
    [
      ['every request has one seed', 'seed: seedOf(seed, r),', 'seed,'],
      [
        'the whole conversation is sent',
        'prompt: r.prompt.ids.slice(0, r.prompt.promptLength),',
        'prompt: r.prompt.ids,',
      ],
      [
        'text that was encoded passes for tokens that were drawn',
        'given === undefined ? { reencoded: true as const } : {}',
        '{}',
      ],
      ['a full queue asks for more', 'mergeMap(asked, concurrency)', 'mergeMap(asked)'],
      ['requests go on after unsubscribing', 'cut.abort()', ''],
      ['what was cut off has ended', "stopped ? 'end' : 'length'", "'end'"],
      ['too many tokens are taken', 'ids.length > sampling.maxNewTokens', 'ids.length < 0'],
    ],
  ),
  mutantsOf(
    'src/rl/validation.ts',
    ['rl/validation'],
    [
      ['held-out tasks have the ids of tasks', '`validation/${some.length}/${example.id}`', 'example.id'],
      ['of two held-out tasks of one id one is lost', 'validation/${some.length}/', 'validation/'],
      [
        'what ended is cut off',
        "c.stop === 'length').length / completions",
        "c.stop !== 'length').length / completions",
      ],
      ['families come as they come', '.map((k) => k.family))].sort()', '.map((k) => k.family))]'],
      ['the judged are unjudged', 'unjudged: completions.length - known.length', 'unjudged: known.length'],
      ['one held-out task too many is asked', 'some.length >= count) break', 'some.length > count) break'],
      [
        'held-out tasks are drawn',
        'sampling = { maxNewTokens, temperature: 0 } }',
        'sampling = { maxNewTokens } }',
      ],
      ['too few held-out tasks go through', 'if (some.length < count)\n', 'if (some.length < 0)\n'],
      [
        'sampling is no part of what is said',
        'atStart, sampling: { ...sampling } }\n  json',
        'atStart }\n  json',
      ],
      [
        'a sampling that cannot be goes through',
        "  checkedSampling(where, 'validation.sampling', sampling, policy)\n",
        '',
      ],
      [
        'what has no reward is 0',
        'reward === undefined ? [] : [{ family: g.task.family, reward }]',
        '[{ family: g.task.family, reward: reward ?? 0 }]',
      ],
      ['a family has the rewards of all', 'known.filter((k) => k.family === f)', 'known'],
      ['concurrency is lost', 'concurrency: v.concurrency }', 'concurrency: 1 }'],
      ['every may be nothing', "'validation.every', v.every, 1)", "'validation.every', v.every, 0)"],
    ],
  ),
  mutantsOf(
    'src/rl/server-policy.ts',
    ['rl/server-policy'],
    [
      ['attempts are the client’s', 'timeout: timeoutMs, maxRetries: retries', 'timeout: timeoutMs'],
      ['too many requests are refused', '[408, 409, 429]', '[408, 409]'],
      ['the prompt of one’s own is believed', 'choice.prompt_token_ids ??\n', ''],
      ['prompt ids beside the choices are not read', '        reply.right.prompt_token_ids ??\n', ''],
      ['a text has no end', ', ...(stopped ? [processor.end] : [])]', ']'],
      ['a text that was cut has an end', '...(stopped ? [processor.end] : [])]', 'processor.end]'],
      [
        'fewer log-probabilities than tokens go through',
        'if (given !== undefined && logged?.length !== ids.length)',
        'if (given !== undefined && logged === undefined)',
      ],
      [
        'log-probabilities of chat are not read',
        ' ?? choice.logprobs?.content?.map((c) => c.logprob) ??',
        ' ??',
      ],
      ['a completion has the version at its end', 'version: begunAt }', 'version: version() }'],
      ['the text has its end', 'decode(ended ? ids.slice(0, -1) : ids)', 'decode(ids)'],
      [
        'every prompt thinks as the template does',
        '{ chat_template_kwargs: { enable_thinking: think } }',
        '{}',
      ],
      [
        'temperature is 0 where none is said',
        'temperature: s.temperature ?? 1',
        'temperature: s.temperature ?? 0',
      ],
      ['top k is not sent', 'top_k: s.topK, ', ''],
      ['min p is not sent', 'min_p: s.minP, ', ''],
      ['the penalty is not sent', ', repetition_penalty: s.repetitionPenalty', ''],
      ['top p is not sent', 'top_p: s.topP ?? 1', 'top_p: 1'],
      ['every sample of a task has one seed', '`${seed}/${sample}/${task}`', '`${seed}/${task}`'],
      ['every run has one seed', '`${seed}/${sample}/${task}`', '`${sample}/${task}`'],
      ['every task has one seed', '`${seed}/${sample}/${task}`', '`${seed}/${sample}`'],
      [
        'images are left out of token ids in silence',
        'if (r.prompt.images.length > 0)',
        'if (r.prompt.images.length < 0)',
      ],
      ['seeds have 32 bits', '>>> 1', '>>> 0'],
      [
        'log-probabilities of other tokens',
        'logged?.length === ids.length ? logged',
        'logged !== undefined ? logged',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/prompt-messages.ts',
    ['rl/server-policy'],
    [
      ['every image is the first', 'urls[used++]!', 'urls[used]!'],
      ['images that have no tokens are lost', 'if (shown !== images.length)', 'if (shown > images.length)'],
      [
        'the answer that a prompt begins is lost',
        "if (said === '') return undefined",
        'if (said !== open) return undefined',
      ],
      [
        'a closed thought is an open one',
        'if (said === open + close) return false',
        'if (said === open + close) return true',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/operators/rollout.ts',
    ['rl/operators'],
    [
      [
        'completions in the order in which they end',
        'completions: completions.sort((a, b) => a.sample - b.sample)',
        'completions',
      ],
      [
        'a policy that ends early is not noticed',
        'if (short === undefined) return',
        'if (short === undefined || short !== undefined) return',
      ],
      ['a completion too few', 'completions.length < group', 'completions.length < group - 1'],
      [
        'a sample that comes twice stands for one that does not come',
        'before.some((c) => c.sample === next.sample)',
        'false',
      ],
      [
        'a batch is asked for while another is drawn',
        'concatMap, map, type Op',
        'mergeMap as concatMap, map, type Op',
      ],
      ['batches of another size', 'bufferCount(batch)', 'bufferCount(batch + 1)'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/score.ts',
    ['rl/operators'],
    [
      ['judgements in the order in which they end', '.sort((a, b) => a.sample - b.sample)', ''],
      [
        'a reward that throws gives 0',
        '    return failed(`reward',
        "    return { _tag: 'Scored', value: 0, evidence: {} }\n    failed(`reward",
      ],
      ['all are judged at once', '}, concurrency),', '}),'],
      ['who leaves is waited for', '    return stop\n', ''],
    ],
  ),
  mutantsOf(
    'src/rl/operators/minibatches.ts',
    ['rl/operators'],
    [
      ['groups that were left out are learnt', 'filter((g) => g.selection.kept),', ''],
      ['every pass has one order', 'episode, pass)', 'episode)'],
      [
        'the last group is lost',
        'Math.round((k * groups.length) / parts)',
        'Math.floor((k * (groups.length - 1)) / parts)',
      ],
      [
        'updates are those of each pass',
        'Math.min(updates / passes, groups.length)',
        'Math.min(updates, groups.length)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/operators/policy-update.ts',
    ['rl/operators'],
    [
      ['nothing to learn is an update', 'batches.length === 0 ? undefined : await', 'await'],
      ['updates run beside one another', '{ concatMap, defer,', '{ mergeMap as concatMap, defer,'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/dynamic-sampling.ts',
    ['rl/operators'],
    [
      ['discarded groups are counted as wanted', 'kept + Number(selection.kept)', 'kept + 1'],
      ['the group that fills it is lost', 'kept < wanted, true)', 'kept < wanted)'],
      ['it draws on when it is full', 'kept < wanted, true)', 'kept <= wanted, true)'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/in-task-order.ts',
    ['rl/operators', 'rl/episode'],
    [
      ['the first is waited for twice', 'later: new Map(), next: 0', 'later: new Map(), next: 1'],
      ['what waits in vain is lost', 'if (later.size === 0) return', 'if (later.size >= 0) return'],
      ['one that comes twice is let through', 'group.index < next || later.has(group.index)', 'false'],
      [
        'subscriptions share what waits',
        'new Map([...later, [group.index, group]])',
        '(later as Map<number, G>).set(group.index, group)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/operators/kept-groups.ts',
    ['rl/operators'],
    [
      [
        'groups that were left out are computed',
        'g.selection.kept ? g.completions',
        'groups.length > 0 ? g.completions',
      ],
      ['who left is computed for', 'finalize(() => waiting.splice(0)),', ''],
      ['nothing is computed by a call', 'experiences.length === 0 ? [] : await', 'await'],
      ['calls run beside one another', '{ concatMap, defer,', '{ mergeMap as concatMap, defer,'],
      ['each group has a call of its own', 'waiting.splice(0)\n', 'waiting.splice(0, 1)\n'],
    ],
  ),
  mutantsOf(
    'src/rl/advisories.ts',
    ['rl/advisories'],
    [
      ['groups that could not be judged have one reward', 'flat === groups\n', 'flat <= groups\n'],
      ['an episode without a reward has a mean', 'last.filter((e) => e.rewards.count > 0)', 'last'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/with-reference.ts',
    ['rl/operators'],
    [
      ['the reference is the policy itself', ', experiences, referenceFunction)', ', experiences)'],
      ['the reference is the old policy', '({ referenceLogProbs })', '({ oldLogProbs: referenceLogProbs })'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/recomputed.ts',
    ['rl/operators'],
    [['the old policy is the reference', '({ oldLogProbs })', '({ referenceLogProbs: oldLogProbs })']],
  ),
  mutantsOf(
    'src/rl/operators/group-advantages.ts',
    ['rl/operators'],
    [
      ['a family has no weight', 'settings.families?.[group.task.family] ?? 1', '1'],
      ['settings are dropped', 'rewardsOf(group.judgements), settings)', 'rewardsOf(group.judgements))'],
    ],
  ),
  mutantsOf(
    'src/rl/operators/evaluate-every.ts',
    ['rl/operators', 'rl/stage-options'],
    [
      ['one step too early', '(after + i + 1) % every === 0', '(after + i) % every === 0'],
      ['a stage that goes on counts anew', '(after + i + 1) % every', '(i + 1) % every'],
      ['what is not taken is measured', 'defer(() => evaluate(step))', 'evaluate(step)'],
      ['the next step does not wait', '{ concat, concatMap,', '{ concat, mergeMap as concatMap,'],
    ],
  ),
  mutantsOf(
    'src/rl/losses/clipped.ts',
    ['rl/losses'],
    [
      ['the clip on the wrong side', 'isLow = and(losses,', 'isLow = and(gains,'],
      [
        'the upper bound is the lower one',
        'and(gains, greater(ratio, 1 + high))',
        'and(gains, greater(ratio, 1 + low))',
      ],
      ['gains are lost', 'loss: neg(mul(all, advantages))', 'loss: mul(all, advantages)'],
      [
        'the dual clip bounds gains',
        'select(and(losses, greater(ratio, dual))',
        'select(and(gains, greater(ratio, dual))',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/losses/mean.ts',
    ['rl/losses'],
    [
      [
        'masked tokens count',
        'sum: total(mul(values, mask)),\n  weight: total(mask),',
        'sum: total(values),\n  weight: total(mask),',
      ],
      [
        'the mean over all positions',
        "const counted = (mask: Tensor): Tensor => sum(mask, 'token')",
        "const counted = (mask: Tensor): Tensor => sum(cast(greater(mask, -1), 'float32'), 'token')",
      ],
      ['completions without a token are counted', 'greater(counted(mask), 0)', 'greater(counted(mask), -1)'],
      [
        'the constant is left out',
        'div(total(mul(values, mask)), tokens)',
        'div(total(mul(values, mask)), 1)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/losses/ratio.ts',
    ['rl/losses'],
    [
      [
        'old over new',
        'exp(logRatio(x.logProbs, x.oldLogProbs))',
        'exp(logRatio(x.oldLogProbs, x.logProbs))',
      ],
      ['the ratio of a sequence is the sum’s', "maximum(sum(x.mask, 'token'), 1),\n    ) as", '1,\n    ) as'],
      [
        'each token of a sequence is held within the bound by itself',
        'sum(mul(sub(x.logProbs, x.oldLogProbs), x.mask)',
        'sum(mul(logRatio(x.logProbs, x.oldLogProbs), x.mask)',
      ],
      [
        'a token of GSPO-token pulls on the others',
        'add(stopGradient(meanLogRatio(x))',
        'add(meanLogRatio(x)',
      ],
    ],
  ),
  mutantsOf(
    'src/rl/losses/corrections.ts',
    ['rl/losses'],
    [
      ['importance weights are not truncated', 'minimum(exp(', 'maximum(exp('],
      [
        'the divergence the wrong way round',
        "divergence(x.logProbs, given('referenceLogProbs', x.referenceLogProbs))",
        "divergence(given('referenceLogProbs', x.referenceLogProbs), x.logProbs)",
      ],
      ['a penalty is a bonus', 'referenceLogProbs)), referenceKl))', 'referenceLogProbs)), -referenceKl))'],
    ],
  ),
  mutantsOf(
    'src/rl/losses/ratio.ts',
    ['rl/losses'],
    [['without its 1', 'sub(sub(exp(log), 1), log)', 'sub(exp(log), log)']],
  ),
  mutantsOf(
    'src/rl/losses/surrogates.ts',
    ['rl/losses'],
    [
      [
        'GRPO by token and not by completion',
        'bounds: even, ratio: tokenRatio, mean: sequenceMean',
        'bounds: even, ratio: tokenRatio, mean: tokenMean',
      ],
      ['GSPO clips by token', 'bounds: narrow, ratio: sequenceRatio', 'bounds: narrow, ratio: tokenRatio'],
    ],
  ),
  mutantsOf(
    'src/rl/losses/clipped.ts',
    ['rl/losses'],
    [['both sides are the lower one', 'clipHigh: tokenMean(high', 'clipHigh: tokenMean(low']],
  ),
  mutantsOf(
    'src/rl/experience-batch.ts',
    ['rl/shared-prompts', 'rl/policy-gradient', 'rl/any-resolution'],
    [
      [
        'an answer stands where its prompt begins',
        'text.position_ids[at]! += prompt.promptIds.length',
        'text.position_ids[at]! += 0',
      ],
      ['completions see one another', 'branchIds.fill(i + 1, from, end)', 'branchIds.fill(1, from, end)'],
      [
        'copies of prompts are one',
        'pack.prompts.map((p, i) => [p, i + 1])',
        'pack.prompts.map((p) => [p, 1])',
      ],
      [
        'a first token follows what stands before it',
        '(t === 0 ? prompt.start + prompt.promptIds.length : start + t) - 1',
        'start + t - 1',
      ],
      [
        'steps are worth nothing beside the answer',
        'e.advantage + (e.stepAdvantages?.[t] ?? 0)',
        'e.stepAdvantages?.[t] ?? e.advantage',
      ],
      [
        'what has no steps is worth nothing',
        'e.advantage + (e.stepAdvantages?.[t] ?? 0)',
        'e.stepAdvantages === undefined ? 0 : e.advantage + e.stepAdvantages[t]!',
      ],
      ['every image has as many tokens as the first', 'all += tokens[i]!', 'all += tokens[0]!'],
      [
        'a log-probability that is none goes through',
        'if (x !== undefined && Number.isFinite(x)) return x',
        'return x ?? 0',
      ],
      [
        'image tokens without an image go through',
        'if (seen !== places.length)',
        'if (seen < places.length)',
      ],
      [
        'an answer sees all of a row',
        "and(and(sameSegment(segments, 'token'), sameBranch(of('branch_ids'), 'token')), causal(token))",
        "and(sameBranch(of('branch_ids'), 'token'), causal(token))",
      ],
      [
        'the largest size is taken',
        'own.map((place, i) => [place, i])',
        'own.map((place, i) => [place, i + 1])',
      ],
      ['images of a prompt stand where those of the first do', 'begins.get(image)! + n', 'n'],
    ],
  ),
  mutantsOf(
    'src/rl/experience-pack.ts',
    ['rl/shared-prompts', 'rl/policy-gradient'],
    [
      [
        'more completions than a batch takes',
        'Math.min(left.length, sizes.completions - pack.placed.length)',
        'left.length',
      ],
      ['prompts with other images are one', ';${e.images.map(numberOf).join()}`', '`'],
      [
        'images of others take no room',
        'taken([...pack.images, ...images]) > sizes.images',
        'taken(images) > sizes.images',
      ],
      ['answers stand on one another', 'start += experience.ids.length\n', ''],
      ['a row is never full', 'pack.filled[row] = start', 'pack.filled[row] = 0'],
      ['what did not fit is left out', 'left = left.slice(fits)', 'left = []'],
      ['an answer that is too long goes through', 'if (e.ids.length > sizes.answer)', 'if (false)'],
    ],
  ),
  mutantsOf(
    'src/rl/policy-gradient.ts',
    ['rl/policy-gradient', 'rl/experts'],
    [
      ['the temperature multiplies', 'div(raw, temperature)', 'mul(raw, temperature)'],
      ['the temperature is nobody’s', 'temperature === 1 ? raw : div(raw, temperature)', 'raw'],
      ['entropy is wanted less', '-bonus!)', 'bonus!)'],
      [
        'the bonus teaches nothing',
        'bonus === undefined ? undefined : tokenMean(entropyOf(logits), mask)',
        'bonus === undefined ? undefined : tokenMean(entropyOf(stopGradient(logits)), mask)',
      ],
      ['a loss’s own auxiliary losses are lost', '                ...terms.auxiliary,\n', ''],
      [
        'padding is balanced',
        'withExperts(model, logits, less(0, segments), {',
        'withExperts(model, logits, less(-1, segments), {',
      ],
      [
        'a reference is not asked for',
        'loss.reads?.reference === true',
        'loss.reads?.reference === undefined',
      ],
      [
        'experiences come back in the order of packs',
        'return experiences.map((e) => found.get(e)!)',
        'return [...found.values()]',
      ],
      [
        'steps are not read',
        "input('advantages', bySteps ? drawn : [drawn[0]!])",
        "input('advantages', [drawn[0]!])",
      ],
      ['its own metrics are lost', '{ ...terms.stepMetrics, entropy: measured }', '{ entropy: measured }'],
      ['steps are no part of what it says', '...(bySteps ? { steps: true } : {}),\n', ''],
    ],
  ),
].flat()
