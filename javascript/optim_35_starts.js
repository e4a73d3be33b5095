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
    // Enough to see where the good ones lie; the dialog's own count is for those that are tried.
    const learn = optim.button('optim_table_learn', 'Only learn from them', async () => {
      const result = await ask(100);
      plan.form.earlier = result.points;
      plan.form.sampler = 'cma';
      plan.form.sampler_options = { ...plan.form.sampler_options, cma: { ...(plan.form.sampler_options || {}).cma, begin: 'warm start' } };
      plan.changed('earlier');
      plan.changed('sampler_options');
      plan.changed('sampler');
      box.close();
    }, '', 'CMA-ES begins where the best of them lie; no image is made for them');

    const show = (result) => {
      points = result ? result.points : [];
      optim.setDisabled(use, !points.length);
      optim.setDisabled(learn, !points.length || result.rows < 3);
      said.replaceChildren(...(!result ? [] : [
        ...result.problems.map((sentence) => el('div', { class: 'optim-help optim-warning', text: sentence })),
        points.length ? el('div', { class: 'optim-note', text: `${result.form} with ${optim.plural(result.rows, 'scored trial')}. Tried first: ${points.map((point) => point.name).join(', ')}.` }) : null,
        ...result.notes.map((sentence) => el('div', { class: 'optim-help', text: sentence })),
      ].filter(Boolean)));
    };
    const ask = async (wanted) => {
      const source = file.files[0] ? { csv: await file.files[0].text(), name: file.files[0].name.replace(/\.csv$/i, '') } : { run: run.value };
      if (source.csv === undefined && !source.run) return null;
      try {
        return await optim.post('starts', { base: plan.form.models[0], count: wanted, ...source });
      } catch (error) {
        return { points: [], rows: 0, form: '', notes: [], problems: [error.message] };
      }
    };
    const look = async () => {
      const mine = (round += 1);
      const result = await ask(Number(count.value));
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
      said, el('div', { class: 'optim-row' }, use, learn)));
    box.id = 'optim_table_dialog';
    try {
      const runs = (await optim.get('runs')).runs.filter((row) => !row.problem);
      run.append(...runs.map((row) => el('option', { value: row.folder, text: row.folder })));
    } catch (error) {
      show({ points: [], rows: 0, form: '', notes: [], problems: [error.message] });
    }
  };
})();
