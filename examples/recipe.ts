/**
 * SAIL-VL2's recipe for two cores: a pretrained encoder, a pretrained language model, a fresh adapter between them; ten
 * stages to a model that thinks where it is asked to (paper §2.1, §3, §4.2). `examples/recipe/` says what the stages are
 * made of. `--set scale=2` trains twice as long; `--from <stage>` begins with a stage, after the one before it.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { nanoBases, nanoModel } from 'sailwright/tasks'
import { begin, type ExperimentFile, experiment, next } from 'sailwright/train'
import { answering } from './recipe/answering.ts'
import { longCot } from './recipe/longcot.ts'
import { measures } from './recipe/measures.ts'
import { judged, reinforced, verified } from './recipe/reinforced.ts'
import { thinkFusion } from './recipe/think-fusion.ts'

const { vision, adapter, language } = nanoModel.parts
const all = [vision, adapter, language]

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const scale = setting.number('scale', quick ? 1 / 32 : 1, { from: 1e-3 })
  const about = { seed, scale }
  const { stage, soup } = answering(about)
  const reinforce = reinforced(about)
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }

  // what a stage needs and what it leaves are in its type: in another order this does not compile
  const recipe = pipe(
    begin({ name: 'recipe', seed, model: nanoModel, start, now: 'bases' }),
    // what is trained, share of captions, lowest level, steps, peak rate
    next(stage('alignment-1', ['bases', 'warm'], [[adapter], 0.3, 1, 200, 4e-3])),
    next(stage('alignment-2', ['warm', 'fine'], [[vision, adapter], 0.3, 1, 230, 2e-3])),
    next(stage('alignment-3', ['fine', 'aligned'], [all, 0.1, 2, 490, 2e-3])),
    next(stage('basic-pretraining', ['aligned', 'grounded'], [[adapter], 0.15, 2, 30, 5e-4])),
    next(stage('sft', ['grounded', 'tuned'], [all, 0, 3, 700, 2e-3])),
    next(soup('soup', ['tuned', 'souped'])),
    next(longCot(about)), // to 'thinking'
    // the reward; lowest level, episodes, rate
    next(reinforce('verifiable-rl', ['thinking', 'reasoning'], verified, [4, 16, 1e-4])),
    next(thinkFusion(about)), // to 'fused'
    next(reinforce('mixed-rl', ['fused', 'mixed'], judged, [3, 5, 8e-5])),
  )
  const fused = ['think-fusion', 'mixed-rl']
  return experiment(recipe, measures(scale, ['longcot', 'verifiable-rl', ...fused], fused))
}

export default file
