/**
 * The page's style, as text: it goes into the page as it stands here, and its hash into the page's policy.
 *
 * One column on a telephone, a row of cards on a screen; light and dark as the reader's system is. Text on every ground has a
 * contrast of at least 4.5:1, and no state is told by colour alone.
 */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f7; --card: #ffffff; --line: #dbe1e7; --ink: #15202b; --soft: #52606d; --link: #0a5fb4; --track: #e4e9ee;
  --ok: #0f6b3c; --ok-ground: #e6f4ec; --warn: #855000; --warn-ground: #fff3dd; --bad: #b0201a; --bad-ground: #fdeae8;
  --flow: #2f7fc9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1318; --card: #161d24; --line: #2a343e; --ink: #e8edf2; --soft: #9eabb8; --link: #7cb8f2; --track: #26303a;
    --ok: #6bd398; --ok-ground: #11281d; --warn: #f2bd63; --warn-ground: #2d2412; --bad: #ff9a90; --bad-ground: #331a19;
    --flow: #4f9fe6;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 20px 24px 32px; max-width: 1240px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-variant-numeric: tabular-nums;
}
a { color: var(--link); text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
h1, h2, h3, p, dl, dd, ul, table { margin: 0; padding: 0; }
code { font: 0.92em ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
bdi { overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.ok { --tone: var(--ok); --tone-ground: var(--ok-ground); }
.warn { --tone: var(--warn); --tone-ground: var(--warn-ground); }
.bad { --tone: var(--bad); --tone-ground: var(--bad-ground); }
.plain { --tone: var(--soft); --tone-ground: var(--track); }

#top { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 20px; margin-bottom: 18px; }
.brand { display: flex; align-items: center; gap: 10px; font-size: 19px; font-weight: 650; letter-spacing: -0.01em; }
.brand svg { display: block; }
#top dl { display: flex; flex-wrap: wrap; gap: 0 18px; margin-left: auto; color: var(--soft); font-size: 14px; }
#top dl div { display: flex; gap: 6px; }
#top dd { color: var(--ink); }
#lost { margin: 0 0 14px; padding: 10px 16px; border-radius: 10px; background: var(--ink); color: var(--ground); }
#lost[hidden] { display: none; }

.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.banner { border-color: var(--tone); border-left-width: 6px; background: var(--tone-ground); padding: 16px 20px; margin-bottom: 22px; }
.banner h1 { display: flex; align-items: center; gap: 12px; font-size: 21px; line-height: 1.3; font-weight: 650; color: var(--tone); letter-spacing: -0.01em; }
.banner h1 svg { flex: none; }
.banner > p { margin: 2px 0 0 36px; }
.reasons { list-style: none; margin: 14px 0 0; display: grid; gap: 10px; }
.reasons li { background: var(--card); border: 1px solid var(--line); border-radius: 9px; padding: 12px 16px; }
.reasons .where { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: baseline; font-size: 14px; }
.reasons .where strong { font-size: 15px; }
.reasons .where time { margin-left: auto; color: var(--soft); }
.message { margin-top: 3px; overflow-wrap: anywhere; }
.hint { margin-top: 5px; overflow-wrap: anywhere; }
.hint b { color: var(--tone); font-weight: 650; }

.flow { display: grid; grid-template-columns: 1fr 104px 1fr 104px 1fr; align-items: stretch; margin-bottom: 22px; }
.stage { padding: 15px 18px 16px; display: flex; flex-direction: column; }
.stage.warn, .stage.bad { border-color: var(--tone); box-shadow: inset 0 3px 0 var(--tone); }
.stage h2 { font-size: 14px; font-weight: 600; color: var(--soft); display: flex; justify-content: space-between; gap: 8px; }
.stage h2 .tone { color: var(--tone); }
.figure { font-size: 31px; line-height: 1.2; font-weight: 650; letter-spacing: -0.02em; margin-top: 6px; overflow-wrap: anywhere; }
.figure small { font-size: 15px; font-weight: 400; letter-spacing: 0; color: var(--soft); }
.stage dl { margin-top: auto; padding-top: 12px; font-size: 14px; display: grid; gap: 2px; }
.stage dl div { display: flex; justify-content: space-between; gap: 12px; }
.stage dt { color: var(--soft); flex: none; }
.stage dd { text-align: right; }
.arrow { display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 2px; font-size: 13px; color: var(--soft); text-align: center; }
.arrow svg { display: block; color: var(--flow); }
.arrow.still svg { color: var(--soft); opacity: 0.6; }
.bar { display: block; width: 100%; height: 10px; margin-top: 10px; border-radius: 5px; overflow: hidden; }
.bar .track { fill: var(--track); }
.bar .fill { fill: var(--flow); }
.warn .bar .fill, .bad .bar .fill { fill: var(--tone); }

section { margin-bottom: 22px; }
section > h2 { font-size: 16px; font-weight: 650; margin: 0 0 8px 2px; }
.table { overflow: hidden; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 9px 12px; text-align: right; vertical-align: top; }
thead th:first-child { width: 25%; }
thead th.start { width: 13%; }
thead th { font-size: 13px; font-weight: 600; color: var(--soft); white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody + tbody { border-top: 1px solid var(--line); }
th:first-child, td:first-child, th.start, td.start { text-align: left; }
th:first-child, td:first-child { padding-left: 18px; }
th:last-child, td:last-child { padding-right: 18px; }
tbody th { font-weight: 600; max-width: 340px; overflow-wrap: anywhere; }
td small, th small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.badge { display: inline-flex; align-items: center; gap: 6px; padding: 0 9px; border-radius: 20px; font-size: 13px; line-height: 22px; white-space: nowrap; background: var(--tone-ground); color: var(--tone); }
.badge::before { content: ""; width: 7px; height: 7px; border-radius: 50%; background: currentColor; }
.fault td { padding-top: 0; padding-bottom: 12px; text-align: left; font-size: 14px; }
.fault div { border-left: 3px solid var(--tone); padding-left: 11px; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); padding: 13px 18px; gap: 12px 20px; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { font-size: 16px; font-weight: 550; overflow-wrap: anywhere; }
.facts dd small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.none { padding: 14px 18px; color: var(--soft); }
footer { display: flex; flex-wrap: wrap; gap: 4px 22px; font-size: 14px; color: var(--soft); }
footer span:last-child { margin-left: auto; }

@media (max-width: 900px) {
  .flow { grid-template-columns: 1fr; }
  .arrow { flex-direction: row; gap: 10px; padding: 6px 0; }
  .arrow svg { transform: rotate(90deg); width: 30px; }
}
@media (max-width: 760px) {
  body { padding: 14px 14px 26px; }
  #top dl { margin-left: 0; width: 100%; }
  .banner { padding: 14px 15px; }
  .banner > p { margin-left: 0; }
  .reasons .where time { margin-left: 0; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody { padding: 11px 15px 12px; }
  tbody th, tbody td, th:first-child, td:first-child, th:last-child, td:last-child { padding: 2px 0; max-width: none; }
  tbody td[data-label] { display: flex; justify-content: space-between; gap: 14px; text-align: right; }
  tbody td[data-label]::before { content: attr(data-label); color: var(--soft); flex: none; }
  .fault td { padding-top: 6px; }
  footer span:last-child { margin-left: 0; }
}
`;
