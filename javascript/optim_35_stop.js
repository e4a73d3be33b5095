// When a search ends before its trials are used up: one field per rule, an empty one sets none.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const RULES = () => [
    ['images', tr('Images at most'), 1, tr('No trial begins that would go beyond it')],
    ['minutes', tr('Minutes at most'), 1, tr('Merging, generating and scoring; pauses and waiting for your scores do not count')],
    ['target', tr('Score reached'), 'any', tr('The search ends with the first trial of at least this score')],
    ['patience', tr('Trials without a better one'), 1, tr('So many proposed trials in a row that do not beat the best; presets and starts do not count')],
    ['min_delta', tr('Better means by more than'), 'any', tr('Smaller gains do not count as an improvement')],
  ];

  // rules(): the object that is edited; changed(): called after each change.
  optim.stopRules = (prefix, rules, changed) => {
    const inputs = RULES().map(([key, , step, help]) => el('input', {
      id: `${prefix}_${key}`, type: 'number', class: 'optim-input', min: key === 'target' ? null : 0, step, placeholder: tr('no limit'), title: help,
      on: {
        input: (event) => {
          rules()[key] = event.target.value;
          changed();
        },
      },
    }));
    inputs[4].placeholder = '0';
    const hint = el('span', {});
    const node = el('details', { id: prefix, class: 'optim-more' }, el('summary', { class: 'optim-note' }, tr('Stop earlier'), ' ', hint),
      el('div', { class: 'optim-grid2' }, ...RULES().map(([, label], i) => optim.field(label, inputs[i]))));
    return {
      node,
      draw: () => {
        RULES().forEach(([key], i) => optim.assign(inputs[i], rules()[key] ?? ''));
        const text = optim.stopSummary(rules());
        optim.setText(hint, text ? `(${text})` : '');
      },
    };
  };

  optim.stopSummary = (rules) => {
    const set = (key) => rules[key] !== '' && rules[key] !== undefined && Number(rules[key]) !== 0;
    return [
      set('images') ? tr('{n} images', { n: rules.images }) : '',
      set('minutes') ? `${rules.minutes} min` : '',
      rules.target !== '' && rules.target !== undefined ? tr('score {value}', { value: rules.target }) : '',
      set('patience') ? tr('{n} without a better one', { n: rules.patience }) : '',
    ].filter(Boolean).join(', ');
  };
})();
