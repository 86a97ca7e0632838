/**
 * The report's style sheet: system fonts, light and dark, from a phone's width up.
 *
 * @since 0.1.0
 */
export const style = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1c2126; --muted: #5c666f; --line: #dfe3e6;
  --strong: #1f5fa8; --faint: #9dbde0; --second: #c2570c; --third: #8a939b; --fourth: #3c8454;
  --right: #24703f; --wrong: #b3261e; --right-back: #e7f3ea; --wrong-back: #fbeae8;
  --shade: #0000001f;
  --run1: #1f5fa8; --run2: #c2570c; --run3: #3c8454; --run4: #8a3ea3; --run5: #b3261e; --run6: #0f7f8a; --run7: #8a6d00; --run8: #5c666f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --text: #e6e9ec; --muted: #9aa5ae; --line: #343b41;
    --strong: #6fa8e8; --faint: #41699a; --second: #f0965a; --third: #7b858d; --fourth: #6fbf8b;
    --right: #7fd39b; --wrong: #ff9c92; --right-back: #1b2f22; --wrong-back: #3a211f;
    --shade: #ffffff24;
    --run1: #6fa8e8; --run2: #f0965a; --run3: #6fbf8b; --run4: #c791dd; --run5: #ff9c92; --run6: #5cc8d3; --run7: #d6b84a; --run8: #9aa5ae;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main, header, footer, nav { max-width: 74rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.25rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .35rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
.lead, .note, figcaption, caption, dt { color: var(--muted); }
.note, figcaption, caption { font-size: .875rem; } figcaption { overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: 1rem 0 0; padding: 0; font-size: .92rem; }
a { color: var(--strong); text-underline-offset: .15em; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.status { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; font-size: .875rem; border: 1px solid currentColor; }
.status.right, .right b { color: var(--right); } .status.wrong, .wrong b { color: var(--wrong); }
.failure { background: var(--wrong-back); color: var(--wrong); border-radius: .5rem; padding: .7rem 1rem; margin: 1rem 0; max-width: none; white-space: pre-wrap; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .9rem; margin: 1.4rem 0 0; padding: 0; list-style: none; }
.tile, .card, figure.chart { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.tile { padding: .8rem 1rem; }
.tile .name { color: var(--muted); font-size: .92rem; }
.tile .value { font-size: 2rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.02em; }
.tile .value small { font-size: .55em; font-weight: 500; }
.tile .note { display: block; }
.warnings { border-left: .25rem solid var(--second); padding: .3rem 1rem .3rem 2rem; margin: 1rem 0; overflow-wrap: anywhere; }
dl.facts { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .25rem 1.2rem; margin: .6rem 0 1.4rem; }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll {
  overflow-x: auto; margin: .6rem 0 1.4rem;
  background: linear-gradient(to left, var(--page) 1rem, transparent) right / 2rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat scroll;
}
.scroll:focus-visible, summary:focus-visible, .model-picture:focus-visible, select:focus-visible, a:focus-visible { outline: 2px solid var(--strong); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; font-size: .92rem; font-variant-numeric: tabular-nums; min-width: 60%; }
caption { text-align: left; padding-bottom: .35rem; }
caption span { position: sticky; left: 0; display: block; width: max-content; max-width: min(100%, calc(100vw - 2.5rem)); }
th, td { text-align: left; padding: .34rem .9rem .34rem 0; vertical-align: top; }
tbody > tr > * { border-top: 1px solid var(--line); } tbody > tr:last-child > * { border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: 500; position: sticky; left: 0; background: var(--page); white-space: nowrap; }
th[scope=row]:has(code) { position: static; white-space: normal; }
.card th[scope=row] { background: none; position: static; white-space: normal; }
.scroll td { min-width: 6.5rem; max-width: 17rem; } .scroll td.number { min-width: 0; }
thead th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; padding-left: .9rem; white-space: nowrap; }
td small { color: var(--muted); white-space: nowrap; }
figure { margin: .6rem 0 1.2rem; }
figure.chart { padding: .8rem .9rem .6rem; }
figure.chart svg { display: block; width: 100%; height: auto; }
.grid svg { max-width: 26rem; } .at-narrow svg { max-width: 34rem; }
.at-narrow { display: none; }
@media (max-width: 52rem) { .at-wide { display: none; } .at-narrow { display: block; } }
.grid { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fill, minmax(min(20.5rem, 100%), 1fr)); margin: .6rem 0 1.2rem; }
.grid.small { grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); }
.grid figure { margin: 0; }
.legend { white-space: nowrap; margin-right: 1rem; display: inline-block; }
.key { display: inline-block; width: 1.4rem; border-top: 3px solid; vertical-align: middle; margin-right: .35rem; }
.key.mark { width: auto; border: 0; vertical-align: baseline; }
.key.box { width: .75rem; border-top-width: .75rem; vertical-align: baseline; }
form.filter { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; align-items: center; margin: .6rem 0 1rem; font-size: .92rem; }
form.filter[hidden] { display: none; }
select { font: inherit; padding: .2rem .4rem; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .35rem; }
.card { display: grid; grid-template-columns: 7rem 1fr; gap: .2rem .9rem; padding: .8rem; align-content: start; font-size: .92rem; }
.card[hidden] { display: none; }
.card[data-outcome=right] { border-left: .3rem solid var(--right); } .card[data-outcome=wrong] { border-left: .3rem solid var(--wrong); }
.card > * { min-width: 0; overflow-wrap: anywhere; }
.card img, .card .missing { width: 7rem; border-radius: .3rem; border: 1px solid var(--line); background: #fff; image-rendering: auto; grid-row: span 2; }
.card .missing { display: grid; place-items: center; height: 7rem; background: none; color: var(--muted); font-size: .8rem; text-align: center; }
.card .several { display: grid; grid-template-columns: 1fr 1fr; gap: .2rem; align-content: start; grid-row: span 2; }
.card .several img { width: 100%; } .card .several .missing { width: 100%; height: 3.4rem; }
.card h3 { margin: 0; font-weight: 500; }
.card .tags { color: var(--muted); font-size: .82rem; }
.card dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 .7rem; margin: .35rem 0 0; }
.card dd { margin: 0; } .card dd code { font-size: 1em; }
.mark { border-radius: .3rem; padding: 0 .35rem; white-space: nowrap; font-size: .86em; }
.mark.right { background: var(--right-back); color: var(--right); } .mark.wrong { background: var(--wrong-back); color: var(--wrong); }
.card details { grid-column: 1 / -1; margin-top: .35rem; }
.card table { min-width: 100%; font-size: .86rem; margin: .3rem 0; }
summary { cursor: pointer; color: var(--muted); }
.model-picture { overflow-x: auto; }
.model-picture img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
small.gain.right { color: var(--right); } small.gain.wrong { color: var(--wrong); }
h4 { font-size: .92rem; margin: 0 0 .3rem; display: flex; justify-content: space-between; gap: .8rem; } h4 .course { font-weight: 500; color: var(--muted); font-variant-numeric: tabular-nums; white-space: nowrap; }
.rl + .rl { margin-top: 2.5rem; } .rl > h3 { font-size: 1.12rem; margin-top: 1rem; } .rl .note b { color: var(--text); }
h3.question { margin: 1.9rem 0 .1rem; } .rl figcaption { margin-top: .2rem; }
.time-bar { display: flex; height: 1.5rem; border-radius: .35rem; overflow: hidden; margin: .5rem 0; background: var(--line); }
details.group { border: 1px solid var(--line); border-radius: .6rem; background: var(--card); margin: .5rem 0; padding: 0 .9rem; }
details.group > summary { padding: .55rem 0; color: var(--text); overflow-wrap: anywhere; } details.group[open] > summary { border-bottom: 1px solid var(--line); }
details.group > summary small { color: var(--muted); white-space: nowrap; }
.badge { font-size: .78rem; border-radius: .3rem; padding: .05rem .4rem; border: 1px solid var(--line); color: var(--muted); }
.badge.best { color: var(--right); background: var(--right-back); border-color: transparent; } .badge.worst, .badge.failed { color: var(--wrong); background: var(--wrong-back); border-color: transparent; }
.badge.discarded, .discarded { color: var(--second); } .discarded { margin: .3rem 0; }
.dots i, i.dot { display: inline-block; width: .62rem; height: .62rem; border-radius: 50%; background: var(--r); margin-right: .18rem; } .dots { margin: 0 .4rem; white-space: nowrap; }
.task { display: flex; flex-wrap: wrap; gap: .9rem; padding: .8rem 0 .3rem; align-items: flex-start; } .task > div { flex: 1 1 14rem; min-width: 0; overflow-wrap: anywhere; }
.task img { width: 10rem; max-width: 100%; border-radius: .3rem; border: 1px solid var(--line); background: #fff; }
.task .missing { flex: 0 0 10rem; height: 7rem; display: grid; place-items: center; border: 1px solid var(--line); border-radius: .3rem; color: var(--muted); font-size: .8rem; }
.task .prompt { margin: 0; font-weight: 600; white-space: pre-wrap; } .tags { color: var(--muted); font-size: .82rem; }
.completions { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(min(16.5rem, 100%), 1fr)); margin: .5rem 0 1rem; }
.completion { border: 1px solid var(--line); border-left: .28rem solid var(--r); border-radius: .4rem; padding: .5rem .65rem; min-width: 0; background: var(--page); }
.completion .verdict { display: flex; justify-content: space-between; gap: .6rem; font-variant-numeric: tabular-nums; font-size: .88rem; color: var(--muted); } .completion .verdict b { color: var(--text); font-size: 1.05rem; }
.completion pre { margin: .3rem 0; font-size: .82rem; max-height: 24rem; overflow-y: auto; } .completion pre i { font-style: normal; }
.completion .cut-off { color: var(--second); font-weight: 600; } .completion .cut { color: var(--muted); font-weight: 400; }
.completion dl { display: grid; grid-template-columns: max-content 1fr; gap: .05rem .6rem; margin: .35rem 0 0; font-size: .82rem; border-top: 1px solid var(--line); padding-top: .3rem; } .completion dd { margin: 0; min-width: 0; overflow-wrap: anywhere; } .completion small { color: var(--muted); }
i.p1, i.p2, i.p3, i.p4 { font-style: normal; border-radius: .15rem; }
i.p1 { background: color-mix(in srgb, var(--second) 10%, transparent); } i.p2 { background: color-mix(in srgb, var(--second) 22%, transparent); }
i.p3 { background: color-mix(in srgb, var(--second) 38%, transparent); } i.p4 { background: color-mix(in srgb, var(--second) 58%, transparent); }
.shades i { padding: 0 .3rem; white-space: nowrap; }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--muted); font-size: .875rem; border-top: 1px solid var(--line); }
@media (max-width: 30rem) {
  body { font-size: 15px; }
  h1 { font-size: 1.5rem; }
  .tile .value { font-size: 1.6rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  dl.facts { grid-template-columns: 1fr; gap: 0; } dl.facts dd { margin-bottom: .5rem; }
  .model-picture img { max-width: none; width: 36rem; }
}
@media print { nav, form.filter { display: none; } .card, figure { break-inside: avoid; } }
`
