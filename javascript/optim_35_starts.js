// Trials of an earlier run, or of a table (CSV), as the first trials of this one: the dialog.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.startTable = async (plan) => {
    const run = el('select', { id: 'optim_table_run', class: 'optim-input' }, el('option', { value: '', text: 'none' }));
    const file = el('input', { id: 'optim_table_file', type: 'file', accept: '.csv,text/csv', class: 'optim-input' });
    const count = el('input', { id: 'optim_table_count', type: 'number', class: 'optim-input', min: 1, max: 100, step: 1, value: 3 });
    const said = el('div', { class: 'optim-stack', id: 'optim_table_said' });
    let points = [];
    let round = 0;
    const use = optim.button('optim_table_use', 'Try them first', () => {
      const taken = new Set(plan.form.start.map((start) => start.name));
      plan.form.start = [...plan.form.start, ...points.filter((point) => !taken.has(point.name))];
      plan.changed('start');
      box.close();
    }, 'primary');

    const show = (result) => {
      points = result ? result.points : [];
      optim.setDisabled(use, !points.length);
      said.replaceChildren(...(!result ? [] : [
        ...result.problems.map((sentence) => el('div', { class: 'optim-help optim-warning', text: sentence })),
        points.length ? el('div', { class: 'optim-note', text: `${result.form} with ${optim.plural(result.rows, 'scored trial')}. Tried first: ${points.map((point) => point.name).join(', ')}.` }) : null,
        ...result.notes.map((sentence) => el('div', { class: 'optim-help', text: sentence })),
      ].filter(Boolean)));
    };
    const look = async () => {
      const mine = (round += 1);
      const source = file.files[0] ? { csv: await file.files[0].text(), name: file.files[0].name.replace(/\.csv$/i, '') } : { run: run.value };
      let result = null;
      if (source.csv !== undefined || source.run) {
        try {
          result = await optim.post('starts', { base: plan.form.models[0], count: Number(count.value), ...source });
        } catch (error) {
          result = { points: [], rows: 0, form: '', notes: [], problems: [error.message] };
        }
      }
      if (mine === round) show(result);
    };
    run.addEventListener('change', () => {
      file.value = '';
      look();
    });
    file.addEventListener('change', () => {
      run.value = '';
      look();
    });
    count.addEventListener('input', look);
    show(null);
    const box = optim.dialog('Begin with earlier trials', el('div', { class: 'optim-stack' },
      el('div', { class: 'optim-help', text: 'The best trials of an earlier search are tried again before this one goes on from them.' }),
      optim.field('Earlier run', run), optim.field('Or a table of trials (CSV of Optim or auto-MBW-rt)', file), optim.field('How many of the best', count),
      said, el('div', { class: 'optim-row' }, use)));
    box.id = 'optim_table_dialog';
    try {
      const runs = (await optim.get('runs')).runs.filter((row) => !row.problem);
      run.append(...runs.map((row) => el('option', { value: row.folder, text: row.folder })));
    } catch (error) {
      show({ points: [], rows: 0, form: '', notes: [], problems: [error.message] });
    }
  };
})();
