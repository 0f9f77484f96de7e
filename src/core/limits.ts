/** Bounds that hold for the whole house. A bound carries the arithmetic that chose it. */

const KiB = 1024;
const MiB = 1024 * KiB;

/** NDJSON bytes a frame gathers before it is compressed: below 64 KiB ratio suffers, above 1 MiB it gains nothing. */
export const frameBytes = 1 * MiB;

/** NDJSON bytes a commit group gathers while the one before it is being synced: a slow disk costs latency, not throughput. */
export const groupBytes = 8 * MiB;

/** What a source reads at once. Half a frame, so that plain lines in their envelope fill about one frame. */
export const readBytes = 512 * KiB;

/** Streams open at once before frames are mixed: 32 x 64 KiB is the least a group of 2 MiB still compresses well at. */
export const streamsOpen = 32;

/** A frame never spans a quarter hour of record time: every time zone's day and hour begins on one. */
export const quarterMs = 15 * 60 * 1000;

/** Kept aside on disk so that journals and checkpoints can be written when it is full. */
export const reserveBytes = 8 * MiB;

/** Damaged bytes kept in quarantine/ at most. */
export const quarantineBytes = 64 * MiB;

/** A record time further from the read time than this does not choose a partition. */
export const recordAgeMsMax = 10 * 366 * 24 * 60 * 60 * 1000;
export const recordAheadMsMax = 24 * 60 * 60 * 1000;

/** Bytes that are kept of a line where the configuration of its source says nothing else. */
export const lineBytesMax = 1 * MiB;
