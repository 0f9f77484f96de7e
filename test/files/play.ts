/** Plays one case and judges it: each numbered line once, of what is not owed at most once, and nothing else. */
import { join } from "node:path";
import type { Case, When } from "./cases.ts";
import { World } from "./world.ts";

/** What comes late would come within this: some looks, the wait for a last line, a commit. */
const afterMs = 600;

/** What is wrong, in words; "" when all is as it should be. `root` is a folder on the file system it is played on. */
export async function play(each: Case, when: When, root: string): Promise<string> {
  const folder = join(root, `${when}-${each.name}`.replaceAll(/\W+/g, "-").slice(0, 100));
  await using world = new World(folder, each);
  const texts = [...(each.texts ?? [])];
  await world.start();
  await world.write(each.first);
  await world.arrive((await world.written()) + textsIn(each.first));
  if (when === "while we are down") await world.kill();
  await world.write(each.happens);
  if (when === "while we are down") await world.start();
  const total = await world.written();
  const { from = total, to = total } = each.lost ?? {};
  await world.arrive(total + texts.length - (to - from));
  await Bun.sleep(each.later?.ms ?? afterMs);
  const counts = world.running.board.counts();
  const faults = [
    ...judge(world.numbers, total, texts, from, to),
    ...world.spool.broken,
    ...(each.codes ?? []).filter((code) => counts[code] === undefined).map((code) => `${code} is not counted`),
  ];
  return faults.join("; ");
}

/** Whole lines without a number that a script has written by `say`. */
function textsIn(script: string): number {
  const loops = /for f in a b; do for i in 1 2 3/.test(script) ? 6 : 1;
  return loops * [...script.matchAll(/say \S+ '([^']*)'/g)].reduce((sum, [, text = ""]) => sum + text.split("\\n").length - 1, 0);
}

function judge(had: readonly (number | string)[], total: number, texts: readonly string[], from: number, to: number): string[] {
  const times = new Map<number | string, number>();
  for (const one of had) times.set(one, (times.get(one) ?? 0) + 1);
  const faults: string[] = [];
  for (let number = 0; number < total; number++) {
    const count = times.get(number) ?? 0;
    times.delete(number);
    if (count > 1 || (count === 0 && (number < from || number >= to))) faults.push(`n=${number} came ${count} times`);
  }
  for (const text of texts) times.set(text, (times.get(text) ?? 0) - 1);
  for (const [one, count] of times) if (count !== 0) faults.push(`${JSON.stringify(one).slice(0, 80)}: ${count} more than there should be`);
  return faults.slice(0, 10);
}
