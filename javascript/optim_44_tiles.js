// The list of trials as data (which of them, in which order), and one tile per trial.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const STATES = {
    all: () => true,
    complete: (t) => t.state === 'complete',
    failed: (t) => t.state === 'failed',
    skipped: (t) => t.state === 'skipped',
    open: (t) => ['running', 'waiting'].includes(t.state),
    marked: (t) => (t.marks || []).length > 0,
  };
  optim.TRIAL_STATES = [['all', 'Every state'], ['complete', 'Scored'], ['failed', 'Failed'], ['skipped', 'Skipped'], ['open', 'Not finished'], ['marked', 'Marked by you']];
  const ORDERS = {
    best: [(t) => t.value, -1],
    worst: [(t) => t.value, 1],
    newest: [(t) => t.number, -1],
    oldest: [(t) => t.number, 1],
    quickest: [(t) => optim.trialSeconds(t), 1],
  };
  optim.TRIAL_ORDERS = [['best', 'Best first'], ['worst', 'Worst first'], ['newest', 'Newest first'], ['oldest', 'Oldest first'], ['quickest', 'Quickest first']];

  optim.trialSeconds = (trial) => {
    const parts = Object.values(trial.seconds || {});
    return parts.length ? parts.reduce((a, b) => a + b, 0) : null;
  };

  // Numbers of the trials that fit, in order. ask: {state, pass (id or ''), least (number or null), text, order (of ORDERS,
  // or `judge <key>`), lower: [judges of whom less is better], only: Set of numbers or null}. What has no value comes last.
  optim.listedTrials = (trials, ask) => {
    const words = ask.text.toLowerCase().split(/\s+/).filter(Boolean);
    const said = (t) => `${t.number} trial ${t.number} ${t.state} ${optim.originText(t.origin)} ${t.reason} ${t.recipe} ${(t.marks || []).join(' ')}`.toLowerCase();
    const fits = (t) => STATES[ask.state](t) && (ask.pass === '' || String(t.pass) === ask.pass) && (ask.least === null || (t.value !== null && t.value >= ask.least)) &&
      (!ask.only || ask.only.has(t.number)) && (!words.length || words.every((word) => said(t).includes(word)));
    const judge = ask.order.startsWith('judge ') ? ask.order.slice(6) : null;
    const [of, way] = judge === null ? ORDERS[ask.order] : [(t) => (t.scores || {})[judge], ask.lower.includes(judge) ? 1 : -1];
    const known = (v) => typeof v === 'number' && Number.isFinite(v);
    return trials.filter(fits).map((t) => [t.number, of(t)]).sort(([a, x], [b, y]) => known(y) - known(x) || (known(x) && known(y) ? way * (x - y) : 0) || a - b).map(([number]) => number);
  };

  // What differs between two trials' values, the largest first, measured by how far the trials of the run lie apart:
  // [{name, a, b, part, low, high}]; words, and what only one of them has, come first.
  optim.differences = (a, b, all) => {
    const rows = [];
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      if (a[name] === b[name]) continue;
      const numbers = [a[name], b[name], ...all.map((values) => values[name])].filter((v) => typeof v === 'number');
      const [low, high] = numbers.length ? [numbers.reduce((x, y) => Math.min(x, y)), numbers.reduce((x, y) => Math.max(x, y))] : [0, 0];
      const both = typeof a[name] === 'number' && typeof b[name] === 'number';
      rows.push({ name, a: a[name], b: b[name], low, high, part: both && high > low ? Math.abs(a[name] - b[name]) / (high - low) : Infinity });
    }
    return rows.sort((x, y) => (x.part === y.part ? 0 : y.part - x.part) || (x.name < y.name ? -1 : 1));
  };

  const STATE_WORDS = { running: 'being made', waiting: 'waits for your scores', failed: 'failed', skipped: 'skipped' };

  // One tile. onOpen(index of the image or null), onPick(): put it up for comparing.
  optim.trialTile = (number, { onOpen, onPick }) => {
    const pictures = el('span', { class: 'optim-tile-pictures' });
    const open = el('button', { type: 'button', class: 'optim-tile-open', on: { click: () => onOpen(first) } }, pictures);
    const name = el('span', { class: 'optim-tile-name', text: `Trial ${number}` });
    const value = el('span', { class: 'optim-value optim-tile-value' });
    const pick = el('button', { type: 'button', class: 'optim-tile-pick', 'aria-pressed': 'false', 'aria-label': `Compare trial ${number}`, title: 'Compare with another one', text: '⇄', on: { click: onPick } });
    const note = el('span', { class: 'optim-note' });
    const node = el('div', { class: 'optim-tile', 'data-trial': number, role: 'listitem' }, open, el('div', { class: 'optim-tile-line' }, name, value, pick), note);
    let shown = null;
    let drawn = '';
    let first = null;
    return {
      node,
      open,
      draw: (trial, best) => {
        optim.setClass(node, 'optim-tile-best', best);
        if (trial === shown) return;
        shown = trial;
        optim.setText(value, typeof trial.value === 'number' ? optim.number(trial.value) : '');
        const words = [STATE_WORDS[trial.state], (trial.marks || []).join(', '), optim.originText(trial.origin)].filter(Boolean).join(' · ');
        optim.setText(note, words);
        note.title = trial.reason || words;
        node.dataset.state = trial.state;
        open.setAttribute('aria-label', `Trial ${number}${typeof trial.value === 'number' ? `, score ${optim.number(trial.value)}` : `, ${STATE_WORDS[trial.state] || trial.state}`}`);
      },
      picked: (on) => pick.setAttribute('aria-pressed', String(on)),
      // The pictures; undefined before anybody has asked for them.
      pictures: (folder, images) => {
        const list = (images || []).filter((image) => image.file).slice(0, 4);
        const signature = list.map((image) => image.file).join('|');
        first = list.length ? list[0].index : null;
        optim.setDisabled(open, first === null);
        if (signature === drawn) return;
        drawn = signature;
        pictures.dataset.count = list.length;
        pictures.replaceChildren(...list.map((image) => el('img', { alt: '', decoding: 'async', loading: 'lazy', fetchpriority: 'low', draggable: 'false', src: optim.thumbUrl(folder, image.file) })));
      },
    };
  };
  optim.thumbUrl = (folder, file) => optim.url(`thumb/${encodeURIComponent(folder)}/${encodeURIComponent(file)}`);
})();
