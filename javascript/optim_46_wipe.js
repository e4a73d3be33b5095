// Two trials over one another with a slider between them, and below it what differs in their values.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // Pictures of the same prompt and seed in both: [[image of a, image of b], …].
  optim.samePictures = (a, b) => {
    const has = (list) => list.filter((image) => image.file);
    return has(a).map((image) => [image, has(b).find((other) => other.payload === image.payload && other.seed === image.seed && other.prompt === image.prompt)]).filter(([, other]) => other);
  };

  const shown = (value) => (typeof value === 'number' ? optim.number(value) : value === undefined ? '–' : String(value));

  // a, b: {trial, images}; all: values of every trial of the run.
  optim.compareTrials = ({ folder, a, b, all, blind }) => {
    const pairs = optim.samePictures(a.images, b.images);
    let at = 0;
    const under = el('img', { class: 'optim-wipe-image', alt: '', draggable: 'false' });
    const over = el('img', { class: 'optim-wipe-image optim-wipe-over', alt: '', draggable: 'false' });
    const edge = el('span', { class: 'optim-wipe-edge', 'aria-hidden': 'true' });
    const name = (trial) => `Trial ${trial.number}${!blind && typeof trial.value === 'number' ? ` · ${optim.number(trial.value)}` : ''}`;
    const stage = el('div', { class: 'optim-wipe', id: 'optim_wipe' }, under, over, edge,
      el('span', { class: 'optim-wipe-label', text: name(a.trial) }), el('span', { class: 'optim-wipe-label optim-wipe-right', text: name(b.trial) }));
    const slider = el('input', { type: 'range', id: 'optim_wipe_at', min: 0, max: 100, step: 1, value: 50, 'aria-label': `How much of trial ${a.trial.number} is seen`, on: { input: () => wipe() } });
    const wipe = () => {
      over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
      edge.style.left = `${slider.value}%`;
    };
    const facts = el('div', { class: 'optim-viewer-facts', id: 'optim_wipe_facts' });
    const draw = () => {
      const [left, right] = pairs[at];
      over.src = optim.imageUrl(folder, left.file);
      under.src = optim.imageUrl(folder, right.file);
      over.alt = `Trial ${a.trial.number}, ${left.payload}`;
      under.alt = `Trial ${b.trial.number}, ${right.payload}`;
      const scores = blind ? '' : Object.keys(left.scores).filter((key) => key in right.scores).map((key) => `${key} ${optim.number(left.scores[key])} | ${optim.number(right.scores[key])}`).join('  ·  ');
      optim.setText(facts, [`${left.payload}, seed ${left.seed}`, scores].filter(Boolean).join('  ·  '));
    };
    const pick = el('select', { class: 'optim-input optim-small-select', id: 'optim_wipe_picture', 'aria-label': 'Picture', on: { change: () => {
      at = Number(pick.value);
      draw();
    } } }, ...pairs.map(([image], i) => el('option', { value: i, text: `${image.payload}, seed ${image.seed}` })));
    // The pointer moves the edge wherever it is held down on the pictures.
    const drag = (event) => {
      const box = stage.getBoundingClientRect();
      slider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
      wipe();
    };
    stage.addEventListener('pointerdown', (event) => {
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener('pointermove', (event) => (event.buttons ? drag(event) : null));
    const pictures = pairs.length
      ? el('div', { class: 'optim-stack' }, stage, slider, el('div', { class: 'optim-row optim-tight' }, pick, facts))
      : el('div', { class: 'optim-help optim-warning', text: 'These two have no picture of the same prompt and seed, so there is nothing to lay over one another.' });
    const box = optim.dialog(`Trial ${a.trial.number} and trial ${b.trial.number}`, pictures, blind ? null : table(a.trial, b.trial, all));
    box.classList.add('optim-viewer', 'optim-wipe-box');
    box.id = 'optim_compare_dialog';
    if (pairs.length) {
      wipe();
      draw();
      slider.focus();
    }
    return box;
  };

  const table = (a, b, all) => {
    const of = (trial) => trial.drawn || trial.values;
    const rows = optim.differences(of(a), of(b), all);
    const same = new Set([...Object.keys(of(a)), ...Object.keys(of(b))]).size - rows.length;
    const place = (row, value) => `left:${(row.high > row.low && typeof value === 'number' ? (100 * (value - row.low)) / (row.high - row.low) : 50).toFixed(1)}%`;
    const line = (row) => {
      const numbers = typeof row.a === 'number' && typeof row.b === 'number';
      const [from, to] = numbers ? [row.a, row.b].sort((x, y) => x - y) : [0, 0];
      const width = row.high > row.low ? `width:${((100 * (to - from)) / (row.high - row.low)).toFixed(1)}%` : 'width:0';
      return el('tr', { 'data-name': row.name },
        el('td', { text: row.name.replace(/_/g, ' ') }), el('td', { class: 'optim-value', text: shown(row.a) }), el('td', { class: 'optim-value', text: shown(row.b) }),
        el('td', {}, numbers ? el('span', { class: 'optim-diff', title: `Trials of this run lie between ${optim.number(row.low)} and ${optim.number(row.high)}` },
          el('i', { class: 'optim-diff-bar', style: `${place(row, from)};${width}` }), el('i', { class: 'optim-diff-a', style: place(row, row.a) }), el('i', { class: 'optim-diff-b', style: place(row, row.b) })) : null));
    };
    const head = `${optim.plural(rows.length, 'value differs', 'values differ')}, the largest difference first${same ? `; ${same} ${same === 1 ? 'is' : 'are'} the same` : ''}.`;
    return el('div', { class: 'optim-stack optim-diffs' }, el('div', { class: 'optim-help', id: 'optim_diff_about', text: rows.length ? head : 'Their values are the same.' }),
      rows.length ? el('table', { class: 'optim-table optim-diff-table', id: 'optim_diff' },
        el('thead', {}, el('tr', {}, el('th', { text: 'Value' }), el('th', { text: `Trial ${a.number}` }), el('th', { text: `Trial ${b.number}` }), el('th', {}))), el('tbody', {}, ...rows.map(line))) : null);
  };
})();
