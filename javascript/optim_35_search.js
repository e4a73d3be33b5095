// The search: which sampler, its options as its row describes them, and what is tried before it.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const DESIGN = [
    ['latin', 'Latin hypercube', 'Each parameter takes every part of its range once'],
    ['sobol', 'Sobol sequence', 'Even coverage of the whole space'],
    ['vertices', 'Corners', 'Every parameter at one end of its range; in opposite pairs'],
    ['grid', 'Grid', 'Evenly inside the space'],
    ['random', 'Random', 'Uniform draws'],
  ];

  // What it is on the left, the control on the right.
  const line = (title, control, help) =>
    el('label', { class: 'optim-option-line' },
      el('span', {}, el('span', { class: 'optim-option-title', text: title }), el('span', { class: 'optim-help', text: help })), control);

  optim.searchFields = (plan) => {
    const sampler = el('select', {
      id: 'optim_sampler', class: 'optim-input',
      on: {
        change: () => {
          plan.form.sampler = sampler.value;
          plan.changed('sampler');
        },
      },
    });
    const note = el('div', { class: 'optim-help', id: 'optim_sampler_note' });
    const fields = el('div', { class: 'optim-stack' });
    const options = optim.section({ id: 'optim_sampler_options', title: 'Options of the search', open: false }, fields);
    const presets = optim.check('optim_presets', 'Try the classic presets first', (on) => {
      plan.form.presets = on;
      plan.changed('presets');
    }, 'All A, all B, half and the known curves: the search starts from what people use.');
    const counts = Object.fromEntries(DESIGN.map(([kind]) => [kind, el('input', {
      id: `optim_design_${kind}`, type: 'number', class: 'optim-input', min: 0, max: 1000, step: 1, placeholder: '0',
      on: {
        input: (event) => {
          const value = event.target.value;
          plan.form.design = { ...plan.form.design, [kind]: value === '' ? 0 : Number(value) };
          plan.changed('design');
        },
      },
    })]));
    const design = optim.section({ id: 'optim_design', title: 'Look around first', open: false },
      el('div', { class: 'optim-help', text: 'Trials that go before the search, after starts and presets. They count as trials.' }),
      el('div', { class: 'optim-stack' }, ...DESIGN.map(([kind, title, help]) => line(title, counts[kind], help))));
    const presetCount = el('input', {
      id: 'optim_preset_count', type: 'number', class: 'optim-input', min: 0, step: 1, placeholder: 'all',
      on: {
        input: () => {
          plan.form.presets = presetCount.value === '' ? true : Number(presetCount.value);
          plan.changed('presets');
        },
      },
    });
    const begin = optim.button('optim_starts_table', 'Begin with trials of an earlier run …', () => optim.startTable(plan), 'small', 'Or with a table of trials (CSV): ours, or of auto-MBW-rt');
    design.body.append(el('div', { class: 'optim-stack' }, line('Classic presets', presetCount, 'How many of the presets are tried')),
      el('div', { class: 'optim-row' }, begin));
    const learnt = el('div', { class: 'optim-chips', id: 'optim_earlier', hidden: true }, el('span', { class: 'optim-chip' }));
    let drawn = '';

    const drawLearnt = () => {
      const many = (plan.form.earlier || []).length;
      optim.show(learnt, many);
      learnt.firstChild.replaceChildren(`Learns from ${optim.plural(many, 'earlier trial')} `, optim.button('optim_earlier_remove', '×', () => {
        plan.form.earlier = [];
        plan.changed('earlier');
      }, 'chip', 'Do not learn from them'));
    };
    const rowOf = (id) => plan.setup.samplers.find((row) => row.id === id);
    const keep = (name, value) => {
      const all = plan.form.sampler_options || {};
      const mine = { ...all[plan.form.sampler] };
      if (value === undefined) delete mine[name];
      else mine[name] = value;
      plan.form.sampler_options = { ...all, [plan.form.sampler]: mine };
      plan.changed('sampler_options');
    };
    // Controls of the sampler on show: option name to what shows a value.
    let controls = {};
    const controlOf = (option) => {
      const id = `optim_sampler_${option.name}`;
      if (option.type === 'bool') {
        const box = el('input', { type: 'checkbox', id, on: { change: () => keep(option.name, box.checked) } });
        controls[option.name] = (given) => {
          box.checked = given === undefined ? option.default : given;
        };
        return line(option.title, box, option.help);
      }
      if (option.choices.length) {
        const select = el('select', { id, class: 'optim-input', on: { change: () => keep(option.name, select.value) } },
          ...option.choices.map((choice) => el('option', { value: choice, text: choice })));
        controls[option.name] = (given) => optim.assign(select, given === undefined ? option.default : given);
        return line(option.title, select, option.help);
      }
      const input = el('input', {
        id, type: 'number', class: 'optim-input', min: option.low, max: option.high, step: option.type === 'int' ? 1 : 'any',
        placeholder: `${option.default}`,
        on: { input: () => keep(option.name, input.value === '' ? undefined : Number(input.value)) },
      });
      controls[option.name] = (given) => optim.assign(input, given === undefined ? '' : given);
      return line(option.title, input, `${option.help} (${option.low} to ${option.high})`);
    };
    const optionsOf = (row) => (plan.form.sampler_options || {})[row.id] || {};

    return {
      nodes: [optim.field('Search', sampler), note, learnt, options.node, presets.node, design.node],
      refill: () => {
        drawn = '';
        const families = [...new Set(plan.setup.samplers.map((row) => row.family))];
        sampler.replaceChildren(...families.flatMap((family) => {
          const rows = plan.setup.samplers.filter((row) => row.family === family).map((row) =>
            el('option', { value: row.id, text: row.missing ? `${row.title} (not installed)` : row.title }));
          return family ? [el('optgroup', { label: family }, ...rows)] : rows;
        }));
      },
      draw: () => {
        const row = rowOf(plan.form.sampler) || { id: '', note: '', missing: '', options: [] };
        optim.assign(sampler, plan.form.sampler);
        optim.setText(note, row.missing ? `${row.note}. ${row.missing}` : row.note);
        optim.setClass(note, 'optim-warning', row.missing);
        presets.box.checked = Boolean(plan.form.presets);
        optim.assign(presetCount, plan.form.presets === true ? '' : Number(plan.form.presets));
        const given = optionsOf(row);
        optim.show(options.node, row.options.length);
        if (drawn !== row.id) {
          drawn = row.id;
          controls = {};
          fields.replaceChildren(...row.options.map(controlOf));
        }
        row.options.forEach((option) => controls[option.name](given[option.name]));
        const changed = row.options.filter((option) => given[option.name] !== undefined && given[option.name] !== option.default);
        options.summary(changed.length ? changed.map((option) => `${option.title}: ${given[option.name]}`).join(' · ') : 'all as usual');
        drawLearnt();
        const planned = plan.form.design || {};
        for (const [kind] of DESIGN) optim.assign(counts[kind], planned[kind] || '');
        const said = DESIGN.filter(([kind]) => planned[kind]).map(([kind, title]) => `${planned[kind]} ${title}`);
        design.summary(said.length ? said.join(' · ') : 'straight to the search');
      },
      summary: () => {
        const row = rowOf(plan.form.sampler);
        return plan.form.sampler === 'auto' || !row ? '' : ` · ${row.title}`;
      },
    };
  };
})();
