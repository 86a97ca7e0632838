/**
 * Models by name. A preset is a configuration: building it allocates no weights.
 *
 * Sources: AIMv2 (El-Nouby et al. 2024), Qwen3 (`config.json` of the published models), SAIL-VL2 table 1. Whether the
 * released 2B model ties its head is not published; table 1's 2.0 B language parameters are the untied count.
 *
 * @since 0.1.0
 */
import { kindOf, SettingsError } from '../settings/index.ts'
import type { Model } from './model.ts'
import { type Qwen3Config, qwen3Model } from './qwen3.ts'
import { type SailVitConfig, sailVitModel } from './sail-vit.ts'
import { type SailVl2Config, sailVl2Model } from './sail-vl2.ts'

const aimv2 = (hiddenSize: number, intermediateSize: number, heads: number): SailVitConfig => ({
  imageSize: 448,
  patchSize: 14,
  hiddenSize,
  intermediateSize,
  layers: 24,
  heads,
  epsilon: 1e-5,
})

const qwen3 = (
  hiddenSize: number,
  intermediateSize: number,
  layers: number,
  heads: number,
  tied: boolean,
): Qwen3Config => ({
  vocabSize: 151936,
  hiddenSize,
  intermediateSize,
  layers,
  heads,
  kvHeads: 8,
  headDim: 128,
  ropeTheta: 1e6,
  epsilon: 1e-6,
  tied,
})

/** AIMv2-Large at 448 × 448. */
export const aimv2Large: SailVitConfig = aimv2(1024, 2816, 8)
/** AIMv2-Huge at 448 × 448: SAIL-ViT-Huge, 682,031,616 parameters. */
export const aimv2Huge: SailVitConfig = aimv2(1536, 4096, 12)
/** Qwen3-0.6B: 596,049,920 parameters, tied. */
export const qwen3Small: Qwen3Config = qwen3(1024, 3072, 28, 16, true)
/** Qwen3-1.7B: 1,720,574,976 parameters, tied. */
export const qwen3Medium: Qwen3Config = qwen3(2048, 6144, 28, 16, true)
/** Qwen3-8B: 8,190,735,360 parameters, untied. */
export const qwen3Large: Qwen3Config = qwen3(4096, 12288, 36, 32, false)

/** Qwen3-30B-A3B: 30,532,122,624 parameters, of which 3,353,032,704 work for a token; untied. */
export const qwen3Experts: Qwen3Config = {
  ...qwen3(2048, 6144, 48, 32, false),
  kvHeads: 4,
  moe: { experts: 128, perToken: 8, intermediateSize: 768, normalise: true, balance: 0.001 },
}

/** The scale at which the whole recipe runs on two cores: images of 112 × 112, 16 visual tokens. */
export const nano: SailVl2Config = {
  vision: {
    imageSize: 112,
    patchSize: 14,
    hiddenSize: 128,
    intermediateSize: 352,
    layers: 5,
    heads: 4,
    epsilon: 1e-5,
    patchInit: 'centred',
  },
  language: {
    vocabSize: 512,
    hiddenSize: 160,
    intermediateSize: 448,
    layers: 4,
    heads: 5,
    kvHeads: 5,
    headDim: 32,
    ropeTheta: 1e4,
    epsilon: 1e-6,
    tied: true,
  },
}

/** {@link nano} with 8 experts in each layer, 2 for a token, each as wide as nano's feed-forward block. */
export const moeNano: SailVl2Config = {
  ...nano,
  language: {
    ...nano.language,
    moe: { experts: 8, perToken: 2, intermediateSize: 448, normalise: true, balance: 0.01 },
  },
}

/** A model that reads images of any size: learned positions resized, as the paper's text has it, and rotary ones, as its figure. */
export const anyResolution = (c: SailVl2Config): SailVl2Config => ({
  ...c,
  vision: { ...c.vision, anyResolution: { positions: 'both' } },
})

/** A model of one of three kinds. */
export type Preset =
  | { readonly kind: 'vision'; readonly config: SailVitConfig }
  | { readonly kind: 'language'; readonly config: Qwen3Config }
  | { readonly kind: 'vision-language'; readonly config: SailVl2Config }

/** Every preset by its name on the command line. */
export const presets: Readonly<Record<string, Preset>> = {
  nano: { kind: 'vision-language', config: nano },
  'moe-nano': { kind: 'vision-language', config: moeNano },
  'nano-anyres': { kind: 'vision-language', config: anyResolution(nano) },
  'aimv2-large': { kind: 'vision', config: aimv2Large },
  'aimv2-huge': { kind: 'vision', config: aimv2Huge },
  'qwen3-0.6b': { kind: 'language', config: qwen3Small },
  'qwen3-1.7b': { kind: 'language', config: qwen3Medium },
  'qwen3-8b': { kind: 'language', config: qwen3Large },
  'qwen3-30b-a3b': { kind: 'language', config: qwen3Experts },
  'sail-vl2-2b': {
    kind: 'vision-language',
    config: { vision: aimv2Huge, language: { ...qwen3Medium, tied: false } },
  },
  'sail-vl2-anyres-2b': {
    kind: 'vision-language',
    config: anyResolution({ vision: aimv2Huge, language: { ...qwen3Medium, tied: false } }),
  },
  'sail-vl2-8b': { kind: 'vision-language', config: { vision: aimv2Huge, language: qwen3Large } },
  'sail-vl2-30b-a3b': { kind: 'vision-language', config: { vision: aimv2Huge, language: qwen3Experts } },
}

/** A preset as a model under its name. @throws SettingsError where it is none: `presets` has none of a name that is misspelt */
export const presetModel = (name: string, preset: Preset): Model => {
  if (kindOf(preset) !== 'a record')
    throw new SettingsError(
      'presetModel',
      'preset',
      `it is ${kindOf(preset)}; give one of presets: ${Object.keys(presets).join(', ')}`,
    )
  switch (preset.kind) {
    case 'vision':
      return sailVitModel(name, preset.config)
    case 'language':
      return qwen3Model(name, preset.config)
    case 'vision-language':
      return sailVl2Model(name, preset.config)
  }
}
