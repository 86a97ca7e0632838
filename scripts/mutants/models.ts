import { mutantsOf } from './mutant.ts'

/** Bugs of `src/models`. */
export const models = [
  mutantsOf(
    'src/models/any-resolution.ts',
    ['models/any-resolution', 'models/fixtures'],
    [
      [
        'padding sees padding',
        'and(sameSegment(image, patch.name), less(0, image))',
        'sameSegment(image, patch.name)',
      ],
      ['another cubic kernel', 'const a = -0.75', 'const a = -0.5'],
      [
        'corners do not align',
        'div(from.size - 1, maximum(sub(size, 1), 1))',
        'div(from.size, maximum(size, 1))',
      ],
      [
        'beyond the border is nothing',
        'minimum(maximum(add(below, offset), 0), from.size - 1)',
        'add(below, offset)',
      ],
      ['the border is one place too far', '0), from.size - 1)', '0), from.size)'],
      ['frequencies of twice the head', '(2 * quarter))', '(4 * quarter))'],
      ['rows and columns change places', '[row, column].map((at)', '[column, row].map((at)'],
      [
        'columns of as many as there are rows',
        'weightsAlong(places.column, places.columns,',
        'weightsAlong(places.column, places.rows,',
      ],
      [
        'bilinear by default',
        "how: Interpolation = 'bicubic',\n): Tensor",
        "how: Interpolation = 'bilinear',\n): Tensor",
      ],
      ['another base of angles', 'rotaryTheta = 1e4', 'rotaryTheta = 1e5'],
      ['a single row is where nothing is', 'maximum(sub(size, 1), 1)', 'sub(size, 1)'],
    ],
  ),
  mutantsOf(
    'src/models/moe-published.ts',
    ['models/config'],
    [
      ['weights of experts add up by default', 'made to add up to 1", false)', 'made to add up to 1", true)'],
      ['newer files have no experts', 'w.num_experts ?? w.num_local_experts', 'w.num_experts'],
      ['two numbers of experts', 'w.num_local_experts !== experts)', 'false)'],
      [
        'more experts than there are',
        'w.num_experts_per_tok > experts',
        'w.num_experts_per_tok > experts + 1',
      ],
      ['a layer beyond the last', '(i) => i >= layers', '(i) => i > layers'],
      [
        'the step of layers is lost',
        '...(w.decoder_sparse_step === 1 ? {} : { sparseStep: w.decoder_sparse_step }),\n',
        '',
      ],
      [
        'dense layers are lost',
        '...(w.mlp_only_layers.length === 0 ? {} : { denseLayers: w.mlp_only_layers }),\n',
        '',
      ],
      ['written steps are 1', 'decoder_sparse_step: c.sparseStep ?? 1', 'decoder_sparse_step: 1'],
      ['written dense layers are none', 'mlp_only_layers: c.denseLayers ?? []', 'mlp_only_layers: []'],
      ['the balance is the field’s', 'router_aux_loss_coef: c.balance ?? 0', 'router_aux_loss_coef: 0.001'],
      [
        'what is not balanced is written so',
        'router_aux_loss_coef: c.balance ?? 0',
        'router_aux_loss_coef: c.balance ?? 0.001',
      ],
      ['weights of experts are written as made', 'norm_topk_prob: c.normalise', 'norm_topk_prob: true'],
      [
        'read balance is the field’s',
        "router_aux_loss_coef: optional(\n    new Word('a number from 0 on', isCoefficient, 'what the balance loss is multiplied with'),\n    0.001",
        "router_aux_loss_coef: optional(\n    new Word('a number from 0 on', isCoefficient, 'what the balance loss is multiplied with'),\n    0",
      ],
    ],
  ),
  mutantsOf(
    'src/models/published-keys.ts',
    ['models/pretrained', 'models/published'],
    [
      ['gate and up change places', "'trunk.blocks.$1.mlp.fc1.'", "'trunk.blocks.$1.mlp.fc3.'"],
      [
        'keys are in the order of the alphabet',
        'return [...keys].sort((a, b) => place(a) - place(b))',
        'return [...keys].sort()',
      ],
      ['positions have no leading axis', 'isPositions(own) && first.shape.length === 2 ? [1] : []', '[]'],
      ['norms change places', "'trunk.blocks.$1.norm_$2.'", "'trunk.blocks.$1.norm_1.'"],
      ['parts that do not fit are joined', ' || p.shape.slice(1).join() !== first.shape.slice(1).join()', ''],
    ],
  ),
].flat()
