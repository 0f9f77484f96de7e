/** The plainest words of the contracts: what is kept as JSON, how far a source has read, which records are meant. */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What a source knows about how far it has read: by key (a file's identity, a sender's lane), `null` forgets the key. */
export type PositionDelta = Readonly<Record<string, Json>>;

/** First and last sequence, both included. */
export type Range = readonly [first: number, last: number];
