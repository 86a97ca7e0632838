/**
 * Models: SAIL-ViT, the adapter, Qwen3, SAIL-VL2; presets; checkpoint files; tokenizer and chat template.
 *
 * @since 0.1.0
 */
export * from './adapter.ts'
export * from './generate.ts'
export * from './presets.ts'
export * from './qwen3.ts'
export * from './sail-vit.ts'
export * from './sail-vl2.ts'
