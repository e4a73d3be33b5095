// The budget as exploration + exploitation: two numbers that add up to the trials.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // What looks around are the user's own starts, the presets that fit, and the start design. More of it is a larger Latin
  // hypercube; less of it takes from the design first, then from the presets.
  const lookAround = (form, before, wanted) => {
    const design = { ...form.design };
    const kinds = ['latin', 'sobol', 'random', 'grid', 'vertices'];
    let change = wanted - before;
    if (change > 0) design.latin = (Number(design.latin) || 0) + change;
    for (const kind of kinds) {
      const less = Math.min(Number(design[kind]) || 0, Math.max(0, -change));
      design[kind] = (Number(design[kind]) || 0) - less;
      change += less;
    }
    form.design = design;
    if (change < 0) form.presets = Math.max(0, wanted - (form.start || []).length);
  };

  optim.budgetSplit = (plan) => {
    let starts = 0; // as the last check counted them
    let known = false;
    let asked = null; // what the user wants, until a check agrees
    let tries = 0;
    const input = (id, help, act) => el('input', {
      id, type: 'number', class: 'optim-input', min: 0, step: 1, title: help, disabled: true,
      on: {
        input: (event) => {
          const value = Number(event.target.value);
          if (event.target.value === '' || !Number.isInteger(value) || value < 0) return;
          act(value);
        },
      },
    });
    const explore = input('optim_explore', 'Your own starts, presets and the start design; more are a Latin hypercube', (value) => {
      const search = Math.max(0, (Number(plan.form.trials) || 0) - starts);
      lookAround(plan.form, starts, value);
      plan.form.trials = Math.max(1, value + search);
      starts = asked = value;
      tries = 8;
      plan.touched.add('design').add('presets');
      plan.changed('trials');
    });
    const exploit = input('optim_exploit', 'What the search proposes from all that was seen', (value) => {
      plan.form.trials = Math.max(1, starts + value);
      plan.changed('trials');
    });
    return {
      node: el('div', { class: 'optim-grid2' }, optim.field('Of them to explore', explore), optim.field('Of them to search', exploit)),
      set: (count) => {
        starts = count;
        known = true;
        // Of so many presets some do not fit these models: then it takes a few more of them.
        const short = asked === null ? 0 : asked - count;
        if (short > 0 && tries > 0 && typeof plan.form.presets === 'number') {
          tries -= 1;
          plan.form.presets += short;
          plan.changed('presets');
        } else {
          asked = null;
        }
      },
      draw: () => {
        optim.setDisabled(explore, !known);
        optim.setDisabled(exploit, !known);
        const trials = Number(plan.form.trials) || 0;
        optim.assign(explore, known ? Math.min(starts, trials) : '');
        optim.assign(exploit, known ? Math.max(0, trials - starts) : '');
      },
    };
  };
})();
