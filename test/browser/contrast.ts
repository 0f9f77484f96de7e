/** The contrast of every text on a page against the ground it stands on, as WCAG 2.2 computes it (1.4.3, relative luminance). */
import type { Page } from "../support/chromium.ts";

export interface Contrast {
  /** Texts looked at. */
  measured: number;
  /** Those below 4.5:1, or below 3:1 where they are large (24 px, or 18.66 px and bold). */
  below: { text: string; ratio: number }[];
}

/** Looks at all texts that are shown now. Grounds are plain colours: gradients and images are not looked through. */
export function measureContrast(page: Page): Promise<Contrast> {
  return page.evaluate<Contrast>(`(${inPage})()`);
}

const inPage = `() => {
  const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const channel = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.a === 1) return color;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const below = [];
  let measured = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (text === "" || !element.checkVisibility() || element.closest("script, style") !== null) continue;
    const style = getComputedStyle(element);
    const [one, two] = [luminance(parse(style.color)), luminance(ground(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    measured++;
    if (ratio < (large ? 3 : 4.5)) below.push({ text, ratio });
  }
  return { measured, below };
}`;
