/** What is misspelt or cannot be is refused where it is written, before any work, with the nearest name. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as rl from '../../src/rl/index.ts'
import { echoModel, echoProcessor, echoReward, echoStage, echoTasks } from '../support/echo.ts'
import { messageThrown } from '../support/tiny.ts'

const test = suite('reinforcement: settings that cannot be')

// as a file without types has it
const odd = (x: unknown) => x as never
const refused = (make: () => unknown, words: RegExp): void => {
  assert.match(messageThrown(make), words)
}
const sizes = { rows: 32, prompt: 12, capacity: 14 }
const policy = (some: object) => rl.trainedPolicy(echoModel, echoProcessor, odd({ ...sizes, ...some }))
const parts = { answer: echoReward, format: echoReward }
const mixed = rl.weighted(parts, { answer: 0.9, format: 0.1 })

test('how answers are drawn', () => {
  const sampling = (some: object) => () => echoStage({ sampling: odd({ maxNewTokens: 1, ...some }) })
  refused(
    sampling({ temprature: 1 }),
    /'echo', sampling\.temprature: there is no such .* mean 'temperature'\?/,
  )
  refused(sampling({ topK: -1 }), /sampling\.topK: it is -1; give a whole number from 1/)
  refused(sampling({ topP: 2 }), /sampling\.topP: it is 2; give a probability/)
  refused(sampling({ minP: Number.NaN }), /sampling\.minP: it is NaN/)
  refused(
    () => echoStage({ sampling: odd(undefined) }),
    /'echo', sampling: it is undefined; give a record of settings: max/,
  )
  const held = { tasks: echoTasks, count: 1, every: 1 }
  refused(
    () => echoStage({ validation: { ...held, sampling: odd({ maxNewToken: 1 }) } }),
    /validation\.sampling\.maxNewToken: .*Did you mean 'maxNewTokens'\?/,
  )
})

test('a cache into which prompt and answer do not fit together, and sizes that are none', () => {
  refused(
    () => echoStage({ policy: policy({ capacity: 13, prompt: 12 }), sampling: { maxNewTokens: 2 } }),
    /sampling\.maxNewTokens: it is 2, and a prompt of 12 tokens leaves 1 of the policy's capacity of 13; raise its capacity to 14/,
  )
  const held = { tasks: echoTasks, count: 1, every: 1, sampling: { maxNewTokens: 99 } }
  refused(() => echoStage({ validation: held }), /validation\.sampling\.maxNewTokens: it is 99/)
  refused(() => policy({ capacty: 14 }), /trainedPolicy, sizes.capacty: .*Did you mean 'capacity'\?/)
  refused(() => policy({ capacity: 12 }), /sizes\.capacity: it is 12; give a whole number from 13/)
  refused(() => policy({ rows: 0 }), /sizes\.rows: it is 0/)
})

test('episodes, stages and attempts', () => {
  refused(() => echoStage(odd({ epsiodes: 3 })), /'echo', epsiodes: .*Did you mean 'episodes'\?/)
  const episode = { rollouts: 128, minibatch: 256, updates: 4 }
  refused(() => echoStage({ episode }), /episode\.minibatch: it is 256, and an episode has 128 rollouts/)
  const tried = { tasks: echoTasks, count: 3, attempts: 4, policy: policy({}), right: echoReward }
  const drawn = { ...tried, sampling: { maxNewTokens: 1 } }
  refused(() => rl.solvable(odd({ ...drawn, esay: [] })), /solvable, esay: .*Did you mean 'easy'\?/)
  refused(() => rl.solvable({ ...drawn, attempts: 1 }), /attempts: it is 1; give a whole number from 2/)
  refused(
    () => echoStage({ policy: policy({}), tasks: rl.solvable(drawn) }),
    /'echo', tasks: they are chosen by another policy than the stage's, .*; make one trainedPolicy\(…\) and give it to both/,
  )
  refused(() => rl.harvested(odd({ ...drawn, easy: [] })), /harvested, easy: there is no such setting/)
  refused(
    () => rl.harvested({ ...tried, sampling: { maxNewTokens: 3 } }),
    /harvested, sampling\.maxNewTokens: it is 3, and a prompt/,
  )
})

test('options of rewards and judges', () => {
  const table: readonly (readonly [() => unknown, RegExp])[] = [
    [() => rl.answer(odd({ decimal: 1 })), /answer, decimal: .*Did you mean 'decimals'\?/],
    [() => rl.format(odd({ than: 'box' })), /format, than: .*Did you mean 'then'\?/],
    [() => rl.length(odd({ mots: 1 })), /length, mots: .*'most'/],
    [() => rl.softOverlong(odd({ maxLenght: 9, cache: 1 })), /softOverlong, maxLenght: .*'maxLength'/],
    [() => rl.cosineScaled(odd({ max: 1 })), /cosineScaled, max: .*'maxLength'/],
    [() => rl.repetition(odd({ n: 3 })), /repetition, n: there is no such setting; there are size/],
    [() => rl.choice(odd({ poll: 1 })), /choice, poll: .*'pool'/],
    [() => rl.textSimilarity(odd({ treshold: 1 })), /textSimilarity, treshold: .*'threshold'/],
    [() => rl.chartNumber(odd({ tolerence: 1 })), /chartNumber, tolerence: .*'tolerance'/],
    [() => rl.regionOverlap(odd({ thresh: 1 })), /regionOverlap, thresh: .*'threshold'/],
    [() => rl.reward('mine', () => 1, odd({ timeout: 1 })), /mine, timeout: .*'timeoutMs'/],
    [() => rl.reward('mine', odd(3)), /mine, judge: it is .*; give a function/],
    [
      () => rl.verified('mine', { module: new URL('./not-there.js', import.meta.url) }),
      /mine, module: there is no file \/.*not-there\.js/,
    ],
    [() => rl.verified('mine', odd({ module: './a.js' })), /mine, module: it is .*a\.js.*new URL/],
    [() => rl.judgeModel(odd({ baseUrl: 'http://x', model: 'm' })), /baseUrl: .*Did you mean 'baseURL'\?/],
    [() => rl.thinkJudge(odd({ model: 'm' })), /thinkJudge, model: it is 'm'; give judgeModel/],
    [() => rl.sailRl(odd({ ...parts, apha: 1 })), /sailRl, apha: there is no such setting/],
  ]
  for (const [make, words] of table) refused(make, words)
})

test('weights', () => {
  refused(() => rl.weighted(parts, odd({ anwser: 1, format: 1 })), /weights\.anwser: .*mean 'answer'\?/)
  refused(() => rl.weighted(parts, odd(undefined)), /weights: it is undefined; give a number for each reward/)
  refused(
    () => rl.weighted(odd(null), odd({})),
    /weighted, rewards: it is null; give a record of rewards by name/,
  )
  refused(
    () => rl.any(odd([rl.format()])),
    /any, rewards: it is a list of 1; give a record of rewards by name/,
  )
  refused(() => rl.weightsFrom('answer=0x1'), /answer=0x1: it is no weight; write name=number/)
  refused(() => rl.weighted(parts, { answer: 1, format: Number.NaN }), /weights\.format: it is NaN/)
  refused(() => rl.reweighted(mixed, { fromat: 1 }), /weights\.fromat: .*Did you mean 'format'\?/)
  refused(() => rl.reweighted(mixed, { answer: 0, format: 0 }), /weights: all are 0/)
  refused(() => rl.reweighted(mixed, { format: -0.1 }), /weights\.format: it is -0.1, and was 0.1: it would/)
  const punishing = rl.weighted(parts, { answer: 1, format: -0.5 })
  assert.equal(rl.weightsOf(rl.reweighted(punishing, { format: -1 })), { answer: 1, format: -1 })
})

test.run()
