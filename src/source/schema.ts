/**
 * The keys every source has, as valibot entries to spread into a source's own schema:
 *
 *     export const schema = v.strictObject({ type: v.literal("file"), ...commonSource, include: … });
 *
 * A key that does nothing is not in here: what cannot be obeyed must not be accepted.
 */
import * as v from "valibot";

const labelName = v.pipe(v.string(), v.minLength(1, "a label needs a name"));
const labelValue = v.string("must be text; put numbers, true and false in quotes");

export const commonSource = {
  labels: v.optional(
    v.pipe(v.record(labelName, labelValue, "must be a map of name: text"), v.description("Written into every record of this source.")),
    {},
  ),
};
