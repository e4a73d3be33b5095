// What a checked plan comes to, as a dialog: facts, tables, and everything that is wrong.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // What a checked plan will take, going by an earlier run here.
  optim.expectedTime = (time) => `about ${optim.duration(time.seconds)}${time.by_hand ? ', and your own time to judge' : ''}, going by the run ${time.folder}`;

  optim.showCheck = (result) => {
    const rows = (list, cell) => list.map((row) => el('tr', {}, el('td', { text: row.name }), el('td', { class: 'optim-code', text: cell(row) }), el('td', { class: 'optim-note', text: row.blocks.join(' ') })));
    const table = (head, body) => el('table', { class: 'optim-table' }, el('thead', {}, el('tr', {}, ...head.map((text) => el('th', { text })))), el('tbody', {}, ...body));
    const searched = (checked) => el('table', { class: 'optim-table optim-space', id: 'optim_space' },
      el('thead', {}, el('tr', {}, ...['Searched', 'Kind', 'Range', 'Sets', 'Begins at'].map((text) => el('th', { text })))),
      el('tbody', {}, ...checked.parameters.map((row) => el('tr', {}, el('td', { text: row.name }), el('td', { text: row.kind }), el('td', { class: 'optim-code', text: row.range }),
        el('td', { class: 'optim-note', text: sets(row) }), el('td', { class: 'optim-code', text: shown(row.start) })))));
    const sets = (row) => (row.name === row.parameter ? (row.blocks.length ? 'the whole model' : 'the method of the merge') : `${row.parameter} of ${row.blocks.join(' ')}`);
    const shown = (value) => (value === undefined || value === null ? 'the sampler says' : typeof value === 'number' ? optim.number(value) : `${value}`);
    const images = result.images_per_trial;
    const facts = result.problems.length ? [] : [
      ['Method', `${result.method}, ${result.architecture}`],
      ['Parameters to search', `${result.parameters.length}`],
      ...(result.start ? [['First trial', result.start]] : []),
      ['Images', `${images} per trial, ${images * result.trials} in ${optim.plural(result.trials, 'trial')}${result.verify_images ? ` and ${result.verify_images} to verify the best ${result.finalists}` : ''} (about ${optim.bytes(result.image_bytes)} on disk)`],
      ...(result.time ? [['Time', optim.expectedTime(result.time)]] : []),
      ['Merged per trial', `${optim.bytes(result.merged_bytes)} of weights, written in place; up to as much RAM again holds your originals`],
      ['Stays as in model A', result.kept_blocks.join(' ') || 'nothing'],
    ];
    const box = optim.dialog(result.problems.length ? 'This plan cannot run yet' : 'This plan is ready to run',
      ...result.problems.map((p) => el('div', { class: 'optim-warning optim-problem', text: p.sentence })),
      ...result.warnings.map((text) => el('div', { class: 'optim-warning optim-problem', text })),
      ...(result.notes || []).map((text) => el('div', { class: 'optim-help', text })),
      facts.length ? el('dl', { class: 'optim-facts-list' }, ...facts.flatMap(([term, text]) => [el('dt', { text: term }), el('dd', { text })])) : null,
      result.parameters.length ? searched(result) : null,
      result.settings.length ? table(['Fixed', 'Value', 'Blocks'], rows(result.settings, (row) => `${row.value}`)) : null);
    box.id = 'optim_check_dialog';
    box.classList.add('optim-wide');
  };
})();
