/** Vocabulary of the corpora: made from the seed, so that two seeds share no paths and no addresses. */
import type { Random } from "./random.ts";

const nouns =
  "account address archive asset avatar basket billing booking branch budget cache campaign cart catalog channel chart checkout client comment company config contact contract coupon customer delivery device digest document domain draft event export feature feed field filter folder gateway group health history image import index invoice item journal key label ledger library license limit link list location login manual market member menu message metric module note notice offer order origin package page partner payment person photo plan policy portal post price product profile project promo provider quote rating receipt record refund region release report request result review role rule sale schedule search section segment seller session setting shipment shop signup site snapshot source stage status stock store stream summary supplier support survey table tag target task team template tenant theme ticket token topic track trade transfer trial upload user value vendor version video view visit voucher wallet warehouse webhook widget wish zone".split(
    " ",
  );
const hosts = "edge web api cache queue store search mail auth batch".split(" ");
const first =
  "ada alan anna bela carl clara dana david elena emil eva felix fred greta hanna hugo ida igor jana jonas karin kim lara leo lena lukas maria max mila nina noah olga oscar paul petra quinn rosa ruben sara simon tara theo uma vera viktor wanda yara yusuf zoe".split(
    " ",
  );

/** One of `values`, each as likely as the others. */
export function any<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)] as T;
}

/** `count` values made by `make`. */
export function many(count: number, make: (index: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

export const noun = (random: Random): string => any(random, nouns);

export const slug = (random: Random, words: number): string => many(words, () => noun(random)).join("-");

export const hexText = (random: Random, digits: number): string =>
  many(Math.ceil(digits / 8), () => random.bits().toString(16).padStart(8, "0"))
    .join("")
    .slice(0, digits);

export const hostName = (random: Random): string => `${any(random, hosts)}-${String(1 + random.below(24)).padStart(2, "0")}`;

export const userName = (random: Random): string => (random.chance(0.4) ? any(random, first) : `${any(random, first)}.${noun(random)}`);

/** A public address: most of a site's visitors come from a few networks, so a third of them share one of 64. */
export function address(random: Random): string {
  const network = random.chance(0.33) ? `${80 + (random.below(64) % 16)}.${random.below(8) * 31}` : `${1 + random.below(223)}.${random.below(256)}`;
  return `${network}.${random.below(256)}.${1 + random.below(254)}`;
}

export function agent(random: Random): string {
  const chrome = `Chrome/${118 + random.below(24)}.0.${random.below(4) === 0 ? 0 : 5000 + random.below(2000)}.${random.below(3) === 0 ? 0 : random.below(220)}`;
  const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
  switch (random.below(8)) {
    case 0:
    case 1:
      return `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} ${chrome} Safari/537.36`;
    case 2:
      return `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_${random.below(8)}) ${webkit} ${chrome} Safari/537.36`;
    case 3:
      return `Mozilla/5.0 (iPhone; CPU iPhone OS 1${5 + random.below(4)}_${random.below(7)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/1${5 + random.below(4)}.${random.below(7)} Mobile/15E148 Safari/604.1`;
    case 4:
      return `Mozilla/5.0 (Linux; Android 1${random.below(5)}; SM-${any(random, ["A", "G", "S"])}${100 + random.below(900)}) ${webkit} ${chrome} Mobile Safari/537.36`;
    case 5:
      return `Mozilla/5.0 (X11; Linux x86_64; rv:${110 + random.below(30)}.0) Gecko/20100101 Firefox/${110 + random.below(30)}.0`;
    case 6:
      return `Mozilla/5.0 (compatible; ${noun(random)}bot/${1 + random.below(4)}.${random.below(10)}; +https://www.${noun(random)}.example/bot.html)`;
    default:
      return `${noun(random)}-client/${random.below(6)}.${random.below(20)}.${random.below(10)}`;
  }
}

export function path(random: Random): string {
  switch (random.below(6)) {
    case 0:
      return `/api/v${1 + random.below(3)}/${noun(random)}s/${random.below(90_000)}`;
    case 1:
      return `/api/v${1 + random.below(3)}/${noun(random)}s?page=${random.below(40)}&sort=${noun(random)}`;
    case 2:
      return `/static/${any(random, ["js", "css", "img", "font"])}/${slug(random, 2)}.${hexText(random, 8)}.${any(random, ["js", "css", "webp", "woff2"])}`;
    case 3:
      return `/${noun(random)}/${slug(random, 3)}`;
    case 4:
      return `/media/${random.below(64)}/${hexText(random, 16)}.jpg`;
    default:
      return `/${noun(random)}/${noun(random)}`;
  }
}
