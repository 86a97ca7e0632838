/** Milliseconds of processor time that this process has used: what a limit of work is held against, however busy the machine is. */
export const worked = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
