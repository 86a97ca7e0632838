/**
 * What the system refuses to do with a file, in words.
 *
 * @since 0.1.0
 */

/** Why, and what to do, of an error's code; undefined where the code says neither more nor less than its message. */
export const systemWords = (code: unknown): string | undefined =>
  code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
    ? 'the disk is full, or this user’s share of it; free some space and run again'
    : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? 'this user may not; choose another folder or change its permissions'
      : undefined
