export const experiment = { name: 'forgotten default' }
