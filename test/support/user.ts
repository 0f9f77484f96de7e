/** Root reads and writes everything, which hides every fault of rights: what to put before a command so that it has those of its user only. */
export const asPlainUser: readonly string[] = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
