// When a search ends before its trials are used up: one field per rule, an empty one sets none.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const RULES = [
    ['images', 'Images at most', 1, 'No trial begins that would go beyond it'],
    ['minutes', 'Minutes at most', 1, 'Merging, generating and scoring; pauses and waiting for your scores do not count'],
    ['target', 'Score reached', 'any', 'The search ends with the first trial of at least this score'],
    ['patience', 'Trials without a better one', 1, 'So many proposed trials in a row that do not beat the best; presets and starts do not count'],
    ['min_delta', 'Better means by more than', 'any', 'Smaller gains do not count as an improvement'],
  ];

  // rules(): the object that is edited; changed(): called after each change.
  optim.stopRules = (prefix, rules, changed) => {
    const inputs = RULES.map(([key, , step, help]) => el('input', {
      id: `${prefix}_${key}`, type: 'number', class: 'optim-input', min: key === 'target' ? null : 0, step, placeholder: 'no limit', title: help,
      on: {
        input: (event) => {
          rules()[key] = event.target.value;
          changed();
        },
      },
    }));
    inputs[4].placeholder = '0';
    const hint = el('span', {});
    const node = el('details', { id: prefix, class: 'optim-more' }, el('summary', { class: 'optim-note' }, 'Stop earlier', ' ', hint),
      el('div', { class: 'optim-grid2' }, ...RULES.map(([, label], i) => optim.field(label, inputs[i]))));
    return {
      node,
      draw: () => {
        RULES.forEach(([key], i) => optim.assign(inputs[i], rules()[key] ?? ''));
        const text = optim.stopSummary(rules());
        optim.setText(hint, text ? `(${text})` : '');
      },
    };
  };

  optim.stopSummary = (rules) => {
    const set = (key) => rules[key] !== '' && rules[key] !== undefined && Number(rules[key]) !== 0;
    return [
      set('images') ? `${rules.images} images` : '',
      set('minutes') ? `${rules.minutes} min` : '',
      rules.target !== '' && rules.target !== undefined ? `score ${rules.target}` : '',
      set('patience') ? `${rules.patience} without a better one` : '',
    ].filter(Boolean).join(', ');
  };
})();
