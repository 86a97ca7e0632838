/**
 * What the system refuses to do with a file, in words.
 *
 * @since 0.1.0
 */

/**
 * Why, and what to do, of an error's code; undefined where the code says neither more nor less than its message.
 *
 * @param syscall what the system was asked for; a file that is there is in the way of a folder alone
 */
export const systemWords = (code: unknown, syscall?: unknown): string | undefined =>
  code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
    ? 'the disk is full, or this user’s share of it; free some space and run again'
    : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? 'this user may not; choose another folder or change its permissions'
      : code === 'ENOTDIR' || (code === 'EEXIST' && syscall === 'mkdir')
        ? 'a file is there, or on the way to it, or a link that leads nowhere, where a folder should be; choose another name'
        : code === 'EISDIR'
          ? 'it is a folder; name a file'
          : code === 'ENAMETOOLONG'
            ? 'the name is too long; choose a shorter one'
            : code === 'EMFILE' || code === 'ENFILE'
              ? 'as many files are open as may be; allow more (ulimit -n 4096) and run again'
              : undefined
