// What a checked plan comes to, as a dialog: facts, tables, and everything that is wrong.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  // What a checked plan will take, going by an earlier run here.
  optim.expectedTime = (time) => {
    const values = { time: optim.duration(time.seconds), folder: time.folder };
    return time.by_hand ? tr('about {time}, and your own time to judge, going by the run {folder}', values) : tr('about {time}, going by the run {folder}', values);
  };

  optim.showCheck = (result) => {
    const rows = (list, cell) => list.map((row) => el('tr', {}, el('td', { text: row.name }), el('td', { class: 'optim-code', text: cell(row) }), el('td', { class: 'optim-note', text: row.blocks.join(' ') })));
    const table = (head, body) => el('table', { class: 'optim-table' }, el('thead', {}, el('tr', {}, ...head.map((text) => el('th', { text })))), el('tbody', {}, ...body));
    const searched = (checked) => el('table', { class: 'optim-table optim-space', id: 'optim_space' },
      el('thead', {}, el('tr', {}, ...[tr('Searched'), tr('Kind'), tr('Range'), tr('Sets'), tr('Begins at')].map((text) => el('th', { text })))),
      el('tbody', {}, ...checked.parameters.map((row) => el('tr', {}, el('td', { text: row.name }), el('td', { text: row.kind }), el('td', { class: 'optim-code', text: row.range }),
        el('td', { class: 'optim-note', text: sets(row) }), el('td', { class: 'optim-code', text: shown(row.start) })))));
    const sets = (row) => (row.name === row.parameter ? (row.blocks.length ? tr('the whole model') : tr('the method of the merge')) : tr('{parameter} of {blocks}', { parameter: row.parameter, blocks: row.blocks.join(' ') }));
    const shown = (value) => (value === undefined || value === null ? tr('the sampler says') : typeof value === 'number' ? optim.number(value) : `${value}`);
    const images = result.images_per_trial;
    const facts = result.problems.length ? [] : [
      [tr('Method'), `${result.method}, ${result.architecture}`],
      [tr('Parameters to search'), `${result.parameters.length}`],
      ...(result.start ? [[tr('First trial'), result.start]] : []),
      [tr('Images'), tr('{n} per trial, {all} in {trials}{more} (about {size} on disk)', {
        n: images, all: images * result.trials, trials: optim.count(result.trials, '{n} trial', '{n} trials'), size: optim.bytes(result.image_bytes),
        more: result.verify_images ? tr(' and {n} to verify the best {best}', { n: result.verify_images, best: result.finalists }) : '',
      })],
      ...(result.time ? [[tr('Time'), optim.expectedTime(result.time)]] : []),
      [tr('Merged per trial'), tr('{size} of weights, written in place; up to as much RAM again holds your originals', { size: optim.bytes(result.merged_bytes) })],
      [tr('Stays as in model A'), result.kept_blocks.join(' ') || tr('nothing')],
    ];
    const box = optim.dialog(result.problems.length ? tr('This plan cannot run yet') : tr('This plan is ready to run'),
      ...result.problems.map((p) => el('div', { class: 'optim-warning optim-problem', text: p.sentence })),
      ...result.warnings.map((text) => el('div', { class: 'optim-warning optim-problem', text })),
      ...(result.notes || []).map((text) => el('div', { class: 'optim-help', text })),
      facts.length ? el('dl', { class: 'optim-facts-list' }, ...facts.flatMap(([term, text]) => [el('dt', { text: term }), el('dd', { text })])) : null,
      result.parameters.length ? searched(result) : null,
      result.settings.length ? table([tr('Fixed'), tr('Value'), tr('Blocks')], rows(result.settings, (row) => `${row.value}`)) : null);
    box.id = 'optim_check_dialog';
    box.classList.add('optim-wide');
  };
})();
