/** The split that a name begins with, as published data sets have it: `train-00000-of-00004.parquet`; '' where it has none. */
export const splitOf = (name: string): string =>
  /^(train|test|validation|valid|val|dev|eval)(?![a-z])/i.exec(name)?.[1]?.toLowerCase() ?? ''
