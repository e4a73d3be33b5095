// Later passes: each starts from the best so far, and names only what it does otherwise than the first.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const NEW = { name: '', payloads: null, scorers: null, sampler: '', trials: '', free: '', stop: {} };

  optim.parts.passes = (plan) => {
    const list = el('div', { class: 'optim-stack', id: 'optim_passes' });
    const rows = () => (plan.form.passes ||= []);
    const changed = (anew) => {
      plan.changed('passes');
      if (anew) draw(true);
    };
    const add = optim.button('optim_add_pass', 'Add a pass', () => {
      rows().push({ ...NEW, stop: {} });
      changed(true);
    }, 'small', 'Another search after this one');
    const change = optim.button('optim_change', 'Change from the next trial', () => plan.changeRun(), 'small',
      'Payloads, judges, search and trials as they stand in the form now: a new pass after the trial under way');
    const changeHelp = el('div', { class: 'optim-help', text: 'A run is going on. Change payloads, judges, search or trials above and send them: they hold from the next trial, as a new pass that starts from the best so far. Earlier trials with the same images are scored again, not made again.' });
    const changeBox = el('div', { class: 'optim-stack', id: 'optim_change_box', hidden: true }, changeHelp, el('div', { class: 'optim-row' }, change));
    const section = optim.section({ id: 'optim_passes_card', title: 'Passes', open: false },
      el('div', { class: 'optim-help', text: 'A run is one search, unless you add passes: roughly first, details later. A later pass starts from the best so far and has its own prompts, judges, search, trials and parameters; what you leave empty is as above.' }),
      list, el('div', { class: 'optim-row' }, add), changeBox);

    // A list of ticks that is absent (null) until the user wants one of his own.
    const own = (row, key, label, make) => {
      const box = optim.check(null, label, (on) => {
        row[key] = on ? JSON.parse(JSON.stringify(plan.form[key])) : null;
        changed(true);
      });
      box.box.checked = Array.isArray(row[key]);
      return el('div', { class: 'optim-stack' }, box.node, Array.isArray(row[key]) ? make() : null);
    };
    const ticks = (offers, isOn, toggle) => el('div', { class: 'optim-list' }, ...offers.map(({ value, title, note }) => el('label', { class: 'optim-choice' },
      el('input', { type: 'checkbox', value, checked: isOn(value), on: { change: (event) => toggle(value, event.target.checked) } }),
      el('span', { class: 'optim-choice-text' }, el('b', { text: title }), note || null))));
    const payloadTicks = (row) => ticks(
      plan.setup.payloads.map((p) => ({ value: p.name, title: p.name, note: el('span', { class: 'optim-prompt', text: p.prompt, title: p.prompt }) })),
      (name) => row.payloads.includes(name),
      (name, on) => {
        row.payloads = plan.setup.payloads.map((p) => p.name).filter((other) => (other === name ? on : row.payloads.includes(other)));
        changed();
      });
    const goalOf = (row, state) => (row.scorers.some((r) => r.axis) ? el('input', {
      type: 'text', class: 'optim-input optim-goal', maxlength: 40, value: state.axis || '', placeholder: 'goal', 'aria-label': `Goal of ${state.id}`,
      on: {
        input: (event) => {
          state.axis = event.target.value;
          changed();
        },
      },
    }) : null);
    const judgeTicks = (row) => ticks(
      plan.setup.scorers.map((s) => {
        const state = row.scorers.find((r) => r.id === s.id);
        return {
          value: s.id, title: s.title,
          note: state ? el('span', { class: 'optim-weight-field' }, goalOf(row, state), el('span', { class: 'optim-note', text: 'weight' }), el('input', {
            type: 'number', class: 'optim-input optim-weight', min: 0, step: 0.1, value: state.weight, 'aria-label': `Weight of ${s.title}`,
            on: {
              input: (event) => {
                state.weight = event.target.value;
                changed();
              },
            },
          })) : null,
        };
      }),
      (id) => row.scorers.some((r) => r.id === id),
      (id, on) => {
        row.scorers = row.scorers.filter((r) => r.id !== id);
        const known = plan.form.scorers.find((r) => r.id === id);
        const added = known ? JSON.parse(JSON.stringify(known)) : { id, weight: 1, options: {} };
        if (on) row.scorers.push(added);
        if (on && row.scorers.some((r) => r.axis)) added.axis = optim.newGoal(added, row.scorers, (other) => (plan.setup.scorers.find((s) => s.id === other) || { title: other }).title);
        changed(true);
      });
    const text = (row, key, attributes) => el('input', {
      class: 'optim-input', value: row[key] ?? '', ...attributes,
      on: {
        input: (event) => {
          row[key] = event.target.value;
          changed();
        },
      },
    });
    const card = (row, i) => {
      const sampler = el('select', {
        class: 'optim-input', id: `optim_pass${i + 2}_sampler`,
        on: {
          change: () => {
            row.sampler = sampler.value;
            changed();
          },
        },
      }, el('option', { value: '', text: 'As above' }), ...plan.setup.samplers.map((s) => el('option', { value: s.id, text: s.title })));
      sampler.value = row.sampler || '';
      const stop = optim.stopRules(`optim_pass${i + 2}_stop`, () => (row.stop ||= {}), () => changed());
      stop.draw();
      return el('div', { class: 'optim-pass optim-stack', 'data-pass': i + 2 },
        el('div', { class: 'optim-row' }, el('span', { class: 'optim-title', text: `Pass ${i + 2}` }),
          optim.button(`optim_pass${i + 2}_copy`, 'Duplicate', () => {
            rows().splice(i + 1, 0, JSON.parse(JSON.stringify(row)));
            changed(true);
          }, 'small'),
          optim.button(`optim_pass${i + 2}_remove`, 'Remove', () => {
            rows().splice(i, 1);
            changed(true);
          }, 'small')),
        el('div', { class: 'optim-grid2' },
          optim.field('Name', text(row, 'name', { type: 'text', id: `optim_pass${i + 2}_name`, maxlength: 60, placeholder: 'such as: details' })),
          optim.field('Trials', text(row, 'trials', { type: 'number', id: `optim_pass${i + 2}_trials`, min: 1, step: 1, placeholder: `${plan.form.trials}` }))),
        optim.field('Parameters', text(row, 'free', { type: 'text', id: `optim_pass${i + 2}_free`, spellcheck: 'false', placeholder: 'all' }), 'Names or wildcards of what it searches, such as IN*, OUT0*; everything else stays as in the best so far.'),
        optim.field('Search', sampler),
        own(row, 'payloads', 'Payloads of its own', () => payloadTicks(row)),
        own(row, 'scorers', 'Judges of its own', () => judgeTicks(row)),
        stop.node);
    };
    let drawn = '';
    const draw = (anew) => {
      const signature = JSON.stringify([rows().length, plan.setup && plan.setup.payloads.length, plan.form.trials]);
      if (plan.setup && (anew || signature !== drawn)) {
        drawn = signature;
        list.replaceChildren(...rows().map(card));
      }
      section.summary(rows().length ? `${rows().length + 1} passes` : 'one');
    };
    return {
      sections: { passes: section },
      refill: () => draw(true),
      draw: () => draw(false),
      setRunning: (on) => optim.show(changeBox, on),
    };
  };
})();
