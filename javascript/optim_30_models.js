// The models, A and up: dropdowns, the architecture's badge, which B goes with which A, and whose base is whose.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const LETTERS = [...'ABCDEFGH'];
  const ALWAYS = 3;

  optim.parts.models = (plan) => {
    const badge = el('span', { class: 'optim-badge', id: 'optim_architecture' });
    const reload = optim.button('optim_refresh_models', tr('Refresh'), () => plan.reload(), 'small', tr('Look at the model folders again'));
    const models = LETTERS.map((letter, i) =>
      optim.combo({
        id: `optim_model_${letter.toLowerCase()}`,
        label: tr('Model {letter}', { letter }),
        placeholder: i < 2 ? tr('Choose a checkpoint') : tr('None'),
        optional: i < 2 ? '' : tr('None'),
        onChange: (value) => {
          while (plan.form.models.length <= i) plan.form.models.push('');
          plan.form.models[i] = value;
          if (i === 0) {
            pairWith();
            plan.suitPayloads();
          }
          changed(i);
        },
      }));
    const lines = LETTERS.map((letter, i) =>
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: letter }), models[i].node));
    let shown = ALWAYS;
    const add = optim.button('optim_add_model', tr('Add model'), () => {
      shown += 1;
      draw();
      models[shown - 1].input.focus();
    }, 'small', tr('Average, TIES, DARE and others take any number of models'));
    const modelNote = el('div', { class: 'optim-help optim-warning', hidden: true });
    // Which model looks like the base of the others; offered by the plan check, taken by a click.
    const advice = el('span', {});
    let offered = null;
    const take = optim.button('optim_take_base', '', () => {
      if (!offered) return;
      plan.form.models = [...offered.models];
      offered.models.forEach((_, i) => plan.touched.add(`model${i}`));
      setBase(null);
      changed(0);
    }, 'small');
    const baseNote = el('div', { class: 'optim-help optim-base-note', id: 'optim_base_note', hidden: true }, advice, ' ', take);
    const section = optim.section(
      { id: 'optim_models', title: tr('Models'), extra: el('span', { class: 'optim-head-right' }, badge, reload) },
      ...lines, el('div', { class: 'optim-row' }, add), baseNote, modelNote);

    const changed = (i) => {
      const before = plan.form.method;
      plan.fitMethod();
      if (plan.form.method !== before) plan.touched.add('method');
      plan.changed(`model${i}`);
    };
    const rowOf = (path) => plan.setup.models.find((row) => row.path === path);
    const setBase = (found) => {
      offered = found;
      optim.setText(advice, found ? found.sentence : '');
      optim.setText(take, found ? found.button : '');
      optim.show(baseNote, found);
    };

    // B follows A's architecture as long as the user has not chosen B.
    const pairWith = () => {
      const a = rowOf(plan.form.models[0]);
      const b = rowOf(plan.form.models[1]);
      if (!a || plan.touched.has('model1') || (b && b !== a && b.architecture === a.architecture)) return;
      const other = plan.setup.models.find((row) => row !== a && row.usable && row.whole && row.architecture === a.architecture);
      plan.form.models[1] = other ? other.path : '';
    };

    const draw = () => {
      const filled = plan.form.models.reduce((last, path, i) => (path ? i + 1 : last), 0);
      shown = Math.min(LETTERS.length, Math.max(ALWAYS, shown, filled));
      lines.forEach((line, i) => {
        line.hidden = i >= shown;
      });
      add.hidden = shown >= LETTERS.length;
      models.forEach((combo, i) => combo.set(plan.form.models[i] || ''));
      const rows = plan.form.models.filter(Boolean).map(rowOf).filter(Boolean);
      const kinds = [...new Set(rows.filter((row) => !row.lora).map((row) => row.badge.split(',')[0]))];
      const bad = rows.find((row) => !row.usable);
      const wrong = rows.some((row) => row.lora && row.architecture && rows[0].architecture && row.architecture !== rows[0].architecture);
      optim.setText(badge, kinds.join(' + '));
      badge.hidden = !kinds.length;
      optim.setClass(badge, 'optim-badge-bad', kinds.length > 1 || bad || wrong);
      const whole = plan.setup.models.filter((row) => row.whole || (!row.usable && !row.lora)).length;
      const few = whole === 0 ? tr('There is no checkpoint yet: put .safetensors files into {folder} and click Refresh.', { folder: plan.setup.folders.models })
        : plan.setup.models.length === 1 ? tr('A merge needs two checkpoints, and there is one: put another into {folder} and click Refresh.', { folder: plan.setup.folders.models }) : '';
      const note = bad ? `${bad.title}: ${bad.problem}`
        : kinds.length > 1 ? tr('Only models of one architecture can be merged with each other.')
          : wrong ? tr('A LoRA goes with the architecture that it was made for.') : few;
      optim.setText(modelNote, note);
      optim.show(modelNote, note);
    };

    return {
      sections: { models: section },
      pairWith,
      rowOf,
      setBase,
      busy: (on) => optim.setDisabled(reload, on),
      // After the list of files was read (again). A LoRA stands for A with it added, so it cannot be A; nor can a UNet alone.
      refill: () => models.forEach((combo, i) => combo.setOptions(plan.setup.models.filter((row) => i > 0 || row.whole || (!row.usable && !row.lora))
        .map((row) => ({ value: row.path, label: row.title, note: row.badge, bad: !row.usable })))),
      draw,
    };
  };
})();
