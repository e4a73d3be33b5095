// Budget and run: trials, seed, search, the run's name, and what is saved at the end.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  optim.parts.budget = (plan) => {
    const number = (id, key, min) => {
      const input = el('input', {
        id, type: 'number', class: 'optim-input', min, step: 1,
        on: {
          input: () => {
            plan.form[key] = input.value === '' ? '' : Number(input.value);
            plan.changed(key);
          },
        },
      });
      return input;
    };
    const trials = number('optim_trials', 'trials', 1);
    const seed = number('optim_seed', 'seed', 0);
    const search = optim.searchFields(plan);
    const split = optim.budgetSplit(plan);
    const stop = optim.stopRules('optim_stop', () => (plan.form.stop ||= {}), () => plan.changed('stop'));
    const verify = optim.verifyOptions(plan);
    const budget = optim.section({ id: 'optim_budget_card', title: tr('Budget'), open: false },
      el('div', { class: 'optim-grid2' }, optim.field(tr('Trials'), trials), optim.field(tr('Seed'), seed)),
      split.node, ...search.nodes, stop.node, verify.node);

    const name = el('input', {
      id: 'optim_name', type: 'text', class: 'optim-input', maxlength: 80, 'aria-label': tr('Name of the run'),
      on: {
        input: () => {
          plan.form.name = name.value;
          plan.changed('name');
        },
      },
    });
    const device = el('select', {
      id: 'optim_merge_device', class: 'optim-input',
      on: {
        change: () => {
          plan.form.merge_device = device.value;
          plan.changed('merge_device');
        },
      },
    }, el('option', { value: 'auto', text: tr('Automatic') }), el('option', { value: 'cpu', text: 'CPU' }), el('option', { value: 'gpu', text: 'GPU' }));
    const disk = optim.diskOptions(plan);
    const saveBox = optim.check('optim_save', tr('Save the best merge as a checkpoint at the end'), (on) => {
      plan.form.save.checkpoint = on;
      plan.changed('save');
    });
    const fileName = el('input', {
      id: 'optim_saved_name', type: 'text', class: 'optim-input', maxlength: 80, placeholder: tr('named after run and trial'),
      on: {
        input: () => {
          plan.form.save.name = fileName.value;
          plan.changed('save');
        },
      },
    });
    const saveOptions = optim.saveOptions('optim_saved', () => plan.form.save, () => plan.changed('save'));
    const shared = optim.sharedStudy(plan);
    const run = optim.section({ id: 'optim_run_card', title: tr('Run'), open: false },
      el('div', { class: 'optim-grid2' }, optim.field(tr('Name'), name), optim.field(tr('Merge on'), device)), saveBox.node, el('div', { class: 'optim-grid2' }, optim.field(tr('File name'), fileName), disk.room), disk.node, saveOptions.node, shared.node);

    return {
      sections: { budget, run },
      setStarts: (count) => {
        split.set(count);
        split.draw();
      },
      refill: search.refill,
      draw: () => {
        optim.assign(trials, plan.form.trials);
        optim.assign(seed, plan.form.seed);
        search.draw();
        split.draw();
        stop.draw();
        verify.draw();
        const earlier = optim.stopSummary(plan.form.stop || {});
        budget.summary(`${optim.count(Number(plan.form.trials) || 0, '{n} trial', '{n} trials')}${earlier ? `, ${tr('or {limits}', { limits: earlier })}` : ''}${search.summary()}`);
        optim.assign(name, plan.form.name);
        name.placeholder = plan.form.models.filter(Boolean).map((title) => title.replace(/\.(safetensors|ckpt)\b.*$/, '').replace(/^.*[\\/]/, '')).join(' + ');
        optim.assign(device, plan.form.merge_device || 'auto');
        saveBox.box.checked = plan.form.save.checkpoint;
        optim.assign(fileName, plan.form.save.name || '');
        disk.draw();
        saveOptions.draw(plan.setup.vaes || []);
        shared.draw();
        run.summary(`${plan.form.name || tr('named after the models')} · ${plan.form.save.checkpoint ? tr('saves {what}', { what: optim.saveSummary(plan.form.save) }) : tr('saves the recipe only')}`);
      },
    };
  };
})();
