/**
 * The models: SAIL-ViT, the adapter, Qwen3 and SAIL-VL2 joined from them; presets; configurations as they are published;
 * generation with a cache.
 *
 * @since 0.1.0
 */
export * from './adapter.ts'
export * from './any-resolution.ts'
export * from './config.ts'
export * from './extend-loop.ts'
export * from './generate.ts'
export * from './generation-sizes.ts'
export * from './model.ts'
export * from './moe.ts'
export * from './moe-balance.ts'
export * from './moe-calibration.ts'
export { activeShare, type ExpertComputation, isSparse, type MoeConfig, sparseLayers } from './moe-config.ts'
export * from './moe-upcycling.ts'
export * from './presets.ts'
export * from './pretrained.ts'
export * from './qwen3.ts'
export * from './sail-vit.ts'
export * from './sail-vl2.ts'
export * from './wanted.ts'
export * from './weights-error.ts'
