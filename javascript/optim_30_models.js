// Models A, B and C: dropdowns, the architecture's badge, and which B goes with which A.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const LETTERS = ['A', 'B', 'C'];

  optim.parts.models = (plan) => {
    const badge = el('span', { class: 'optim-badge', id: 'optim_architecture' });
    const reload = optim.button('optim_refresh_models', 'Refresh', () => plan.reload(), 'small', 'Look at the model folders again');
    const models = LETTERS.map((letter, i) =>
      optim.combo({
        id: `optim_model_${letter.toLowerCase()}`,
        label: `Model ${letter}`,
        placeholder: i < 2 ? 'Choose a checkpoint' : 'None',
        optional: i === 2 ? 'None' : '',
        onChange: (value) => {
          plan.form.models[i] = value;
          if (i === 0) {
            pairWith();
            plan.suitPayloads();
          }
          const before = plan.form.method;
          plan.fitMethod();
          if (plan.form.method !== before) plan.touched.add('method');
          plan.changed(`model${i}`);
        },
      }));
    const modelNote = el('div', { class: 'optim-help optim-warning', hidden: true });
    const section = optim.section(
      { id: 'optim_models', title: 'Models', extra: el('span', { class: 'optim-head-right' }, badge, reload) },
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'A' }), models[0].node),
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'B' }), models[1].node),
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'C' }), models[2].node),
      modelNote);

    const rowOf = (path) => plan.setup.models.find((row) => row.path === path);

    // B follows A's architecture as long as the user has not chosen B.
    const pairWith = () => {
      const a = rowOf(plan.form.models[0]);
      const b = rowOf(plan.form.models[1]);
      if (!a || plan.touched.has('model1') || (b && b !== a && b.architecture === a.architecture)) return;
      const other = plan.setup.models.find((row) => row !== a && row.usable && row.architecture === a.architecture);
      plan.form.models[1] = other ? other.path : '';
    };

    return {
      sections: { models: section },
      pairWith,
      rowOf,
      busy: (on) => optim.setDisabled(reload, on),
      // After the list of files was read (again).
      refill: () => models.forEach((combo) => combo.setOptions(plan.setup.models.map((row) => ({ value: row.path, label: row.title, note: row.badge, bad: !row.usable })))),
      draw: () => {
        models.forEach((combo, i) => combo.set(plan.form.models[i]));
        const rows = plan.form.models.filter(Boolean).map(rowOf);
        const kinds = [...new Set(rows.filter(Boolean).map((row) => row.badge))];
        const bad = rows.find((row) => row && !row.usable);
        optim.setText(badge, kinds.join(' + '));
        badge.hidden = !kinds.length;
        optim.setClass(badge, 'optim-badge-bad', kinds.length > 1 || bad);
        const few = plan.setup.models.length === 0 ? `There is no checkpoint yet: put .safetensors files into ${plan.setup.folders.models} and click Refresh.`
          : plan.setup.models.length === 1 ? `A merge needs two checkpoints, and there is one: put another into ${plan.setup.folders.models} and click Refresh.` : '';
        const note = bad ? `${bad.title}: ${bad.problem}` : kinds.length > 1 ? 'Only models of one architecture can be merged with each other.' : few;
        optim.setText(modelNote, note);
        optim.show(modelNote, note);
      },
    };
  };
})();
