// Fields of the payload editor that are more than an input: a picture, several of a list, a number with a name, scripts.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // Each: (field as the setup has it, value, props every input gets) to its node, and get() what it holds as JSON.
  optim.payloadControls = {
    option: (field, value, common) => {
      const select = el('select', common, ...field.choices.map(([number, title]) => el('option', { value: number, text: title })));
      select.value = String(value || 0);
      return { node: optim.field(field.title, select, field.help), get: () => Number(select.value) };
    },

    // Several of a list, in the order in which they were chosen.
    many: (field, value, common) => {
      let chosen = [...(value || [])];
      const names = [...new Set([...chosen, ...field.choices])];
      const order = el('span', { class: 'optim-note', 'aria-live': 'polite' });
      const rows = names.map((name, i) => {
        const box = el('input', { type: 'checkbox', id: `${common.id}_${i}`, value: name, checked: chosen.includes(name), on: {
          change: () => {
            chosen = box.checked ? [...chosen, name] : chosen.filter((other) => other !== name);
            say();
          },
        } });
        return el('label', { class: 'optim-check' }, box, el('span', { text: field.choices.includes(name) ? name : `${name} (not here)` }));
      });
      const say = () => optim.setText(order, chosen.length ? chosen.join(' → ') : 'none');
      say();
      const filter = el('input', { class: 'optim-input', type: 'search', placeholder: 'Filter', 'aria-label': `Filter: ${field.title}`, hidden: names.length < 10, on: {
        input: () => rows.forEach((row) => optim.show(row, row.textContent.toLowerCase().includes(filter.value.toLowerCase()))),
      } });
      const list = rows.length ? el('div', { class: 'optim-payload-many' }, ...rows) : el('span', { class: 'optim-help', text: 'The WebUI has none.' });
      return {
        node: el('div', { class: 'optim-field optim-payload-wide', role: 'group', 'aria-label': field.title, id: common.id }, el('span', { class: 'optim-label', text: field.title }), order, filter, list, el('span', { class: 'optim-help', text: field.help })),
        get: () => chosen,
      };
    },

    // A picture beside the user's payloads, or one that is put there now.
    picture: (field, value, common) => {
      const select = el('select', common);
      const shown = el('img', { class: 'optim-payload-picture', alt: '', hidden: true });
      const error = el('div', { class: 'optim-error', hidden: true });
      let names = [...field.choices];
      const draw = (name) => {
        const all = name && !names.includes(name) ? [...names, name] : names;
        select.replaceChildren(el('option', { value: '', text: 'none: from noise' }), ...all.map((each) => el('option', { value: each, text: names.includes(each) ? each : `${each} (missing)` })));
        select.value = name || '';
      };
      draw(value);
      select.addEventListener('change', () => optim.show(shown, false));
      const keep = async (picture) => {
        if (!picture) return;
        optim.show(error, false);
        try {
          const answer = await optim.post('payload_picture', { name: picture.name, data: await optim.base64(picture) });
          names = [...new Set([...names, answer.name])];
          field.choices = names; // the next opening of the editor has it, too
          draw(answer.name);
          shown.src = URL.createObjectURL(picture);
          shown.addEventListener('load', () => URL.revokeObjectURL(shown.src), { once: true });
          optim.show(shown, true);
        } catch (problem) {
          error.textContent = problem.message;
          optim.show(error, true);
        } finally {
          file.value = '';
        }
      };
      const file = el('input', { type: 'file', id: `${common.id}_file`, accept: 'image/png,image/jpeg,image/webp', hidden: true, on: { change: () => keep(file.files[0]) } });
      const take = optim.button(`${common.id}_upload`, 'Upload …', () => file.click(), 'small', 'Put a picture of yours beside the payloads');
      return {
        node: el('div', { class: 'optim-field optim-payload-wide' }, optim.field(field.title, select, field.help), el('div', { class: 'optim-row optim-tight' }, take, shown, file), error),
        get: () => select.value,
      };
    },

    // JSON as the WebUI's API takes it; a button per script writes what its controls begin with.
    scripts: (field, value, common) => {
      const area = el('textarea', { ...common, rows: 4, value: Object.keys(value || {}).length ? JSON.stringify(value, null, 1) : '' });
      const read = () => {
        if (!area.value.trim()) return {};
        try {
          return JSON.parse(area.value);
        } catch (problem) {
          throw new Error(`${field.title}: this is no JSON (${problem.message}).`);
        }
      };
      const legend = el('div', { class: 'optim-help', id: `${common.id}_legend` });
      const buttons = field.choices.map((script) => optim.button(null, script.name, () => {
        let held;
        try {
          held = read();
        } catch (problem) {
          legend.textContent = problem.message;
          return;
        }
        const plain = script.arguments.every(([, begins]) => begins !== null);
        if (!held[script.name]) held[script.name] = { args: plain ? script.arguments.map(([, begins]) => begins) : [] };
        area.value = JSON.stringify(held, null, 1);
        legend.textContent = script.arguments.length ? `${script.name} takes, in this order: ${script.arguments.map(([label], i) => label || `(${i + 1})`).join(', ')}. What is left out at the end is as in the WebUI.` : `${script.name} takes nothing.`;
      }, 'small', `Name ${script.name} above`));
      return { node: el('div', { class: 'optim-field optim-payload-whole' }, optim.field(field.title, area, field.help), el('div', { class: 'optim-row optim-tight' }, ...buttons), legend), get: read };
    },
  };
})();
