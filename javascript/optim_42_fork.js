// A new run from an earlier one: what it takes from the form as it stands now, and how many trials come on top.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const PARTS = [
    ['judges', 'Judges and their weights', 'Stored images are scored by these judges; nothing is generated for it.', true],
    ['payloads', 'Prompts and their weights', 'Trials stay where the pictures stay the same; with other prompts only the best one is made again.', false],
    ['search', 'Search and seed', 'Sampler, presets and starts.', false],
    ['vary', 'What to vary', 'Method, ranges and blocks; trials outside the new ranges are left out.', false],
  ];

  optim.forkDialog = (folder, trials, onFork) => {
    const boxes = PARTS.map(([part, label, help, on]) => {
      const box = optim.check(`optim_fork_${part}`, label, () => {}, help);
      box.box.checked = on;
      return [part, box];
    });
    const name = el('input', { id: 'optim_fork_name', type: 'text', class: 'optim-input', maxlength: 80, placeholder: 'as the earlier run' });
    const more = el('input', { id: 'optim_fork_trials', type: 'number', class: 'optim-input', min: 1, step: 1, value: trials });
    const go = optim.button('optim_fork_go', 'Start the fork', () => {
      box.close();
      onFork(folder, {
        name: name.value.trim(), trials: Number(more.value) || null,
        take: boxes.filter(([, check]) => check.box.checked).map(([part]) => part),
      });
    }, 'primary');
    const box = optim.dialog(`New run from ${folder}`, el('div', { class: 'optim-stack' },
      el('div', { class: 'optim-help', text: 'Trials whose pictures are still the same are taken over without generating them again, and the search goes on from there. The earlier run is only read.' }),
      el('div', { class: 'optim-note', text: 'Take from the form as it stands now:' }),
      el('div', { class: 'optim-stack' }, ...boxes.map(([, check]) => check.node)),
      el('div', { class: 'optim-grid2' }, optim.field('New trials', more), optim.field('Name', name)),
      el('div', { class: 'optim-row optim-nowrap' }, go)));
    box.id = 'optim_fork_dialog';
  };
})();
