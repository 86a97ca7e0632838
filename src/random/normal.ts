/**
 * Normal draws by the inverse of the distribution function: one 32-bit word gives one number, so that each element of a
 * stream stands for itself.
 *
 * The inverse is looked up: each octave of the tail's probability is cut into eight pieces, and each piece is a polynomial
 * through six points of Wichura's approximation. Only additions, multiplications, divisions and square roots are used,
 * which IEEE 754 rounds alike on every machine; so the numbers are the same everywhere, bit for bit.
 *
 * @since 0.1.0
 */

/** Natural logarithm of a number in (0, 1), by the series of the inverse hyperbolic tangent. */
const logarithm = (p: number): number => {
  let m = p
  let halvings = 0
  for (; m < Math.SQRT1_2; m *= 2) halvings++
  const s = (m - 1) / (m + 1)
  let sum = 0
  for (let n = 23; n > 0; n -= 2) sum = sum * s * s + 1 / n
  return 2 * s * sum - halvings * Math.LN2
}

const polynomial = (x: number, ...descending: readonly number[]): number =>
  descending.reduce((sum, c) => sum * x + c, 0)

/**
 * The z > 0 beyond which a standard normal lies with probability `p`, for 0 < p < ½, to 1 part in 10¹⁶.
 *
 * Source: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37
 * (1988), routine PPND16.
 */
export const upperQuantile = (p: number): number => {
  const q = 0.5 - p
  if (q <= 0.425) {
    const r = 0.180625 - q * q
    return (
      (q *
        polynomial(
          r,
          2509.0809287301227,
          33430.57558358813,
          67265.7709270087,
          45921.95393154987,
          13731.69376550946,
          1971.5909503065513,
          133.14166789178438,
          3.3871328727963665,
        )) /
      polynomial(
        r,
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1,
      )
    )
  }
  const root = Math.sqrt(-logarithm(p))
  if (root <= 5) {
    const r = root - 1.6
    return (
      polynomial(
        r,
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
      ) /
      polynomial(
        r,
        1.0507500716444169e-9,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1,
      )
    )
  }
  throw new RangeError(`upperQuantile: ${p} is below e^-25, beyond what a word of 32 bits asks for`)
}

const pieceBits = 3
/** Doubles that one piece takes: six coefficients, rising, and two that are not used, so that a shift finds it. */
const stride = 8
/** Where in a piece the polynomial meets the function: near the ends closer together, against overshooting. */
const nodes = [0.017, 0.146, 0.371, 0.629, 0.854, 0.983]

/** Coefficients, rising, of the polynomial of degree 5 through the points. */
const through = (xs: readonly number[], ys: readonly number[]): number[] => {
  const divided = [...ys]
  for (let order = 1; order < xs.length; order++)
    for (let k = xs.length - 1; k >= order; k--)
      divided[k] = (divided[k]! - divided[k - 1]!) / (xs[k]! - xs[k - order]!)
  let rising: number[] = []
  for (let k = xs.length - 1; k >= 0; k--) {
    const times = [0, ...rising]
    rising.forEach((c, i) => {
      times[i] = times[i]! - c * xs[k]!
    })
    times[0] = times[0]! + divided[k]!
    rising = times
  }
  return rising
}

/** The pieces, by octave and place in it, of the upper quantile of n / 2³³. */
const pieces = ((): Float64Array => {
  const table = new Float64Array(32 * 2 ** pieceBits * stride)
  for (let octave = 0; octave < 32; octave++)
    for (let piece = 0; piece < 2 ** pieceBits; piece++) {
      const width = 2 ** (octave - pieceBits)
      const ys = nodes.map((t) => upperQuantile((2 ** octave + (piece + t) * width) / 2 ** 33))
      table.set(through(nodes, ys), (octave * 2 ** pieceBits + piece) * stride)
    }
  return table
})()

/** The upper quantile of n / 2³³ for a whole n from 1 to 2³² − 1, to 10⁻¹⁰. */
const quantile = (n: number): number => {
  const zeros = Math.clz32(n)
  const leading = n << zeros
  const at = (((31 - zeros) << pieceBits) | ((leading >>> 28) & 7)) * stride
  const t = (leading & 0x0fffffff) / 0x10000000
  return (
    ((((pieces[at + 5]! * t + pieces[at + 4]!) * t + pieces[at + 3]!) * t + pieces[at + 2]!) * t +
      pieces[at + 1]!) *
      t +
    pieces[at]!
  )
}

/**
 * The standard normal draw of a word, a signed 32-bit integer: the 2³² words cut the distribution into as many equal
 * shares, and each word gives its share's middle. The largest is 6.34.
 */
export const normalOf = (word: number): number =>
  word < 0 ? -quantile((~word << 1) | 1) : quantile((word << 1) | 1)

/** The share of a normal beyond two standard deviations on one side, and what is left of that side, in units of 2⁻³². */
const beyond = 0.02275013194817921 * 2 ** 32
const within = 0.4772498680518208 * 2

/** The draw of a word from a standard normal cut at two standard deviations on both sides. */
export const truncatedOf = (word: number): number => {
  const half = word < 0 ? ~word : word
  const z = Math.min(2, quantile((Math.floor(beyond + (half + 0.5) * within) << 1) | 1))
  return word < 0 ? -z : z
}
