// The form kept by name, and the plan as JSON: out of the form, and into it.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // form(): what the form says; take(form): put another into it, returns sentences; start(plan): run a plan as it is.
  optim.presetCard = ({ form, take, start, say, fail }) => {
    let presets = [];
    const choice = optim.combo({ id: 'optim_preset', label: 'Preset', placeholder: 'Choose a preset', onChange: () => draw() });
    const set = (rows, name) => {
      presets = rows;
      choice.setOptions(rows.map((row) => ({ value: row.name, label: row.name, note: new Date(row.saved * 1000).toLocaleString() })));
      if (name !== undefined || !rows.some((row) => row.name === choice.get())) choice.set(name || '');
      draw();
    };
    const attempt = async (act) => {
      try {
        await act();
      } catch (error) {
        fail(error);
      }
    };

    const ask = (title, help, label, value, go, act) => {
      const error = el('div', { class: 'optim-error', hidden: true, role: 'alert' });
      const name = el('input', { id: 'optim_preset_name', type: 'text', class: 'optim-input', maxlength: 80, value });
      let sure = false;
      const button = optim.button('optim_preset_go', go, async () => {
        optim.setDisabled(button, true);
        try {
          await act(name.value.trim(), sure);
          box.close();
        } catch (problem) {
          error.textContent = problem.message;
          optim.show(error, true);
          if (label && /already; write over it/.test(problem.message)) {
            sure = true;
            optim.setText(button, 'Write over it');
          }
        }
        optim.setDisabled(button, false);
      }, 'primary');
      name.addEventListener('input', () => {
        sure = false;
        optim.setText(button, go);
      });
      const box = optim.dialog(title, el('div', { class: 'optim-stack' }, help ? el('div', { class: 'optim-help', text: help }) : null,
        label ? optim.field(label, name) : null, error, el('div', { class: 'optim-row' }, button)));
      box.id = 'optim_preset_dialog';
      (label ? name : button).focus();
    };

    const load = () => attempt(async () => {
      const name = choice.get();
      const { form: kept } = await optim.post('preset', { name });
      say([`The form is as in ${name}.`, ...take(kept)]);
    });
    const save = () => ask('Save the form as a preset', 'Everything that the form says, by a name of its own.', 'Name', choice.get() || form().name || '', 'Save', async (name, instead) => {
      set((await optim.post('preset_save', { name, form: form(), instead })).presets, name);
    });
    const rename = () => {
      const old = choice.get();
      ask('Rename preset', '', 'Name', old, 'Rename', async (name) => set((await optim.post('preset_rename', { name: old, new: name })).presets, name));
    };
    const remove = () => {
      const name = choice.get();
      ask(`Delete ${name}?`, 'It goes into the folder .trash beside your presets.', '', '', 'Delete', async () => set((await optim.post('preset_delete', { name })).presets, ''));
    };

    const copy = () => attempt(async () => {
      const { plan } = await optim.post('plan', { form: form() });
      const text = JSON.stringify(plan, null, 2);
      await optim.copyText(text);
      say(['The plan is in the clipboard: save it as plan.json for the command line, or paste it into another tab.']);
    });
    const paste = () => {
      const text = el('textarea', { id: 'optim_plan_text', class: 'optim-input optim-code', rows: 10, spellcheck: 'false', 'aria-label': 'Plan as JSON', placeholder: '{"name": …}' });
      const file = el('input', { id: 'optim_plan_file', type: 'file', accept: '.json,application/json', class: 'optim-input', on: { change: async () => {
        if (file.files[0]) text.value = await file.files[0].text();
      } } });
      const problems = el('div', { class: 'optim-stack', id: 'optim_plan_problems', role: 'alert' });
      const tell = (error) => {
        const sentences = error.problems && error.problems.length ? error.problems.map((one) => one.sentence) : [error.message];
        problems.replaceChildren(...sentences.map((one) => el('div', { class: 'optim-error', text: one })));
      };
      const doing = (act) => async () => {
        problems.replaceChildren();
        try {
          await act();
          box.close();
        } catch (error) {
          tell(error);
        }
      };
      const fill = optim.button('optim_plan_fill', 'Put into the form', doing(async () => {
        const { form: read, notes } = await optim.post('plan_read', { plan: text.value });
        say(['The form is as the plan says.', ...new Set([...notes, ...(await take(read, true))])]);
      }), 'primary');
      const run = optim.button('optim_plan_start', 'Start it as it is', doing(async () => {
        let plan;
        try {
          plan = JSON.parse(text.value);
        } catch (error) {
          throw new Error(`The text is not JSON (${error.message}).`);
        }
        await start(plan);
      }), '', 'Without the form, which can’t say everything that a plan can');
      const box = optim.dialog('A plan as JSON', el('div', { class: 'optim-stack' },
        el('div', { class: 'optim-help', text: 'What Copy plan as JSON gave, here or elsewhere, or the plan.json of a run.' }),
        text, optim.field('Or a file', file), problems, el('div', { class: 'optim-row' }, fill, run)));
      box.id = 'optim_plan_dialog';
      text.focus();
    };

    const own = [
      optim.button('optim_preset_load', 'Load', load, 'small', 'Fill the form as this preset says'),
      optim.button('optim_preset_rename', 'Rename …', rename, 'small'),
      optim.button('optim_preset_delete', 'Delete …', remove, 'small', 'Into a folder .trash beside your presets'),
    ];
    const keep = optim.button('optim_preset_save', 'Save as …', save, 'small', 'Keep the form as it stands, by a name');
    const section = optim.section({ id: 'optim_presets_card', title: 'Presets', open: false },
      choice.node, el('div', { class: 'optim-row optim-tight' }, own[0], keep, own[1], own[2]),
      el('div', { class: 'optim-row optim-tight' },
        optim.button('optim_plan_copy', 'Copy plan as JSON', copy, 'small', 'What python -m lib_optim run plan.json takes'),
        optim.button('optim_plan_paste', 'Paste plan …', paste, 'small', 'A plan.json, into the form or started as it is')));
    const draw = () => {
      own.forEach((button) => optim.setDisabled(button, !choice.get()));
      section.summary(presets.length ? optim.plural(presets.length, 'preset') : 'none yet');
    };
    draw();
    return { node: section.node, load: async () => set((await optim.get('presets')).presets) };
  };
})();
