// How scores become one number: the scale, the means, the worst seed; and the table of what scores are measured by.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const SCALES = [
    ['auto', 'By the first trials, if there are several judges'],
    ['calibrated', 'By the first trials, always'],
    ['typical', 'By each judge’s usual bad and good'],
  ];
  const MEANS = [
    ['arithmetic', 'Mean'], ['geometric', 'Geometric mean: low scores weigh more'], ['harmonic', 'Harmonic mean: low scores weigh most'],
    ['quadratic', 'Quadratic mean: high scores weigh more'], ['median', 'Median'], ['min', 'The lowest'],
  ];
  const GUARDS = [
    ['black', 'black (as of a broken VAE)'], ['blank', 'blank'], ['clipped', 'burnt out: nothing but pure colours'], ['duplicate', 'the same with another seed'],
  ];
  const DEFAULTS = { scale: 'auto', mean: 'arithmetic', payload_mean: 'arithmetic', spread: 0, guards: GUARDS.map(([name]) => name) };

  optim.combiningOptions = (plan) => {
    const state = () => (plan.form.combining = { ...DEFAULTS, ...plan.form.combining });
    const set = (key, value) => {
      state()[key] = value;
      plan.changed('combining');
    };
    const select = (key, rows) => el('select', { id: `optim_combining_${key}`, class: 'optim-input', on: { change: (event) => set(key, event.target.value) } },
      ...rows.map(([value, text]) => el('option', { value, text })));
    const scale = select('scale', SCALES);
    const mean = select('mean', MEANS);
    const payloadMean = select('payload_mean', MEANS);
    const spread = el('input', {
      id: 'optim_combining_spread', type: 'number', class: 'optim-input', min: 0, max: 1, step: 0.05,
      on: { input: () => set('spread', spread.value === '' ? '' : Number(spread.value)) },
    });
    const guards = GUARDS.map(([name, text]) => optim.check(`optim_guard_${name}`, text, () =>
      set('guards', GUARDS.map(([other]) => other).filter((other, i) => guards[i].box.checked))));
    const hint = el('span', {});
    const node = el('details', { id: 'optim_combining', class: 'optim-more' }, el('summary', { class: 'optim-note' }, 'How scores are combined', ' ', hint),
      el('div', { class: 'optim-stack' },
        optim.field('Bring judges to one scale', scale, 'By the first trials: 0 is the usual score of your models and of the start design on that prompt, 1 is one usual difference above it. It is measured once and then kept; until then values are provisional. One judge alone keeps its own numbers.'),
        el('div', { class: 'optim-grid2' }, optim.field('Over the judges', mean), optim.field('Over the payloads', payloadMean)),
        optim.field('Weight of the worst seed (0 to 1)', spread, '0: the mean of a payload’s seeds. Above: merges that do well with every seed are preferred; 1 takes the worst seed alone.'),
        el('div', { id: 'optim_guards', class: 'optim-stack' }, el('span', { class: 'optim-label', text: 'A trial fails if an image is' }), ...guards.map((guard) => guard.node),
          el('div', { class: 'optim-help', text: 'Judges can be fooled by what is no picture. Ordinary pictures pass. What one of your models makes by itself is let pass, and you are told.' }))));
    return {
      node,
      draw: () => {
        const now = state();
        optim.assign(scale, now.scale);
        optim.assign(mean, now.mean);
        optim.assign(payloadMean, now.payload_mean);
        optim.assign(spread, now.spread);
        GUARDS.forEach(([name], i) => {
          guards[i].box.checked = now.guards.includes(name);
        });
        const changed = Object.keys(DEFAULTS).filter((key) => String(now[key]) !== String(DEFAULTS[key]));
        optim.setText(hint, changed.length ? '(changed)' : '');
      },
    };
  };

  // Which payloads a judge looks at: names or wildcards, folded away while it is all.
  optim.judgedPayloads = (row, state, plan) => {
    const input = el('input', {
      id: `optim_payloads_${row.id}`, type: 'text', class: 'optim-input', spellcheck: 'false', value: state.payloads || '', placeholder: 'all; or portrait, land*',
      on: {
        input: () => {
          state.payloads = input.value;
          plan.changed('scorers');
        },
      },
    });
    return el('details', { class: 'optim-more', open: Boolean(state.payloads) }, el('summary', { class: 'optim-note', text: 'Only some payloads' }),
      optim.field('Payloads that it judges', input, 'Names with commas between, * for any letters. It is neither run nor counted on others.'));
  };

  // The table below the plot: what the scores of the search are measured by.
  optim.calibrationTable = () => {
    const body = el('tbody', {});
    const note = el('div', { class: 'optim-help' });
    const head = ['Judge', 'Payload', 'Middle', 'Spread', 'Images'].map((text) => el('th', { text }));
    const table = el('table', { class: 'optim-table' }, el('thead', {}, el('tr', {}, ...head)), body);
    const summary = el('summary', { class: 'optim-note' });
    const node = el('details', { class: 'optim-more', id: 'optim_calibration', hidden: true }, summary, note, table);
    let drawn = '';
    return {
      node,
      draw: (calibration, judges) => {
        const signature = JSON.stringify(calibration || null);
        optim.show(node, calibration);
        if (!calibration || signature === drawn) return;
        drawn = signature;
        const titleOf = (id) => (judges.find((row) => row.id === id) || { title: id }).title;
        optim.setText(summary, calibration.frozen ? 'What scores are measured by' : 'Scores are provisional until the start design is over');
        optim.setText(note, calibration.frozen
          ? 'A score counts as its distance from the middle of the first trials, in their spread. Measured once; it does not change any more.'
          : `The judges are then measured on the first trials, at least ${calibration.trials}, and all values are made anew on that scale. A target counts from then on.`);
        optim.show(table, calibration.rows.length);
        body.replaceChildren(...calibration.rows.map((row) => el('tr', {},
          el('td', { text: titleOf(row.scorer) }), el('td', { text: row.payload }),
          el('td', { class: 'optim-code', text: `${Number(row.median.toPrecision(4))}` }),
          el('td', { class: 'optim-code', text: row.spread > 0 ? `${Number(row.spread.toPrecision(3))}` : 'none: left out' }),
          el('td', { class: 'optim-code', text: `${row.n}` }))));
      },
    };
  };
})();
