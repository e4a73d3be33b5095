// The plan, in the order in which a person thinks: models, method, what to vary, payloads, judges, budget, run.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const MODES = [
    ['blocks', 'Every block', 'One weight for each block of the UNet, and one for the text encoder.'],
    ['groups', 'Four groups', 'One weight each for text encoder, input, middle and output blocks: few numbers, quick results.'],
    ['single', 'One weight', 'The same weight everywhere: the classic merge slider, searched for you.'],
    ['custom', 'Custom', 'Your own lines: blocks and the range to search. Blocks in no line stay as in model A.'],
  ];
  const EXAMPLE = 'BASE: 0..1\nIN00-IN05: 0.2..0.8\nM00: =0.5\nOUT*: 0..1 step 0.05';
  const LETTERS = ['A', 'B', 'C'];

  optim.parts.form = ({ onChange, onStart, onCheck, onResume }) => {
    let setup = null;
    let methods = null;
    let form = null;
    const touched = new Set(optim.recall('touched', []));
    const sections = {};

    const changed = (key) => {
      touched.add(key);
      optim.remember('touched', [...touched]);
      optim.remember('form', form);
      draw();
      onChange();
    };

    // --- models -------------------------------------------------------------------------------------------
    const badge = el('span', { class: 'optim-badge', id: 'optim_architecture' });
    const reload = optim.button('optim_refresh_models', 'Refresh', () => load(true), 'small', 'Look at the model folders again');
    const models = LETTERS.map((letter, i) =>
      optim.combo({
        id: `optim_model_${letter.toLowerCase()}`,
        label: `Model ${letter}`,
        placeholder: i < 2 ? 'Choose a checkpoint' : 'None',
        optional: i === 2 ? 'None' : '',
        onChange: (value) => {
          form.models[i] = value;
          if (i === 0) {
            pairWith();
            suitPayloads();
          }
          const before = form.method;
          fitMethod();
          if (form.method !== before) touched.add('method');
          changed(`model${i}`);
        },
      }));
    const modelNote = el('div', { class: 'optim-help optim-warning', hidden: true });
    sections.models = optim.section(
      { id: 'optim_models', title: 'Models', extra: el('span', { class: 'optim-head-right' }, badge, reload) },
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'A' }), models[0].node),
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'B' }), models[1].node),
      el('div', { class: 'optim-model-row' }, el('span', { class: 'optim-letter', text: 'C' }), models[2].node),
      modelNote);

    const rowOf = (title) => setup && setup.models.find((row) => row.title === title);
    const count = () => (form.models[2] ? 3 : 2);

    // B follows A's architecture as long as the user has not chosen B.
    const pairWith = () => {
      const a = rowOf(form.models[0]);
      const b = rowOf(form.models[1]);
      if (!a || touched.has('model1') || (b && b !== a && b.architecture === a.architecture)) return;
      const other = setup.models.find((row) => row !== a && row.usable && row.architecture === a.architecture);
      form.models[1] = other ? other.title : '';
    };

    // The tiny demo checkpoints want tiny images; as long as the user has chosen none.
    const suitPayloads = () => {
      if (touched.has('payloads')) return;
      form.payloads = [...setup.payload_sets[form.models[0].startsWith('demo-') ? 'demo' : 'usual']];
      drawPayloads();
    };

    // --- method -------------------------------------------------------------------------------------------
    const method = optim.combo({
      id: 'optim_method',
      label: 'Merge method',
      placeholder: 'Loading the methods …',
      onChange: (value) => {
        form.method = value;
        form.parameters = {};
        changed('method');
      },
    });
    const formula = el('div', { class: 'optim-formula', id: 'optim_formula' });
    const parameters = el('div', { class: 'optim-parameters', id: 'optim_parameters' });
    sections.method = optim.section({ id: 'optim_method_card', title: 'Method' }, method.node, formula, parameters);

    const methodRow = () => methods && methods.find((row) => row.id === form.method);
    const takes = (row, n) => row.min_models <= n && (row.max_models === null || n <= row.max_models);
    const fitMethod = () => {
      const row = methodRow();
      if (!methods || (row && takes(row, count()))) return;
      const preferred = count() === 3 ? 'add_difference' : 'weighted_sum';
      const next = methods.find((m) => m.id === preferred && takes(m, count())) || methods.find((m) => takes(m, count()));
      form.method = next ? next.id : '';
      form.parameters = {};
    };

    let drawnParameters = '';
    const drawParameters = () => {
      const row = methodRow();
      const signature = `${row ? row.id : ''}|${Boolean(methods)}`;
      if (signature === drawnParameters) return;
      drawnParameters = signature;
      optim.setText(formula, row ? row.formula : '');
      if (!row || !row.parameters.length) {
        parameters.replaceChildren(row ? el('div', { class: 'optim-help', text: 'This method has no parameter to vary.' }) : '');
        return;
      }
      const lines = row.parameters.map((parameter) => {
        const state = form.parameters[parameter.name] || { vary: parameter.searched, text: '' };
        form.parameters[parameter.name] = state;
        const text = el('input', {
          type: 'text', class: 'optim-input', id: `optim_parameter_${parameter.name}`, value: state.text, spellcheck: 'false',
          'aria-label': `Range or value of ${parameter.name}`,
          on: {
            input: () => {
              state.text = text.value;
              changed('parameters');
            },
          },
        });
        const hint = () => {
          const standard = parameter.default === null ? 'needs a value' : `${parameter.default}`;
          text.placeholder = state.vary ? parameter.range : standard;
          text.title = state.vary ? 'The range to search: 0..1, 0..1 step 0.05, {a, b}' : 'The value to use everywhere';
          optim.setText(word, state.vary ? 'search in' : 'fixed at');
        };
        const word = el('span', { class: 'optim-note' });
        const box = optim.check(`optim_vary_${parameter.name}`, parameter.name, (on) => {
          state.vary = on;
          state.text = text.value = '';
          hint();
          changed('parameters');
        }, 'Ticked: the search varies it. Not ticked: one fixed value.');
        box.box.checked = state.vary;
        hint();
        return el('div', { class: 'optim-parameter' }, box.node, word, text);
      });
      parameters.replaceChildren(...lines);
    };

    // --- what to vary -------------------------------------------------------------------------------------
    const modeButtons = MODES.map(([id, label, help]) =>
      el('label', { class: 'optim-segment', title: help },
        el('input', {
          type: 'radio', name: 'optim_mode', value: id, id: `optim_mode_${id}`,
          on: {
            change: () => {
              form.vary.mode = id;
              if (id === 'custom' && !form.vary.custom.trim()) form.vary.custom = custom.value = EXAMPLE;
              changed('vary');
            },
          },
        }),
        el('span', { text: label })));
    const modeHelp = el('div', { class: 'optim-help' });
    const textEncoder = optim.check('optim_text_encoder', 'Text encoder too', (on) => {
      form.vary.text_encoder = on;
      changed('vary');
    }, 'Merge the text encoder with a weight of its own; otherwise it stays as in model A.');
    const vae = optim.check('optim_vae', 'VAE too', (on) => {
      form.vary.vae = on;
      changed('vary');
    }, 'Rarely wanted: merge the VAE as well.');
    const custom = el('textarea', {
      id: 'optim_custom', class: 'optim-input optim-code', rows: 6, spellcheck: 'false', 'aria-label': 'Blocks and ranges, one per line',
      on: {
        input: () => {
          form.vary.custom = custom.value;
          changed('vary');
        },
      },
    });
    const customHelp = el('div', { class: 'optim-help' },
      'A line is blocks, a colon, a range: ', el('code', { text: 'IN00-IN05: 0.2..0.8' }), ', ', el('code', { text: 'OUT*: 0..1 step 0.05' }), '. Fixed: ',
      el('code', { text: 'M00: =0.5' }), '. Tied to another block: ', el('code', { text: 'OUT00: =IN05' }), '. The first line that names a block counts.');
    const customBox = el('div', { class: 'optim-stack' }, custom, customHelp);
    const size = el('span', { class: 'optim-note', id: 'optim_size' });
    const components = el('div', { class: 'optim-row' }, textEncoder.node, vae.node);
    sections.vary = optim.section(
      { id: 'optim_vary_card', title: 'What to vary', extra: size },
      el('div', { class: 'optim-segments', role: 'radiogroup', 'aria-label': 'What to vary' }, ...modeButtons), modeHelp, components, customBox);

    // --- payloads -----------------------------------------------------------------------------------------
    const payloads = el('div', { class: 'optim-list', id: 'optim_payloads' });
    const payloadNote = el('div', { class: 'optim-help' });
    sections.payloads = optim.section({ id: 'optim_payloads_card', title: 'Payloads', open: false }, payloads, payloadNote);
    const drawPayloads = () => {
      payloads.replaceChildren(...setup.payloads.map((row) => {
        const box = el('input', {
          type: 'checkbox', value: row.name, checked: form.payloads.includes(row.name),
          on: {
            change: () => {
              const on = new Set([...payloads.querySelectorAll('input:checked')].map((input) => input.value));
              form.payloads = setup.payloads.map((p) => p.name).filter((name) => on.has(name));
              changed('payloads');
            },
          },
        });
        const facts = `${optim.plural(row.images, 'image')} · ${row.size} · ${optim.plural(row.steps, 'step')}${row.weight === 1 ? '' : ` · weight ${row.weight}`}`;
        return el('label', { class: 'optim-choice' }, box,
          el('span', { class: 'optim-choice-text' },
            el('span', { class: 'optim-choice-name' }, el('b', { text: row.name }), el('span', { class: 'optim-note', text: facts })),
            el('span', { class: 'optim-prompt', text: row.prompt || '(no prompt)', title: row.prompt })));
      }));
      const problems = setup.payload_problems.map((sentence) => el('div', { class: 'optim-warning', text: sentence }));
      const where = setup.folders.payloads[setup.folders.payloads.length - 1];
      payloadNote.replaceChildren(...problems, el('div', { text: `Your own: put .json files into ${where} and click Refresh above.` }));
    };

    // --- judges -------------------------------------------------------------------------------------------
    const judges = el('div', { class: 'optim-list', id: 'optim_judges' });
    sections.judges = optim.section({ id: 'optim_judges_card', title: 'Judges', open: false }, judges,
      el('div', { class: 'optim-help', text: 'Several judges: each score is brought to the same scale, then averaged by weight.' }));
    const judgeRow = (id) => form.scorers.find((row) => row.id === id);
    const drawJudges = () => {
      judges.replaceChildren(...setup.scorers.map((row) => {
        const state = judgeRow(row.id) || { id: row.id, weight: 1, options: {} };
        const weight = el('input', {
          type: 'number', class: 'optim-input optim-weight', min: 0, step: 0.1, value: state.weight, 'aria-label': `Weight of ${row.title}`,
          on: {
            input: () => {
              state.weight = weight.value;
              changed('scorers');
            },
          },
        });
        const options = row.options.map((option) => optionField(row, option, state));
        const more = options.length ? el('div', { class: 'optim-options' }, ...options) : null;
        const box = el('input', {
          type: 'checkbox', value: row.id, checked: Boolean(judgeRow(row.id)),
          on: {
            change: () => {
              form.scorers = form.scorers.filter((other) => other.id !== row.id);
              if (box.checked) form.scorers.push(state);
              reveal();
              changed('scorers');
            },
          },
        });
        const needs = row.weights.length ? `needs ${row.weights.map((w) => `${w.name} (${optim.bytes(w.bytes)})`).join(', ')}` : '';
        const side = el('label', { class: 'optim-weight-field' }, el('span', { class: 'optim-note', text: 'weight' }), weight);
        const reveal = () => {
          side.hidden = !box.checked;
          if (more) more.hidden = !box.checked;
        };
        reveal();
        return el('div', { class: 'optim-judge' },
          el('div', { class: 'optim-judge-head' },
            el('label', { class: 'optim-choice' }, box,
              el('span', { class: 'optim-choice-text' }, el('b', { text: row.title }),
                el('span', { class: 'optim-help', text: row.measures, title: `Fooled by: ${row.fooled_by}${row.licence ? `\nLicence: ${row.licence}` : ''}` }),
                needs ? el('span', { class: 'optim-note', text: needs }) : null)),
            side),
          more);
      }));
    };
    const optionField = (row, option, state) => {
      const id = `optim_option_${row.id}_${option.name}`;
      const label = `${option.title}${option.required ? ' (needed)' : ''}`;
      const current = state.options[option.name];
      const keep = (value) => {
        state.options[option.name] = value;
        changed('scorers');
      };
      if (option.kind === 'bool') {
        const box = optim.check(id, label, keep);
        box.box.checked = Boolean(current === undefined ? option.default : current);
        return box.node;
      }
      if (option.kind === 'choice') {
        const select = el('select', { id, class: 'optim-input', on: { change: () => keep(select.value) } },
          ...option.choices.map((choice) => el('option', { value: choice, text: choice })));
        select.value = current === undefined ? option.default : current;
        return optim.field(label, select);
      }
      const input = el('input', {
        id, type: option.kind === 'number' ? 'number' : 'text', step: 'any', class: 'optim-input', spellcheck: 'false',
        value: current === undefined ? '' : current,
        placeholder: option.default === null || option.default === '' ? (option.kind === 'image' ? 'Path of an image file' : option.kind === 'path' ? 'Path of a file' : '') : `${option.default}`,
        on: { input: () => keep(input.value) },
      });
      return optim.field(label, input);
    };

    // --- budget and run -----------------------------------------------------------------------------------
    const number = (id, key, min) => {
      const input = el('input', {
        id, type: 'number', class: 'optim-input', min, step: 1,
        on: {
          input: () => {
            form[key] = input.value === '' ? '' : Number(input.value);
            changed(key);
          },
        },
      });
      return input;
    };
    const trials = number('optim_trials', 'trials', 1);
    const seed = number('optim_seed', 'seed', 0);
    const sampler = el('select', {
      id: 'optim_sampler', class: 'optim-input',
      on: {
        change: () => {
          form.sampler = sampler.value;
          changed('sampler');
        },
      },
    });
    const samplerNote = el('div', { class: 'optim-help' });
    const presets = optim.check('optim_presets', 'Try the classic presets first', (on) => {
      form.presets = on;
      changed('presets');
    }, 'All A, all B, half and the known curves: the search starts from what people use.');
    sections.budget = optim.section({ id: 'optim_budget_card', title: 'Budget', open: false },
      el('div', { class: 'optim-grid2' }, optim.field('Trials', trials), optim.field('Seed', seed)),
      optim.field('Search', sampler), samplerNote, presets.node);

    const name = el('input', {
      id: 'optim_name', type: 'text', class: 'optim-input', maxlength: 80, 'aria-label': 'Name of the run',
      on: {
        input: () => {
          form.name = name.value;
          changed('name');
        },
      },
    });
    const saveBox = optim.check('optim_save', 'Save the best merge as a checkpoint at the end', (on) => {
      form.save.checkpoint = on;
      changed('save');
    });
    const dtype = el('select', {
      id: 'optim_dtype', class: 'optim-input',
      on: {
        change: () => {
          form.save.dtype = dtype.value;
          changed('save');
        },
      },
    }, ...['fp16', 'bf16', 'fp32'].map((text) => el('option', { value: text, text })));
    sections.run = optim.section({ id: 'optim_run_card', title: 'Run', open: false },
      optim.field('Name', name), saveBox.node, optim.field('Precision of saved checkpoints', dtype));

    // --- actions ------------------------------------------------------------------------------------------
    const check = optim.button('optim_check', 'Check plan', () => onCheck(), '', 'What this plan comes to, and everything that is wrong with it');
    const start = optim.button('optim_start_below', 'Start', () => onStart(), 'primary');
    const planLine = el('div', { class: 'optim-planline', id: 'optim_planline' });
    const runs = optim.combo({
      id: 'optim_runs', label: 'Earlier run', placeholder: 'Choose a run', optional: '',
      onChange: () => optim.setDisabled(resume, !runs.get()),
    });
    const resume = optim.button('optim_resume', 'Resume', () => onResume(runs.get()), '', 'Go on after the last finished trial');
    resume.disabled = true;
    sections.resume = optim.section({ id: 'optim_resume_card', title: 'Resume an earlier run', open: false },
      el('div', { class: 'optim-row optim-nowrap' }, runs.node, resume));

    // --- drawing ------------------------------------------------------------------------------------------
    const assign = (input, value) => {
      if (document.activeElement !== input && String(input.value) !== String(value)) input.value = value;
    };
    const draw = () => {
      models.forEach((combo, i) => combo.set(form.models[i]));
      const rows = form.models.filter(Boolean).map(rowOf);
      const kinds = [...new Set(rows.filter(Boolean).map((row) => row.badge))];
      const bad = rows.find((row) => row && !row.usable);
      optim.setText(badge, kinds.join(' + '));
      badge.hidden = !kinds.length;
      optim.setClass(badge, 'optim-badge-bad', kinds.length > 1 || bad);
      const few = setup.models.length === 0 ? `There is no checkpoint yet: put .safetensors files into ${setup.folders.models} and click Refresh.`
        : setup.models.length === 1 ? `A merge needs two checkpoints, and there is one: put another into ${setup.folders.models} and click Refresh.` : '';
      const note = bad ? `${bad.title}: ${bad.problem}` : kinds.length > 1 ? 'Only models of one architecture can be merged with each other.' : few;
      optim.setText(modelNote, note);
      optim.show(modelNote, note);

      if (methods) {
        const fitting = methods.filter((row) => takes(row, count()));
        method.setOptions(fitting.map((row) => ({ value: row.id, label: row.title, note: row.formula })));
        method.input.placeholder = 'Choose a method';
      }
      method.set(methods ? form.method : '');
      drawParameters();

      for (const input of document.querySelectorAll('#optim_root input[name=optim_mode]')) input.checked = input.value === form.vary.mode;
      optim.setText(modeHelp, MODES.find(([id]) => id === form.vary.mode)[2]);
      textEncoder.box.checked = form.vary.text_encoder;
      vae.box.checked = form.vary.vae;
      textEncoder.node.hidden = !setup.can.text_encoder;
      vae.node.hidden = !setup.can.vae;
      components.hidden = form.vary.mode === 'custom';
      customBox.hidden = form.vary.mode !== 'custom';
      assign(custom, form.vary.custom);

      const chosen = setup.payloads.filter((row) => form.payloads.includes(row.name));
      const images = chosen.reduce((sum, row) => sum + row.images, 0);
      sections.payloads.summary(chosen.length ? `${optim.plural(images, 'image')} · ${chosen.map((row) => row.name).join(', ')}` : 'none chosen');
      const titles = form.scorers.map((row) => (setup.scorers.find((s) => s.id === row.id) || { title: row.id }).title);
      sections.judges.summary(titles.length ? titles.join(' + ') : 'none chosen');
      assign(trials, form.trials);
      assign(seed, form.seed);
      assign(sampler, form.sampler);
      optim.setText(samplerNote, (setup.samplers.find((row) => row.id === form.sampler) || { note: '' }).note);
      presets.box.checked = form.presets;
      sections.budget.summary(`${optim.plural(Number(form.trials) || 0, 'trial')}${form.sampler === 'auto' ? '' : ` · ${form.sampler}`}`);
      assign(name, form.name);
      name.placeholder = form.models.filter(Boolean).map((title) => title.replace(/\.(safetensors|ckpt)\b.*$/, '').replace(/^.*[\\/]/, '')).join(' + ');
      saveBox.box.checked = form.save.checkpoint;
      assign(dtype, form.save.dtype);
      sections.run.summary(`${form.name || 'named after the models'} · ${form.save.checkpoint ? `saves ${form.save.dtype}` : 'saves the recipe only'}`);
    };

    // What was chosen before comes back as far as it still exists; what was never touched is today's default.
    const overlay = (defaults) => {
      const old = optim.recall('form', null);
      const next = JSON.parse(JSON.stringify(defaults));
      if (!old) return next;
      const has = (title) => setup.models.some((row) => row.title === title);
      LETTERS.forEach((_, i) => {
        const title = (old.models || [])[i];
        if (touched.has(`model${i}`) && (has(title) || (i === 2 && title === ''))) next.models[i] = title;
      });
      if (next.models[0] === next.models[1]) next.models[1] = '';
      for (const key of ['method', 'parameters', 'sampler', 'presets', 'trials', 'seed', 'name', 'save', 'vary']) {
        if (touched.has(key) && old[key] !== undefined) next[key] = old[key];
      }
      if (touched.has('payloads')) next.payloads = (old.payloads || []).filter((n) => setup.payloads.some((row) => row.name === n));
      if (touched.has('scorers')) next.scorers = (old.scorers || []).filter((s) => setup.scorers.some((row) => row.id === s.id));
      if (!next.payloads.length) next.payloads = defaults.payloads;
      if (!next.scorers.length) next.scorers = defaults.scorers;
      if (!next.name && touched.has('name')) next.name = '';
      return next;
    };

    const load = async (refresh) => {
      reload.disabled = true;
      try {
        setup = await optim.get(refresh ? 'setup?refresh=1' : 'setup');
        const kept = form;
        form = overlay(setup.form);
        if (kept) form.models = form.models.map((title, i) => (kept.models[i] && rowOf(kept.models[i]) ? kept.models[i] : title));
        if (!touched.has('model1') && form.models[1] === form.models[0]) form.models[1] = '';
        pairWith();
        models.forEach((combo) => combo.setOptions(setup.models.map((row) => ({ value: row.title, label: row.title, note: row.badge, bad: !row.usable }))));
        sampler.replaceChildren(...setup.samplers.map((row) => el('option', { value: row.id, text: row.title })));
        drawnParameters = '';
        drawPayloads();
        suitPayloads();
        drawJudges();
        fitMethod();
        draw();
        onChange();
      } finally {
        reload.disabled = false;
      }
      if (!methods) {
        methods = (await optim.get('methods')).methods;
        if (!methodRow()) form.parameters = {};
        fitMethod();
        drawnParameters = '';
        draw();
        onChange();
      }
    };

    const loadRuns = async () => {
      const list = (await optim.get('runs')).runs;
      runs.setOptions(list.map((row) => ({ value: row.folder, label: row.folder, note: row.problem || optim.plural(row.trials, 'trial'), bad: Boolean(row.problem) })));
      if (!runs.get() && list.length) runs.set(list[0].folder);
      optim.setDisabled(resume, !runs.get() || running);
      sections.resume.summary(list.length ? optim.plural(list.length, 'run') : 'none yet');
    };

    const PLACES = { models: 'models', method: 'method', parameters: 'method', vary: 'vary', guide: 'vary', payloads: 'payloads', scorers: 'judges', trials: 'budget', budget: 'budget', sampler: 'budget', seed: 'budget', name: 'run', save: 'run' };
    const markProblems = (problems) => {
      Object.values(sections).forEach((section) => section.node.classList.remove('optim-has-problem'));
      let first = null;
      for (const problem of problems) {
        const section = sections[PLACES[problem.where.split(/[.[ ]/)[0]]];
        if (!section) continue;
        section.node.classList.add('optim-has-problem');
        section.open();
        first = first || section;
      }
      if (first) first.node.scrollIntoView({ block: 'nearest' });
    };

    let running = false;
    return {
      node: el('div', { class: 'optim-left', id: 'optim_form' }, ...['models', 'method', 'vary', 'payloads', 'judges', 'budget', 'run'].map((key) => sections[key].node),
        el('div', { class: 'optim-actions' }, planLine, el('div', { class: 'optim-row optim-nowrap' }, check, start)), sections.resume.node),
      load,
      loadRuns,
      value: () => form,
      ready: () => Boolean(setup && methods),
      host: () => setup && setup.host,
      markProblems,
      setRunning: (on) => {
        running = on;
        optim.setDisabled(start, on);
        optim.setDisabled(resume, on || !runs.get());
      },
      setPlanLine: (text, warn, sizeText) => {
        optim.setText(planLine, text);
        optim.setClass(planLine, 'optim-warning', warn);
        optim.setText(size, sizeText);
      },
    };
  };
})();
